"""Buying: packs, orders, payments, and the person's account of money."""

from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from application.billing.buy_credits import BuyCredits, CancelOrder, CreditOrder
from application.billing.show_orders import ListMovements, ListOrders, ShowOrder
from application.billing.verify_payment import VerifyPayment
from application.billing.webhooks import ReceiveWebhook
from application.ports.payment_gateway import CheckoutReply
from application.ports.payments import MovementFilter, OrderFilter
from application.ports.security import Principal
from domain.billing.days import Days
from domain.billing.orders import OrderStatus
from domain.billing.payments import TransactionKind, TransactionStatus
from domain.billing.top_ups import PACKS
from domain.identity.user import Permission
from domain.shared.ids import OrderId
from entrypoints.http.access import GATEWAY, public, requires
from entrypoints.http.billing_schemas import (
    EventKeptView,
    OrderCreditsRequest,
    OrderDetailView,
    OrderPageView,
    OrderView,
    PackListView,
    PackView,
    TransactionPageView,
    TransactionView,
    VerifyPaymentRequest,
)
from entrypoints.http.cursors import DEFAULT_LIMIT, Cursor, Limit, cursor_after, page_from
from entrypoints.http.days import Since, Until, days_asked
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.routing import get, post


class BillingController(Controller):
    """Orders and payments."""

    path = "/billing"
    tags = ("Billing",)

    @get("/packs", guards=[requires(Permission.BILLING_READ)], summary="List what is for sale")
    async def packs(self) -> PackListView:
        """Packs of credits, and the bounds of a number of credits chosen freely."""
        return PackListView([PackView.of(pack) for pack in PACKS])

    @post("/orders", guards=[requires(Permission.BILLING_BUY)], summary="Order credits")
    async def order_credits(
        self,
        data: JSONBody[OrderCreditsRequest],
        principal: NamedDependency[Principal],
        buy_credits: NamedDependency[BuyCredits],
        show_order: NamedDependency[ShowOrder],
        once: NamedDependency[OncePerKey],
    ) -> Response[OrderView]:
        """Make an order at the server's price. It is open for half an hour to be paid."""
        return await once(
            lambda completion: buy_credits(
                CreditOrder(
                    user_id=principal.user_id,
                    pack=data.pack,
                    credits=data.credits,
                    coupon=data.coupon,
                    once=completion,
                )
            ),
            lambda order: OrderView.of(order, show_order.checkout(order)),
        )

    @get("/orders", guards=[requires(Permission.BILLING_READ)], summary="List orders")
    async def orders(
        self,
        principal: NamedDependency[Principal],
        list_orders: NamedDependency[ListOrders],
        show_order: NamedDependency[ShowOrder],
        status: Annotated[OrderStatus | None, QueryParameter(description="Their state.")] = None,
        since: Since = "",
        until: Until = "",
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> OrderPageView:
        """Orders, newest first; of some days, by when they were made."""
        found = await list_orders(
            principal.user_id, orders_asked(status, days_asked(since, until), cursor, limit)
        )
        return OrderPageView(
            items=[OrderView.of(order, show_order.checkout(order)) for order in found[:limit]],
            next_cursor=cursor_after([order.id for order in found], limit),
        )

    @get("/orders/{order_id:str}", guards=[requires(Permission.BILLING_READ)], summary="An order")
    async def order(
        self,
        order_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        show_order: NamedDependency[ShowOrder],
    ) -> OrderDetailView:
        """The order, the attempts to pay it, and how to pay it while it is open."""
        return OrderDetailView.of(*await show_order(principal.user_id, OrderId(order_id)))

    @post(
        "/orders/{order_id:str}/cancel",
        guards=[requires(Permission.BILLING_BUY)],
        status_code=HTTP_200_OK,
        summary="Cancel an order",
    )
    async def cancel_unpaid(
        self,
        order_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        cancel_order: NamedDependency[CancelOrder],
        once: NamedDependency[OncePerKey],
    ) -> Response[OrderView]:
        """Take an unpaid order back, which frees its coupon."""
        return await once(
            lambda completion: cancel_order(principal.user_id, OrderId(order_id), once=completion),
            OrderView.of,
        )

    @post(
        "/payments/verify",
        guards=[requires(Permission.BILLING_BUY)],
        status_code=HTTP_200_OK,
        summary="Verify a payment",
    )
    async def verify(
        self,
        data: JSONBody[VerifyPaymentRequest],
        principal: NamedDependency[Principal],
        verify_payment: NamedDependency[VerifyPayment],
    ) -> OrderView:
        """Send on what the checkout gave the browser; the order as the gateway confirms it.

        It is paid then, or still open while the payment is under way.
        """
        reply = CheckoutReply(
            gateway_order_id=data.razorpay_order_id,
            gateway_payment_id=data.razorpay_payment_id,
            signature=data.razorpay_signature,
        )
        return OrderView.of(await verify_payment(principal.user_id, reply))

    @get("/transactions", guards=[requires(Permission.BILLING_READ)], summary="List transactions")
    async def transactions(
        self,
        principal: NamedDependency[Principal],
        list_movements: NamedDependency[ListMovements],
        kind: Annotated[TransactionKind | None, QueryParameter(description="Their kind.")] = None,
        status: Annotated[
            TransactionStatus | None, QueryParameter(description="Their state.")
        ] = None,
        order_id: Annotated[UUID | None, QueryParameter(description="Of one order.")] = None,
        since: Since = "",
        until: Until = "",
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> TransactionPageView:
        """Payments, refunds and chargebacks, newest first."""
        asked = movements_asked(kind, status, order_id, cursor, limit)
        found = await list_movements(
            principal.user_id, replace(asked, days=days_asked(since, until))
        )
        return TransactionPageView(
            items=[TransactionView.of(movement) for movement in found[:limit]],
            next_cursor=cursor_after([movement.id for movement in found], limit),
        )


@post(
    "/webhooks/razorpay",
    guards=[public],
    opt={GATEWAY: True},
    status_code=HTTP_200_OK,
    tags=["Billing"],
    summary="Receive an event of Razorpay's",
    # Its body is the gateway's to describe, and nobody else can sign it.
    include_in_schema=False,
)
async def receive_event(
    request: Request[Any, Any, Any], receive_webhook: NamedDependency[ReceiveWebhook]
) -> EventKeptView:
    """Keep a signed event; it is acted on within seconds. Repeats are kept once."""
    await receive_webhook(
        {name.lower(): value for name, value in request.headers.items()}, await request.body()
    )
    return EventKeptView()


def orders_asked(status: OrderStatus | None, days: Days, cursor: str, limit: int) -> OrderFilter:
    """Which orders a request asks for, one more than a page, to see whether another follows.

    Raises:
        InvalidValue: the cursor is not one of ours, or the limit is out of range.
    """
    page = page_from(cursor, limit)
    return OrderFilter(limit=page.limit, after=page.after, status=status, days=days)


def movements_asked(
    kind: TransactionKind | None,
    status: TransactionStatus | None,
    order_id: UUID | None,
    cursor: str,
    limit: int,
) -> MovementFilter:
    """Which movements a request asks for, one more than a page, to see whether another follows.

    Raises:
        InvalidValue: the cursor is not one of ours, or the limit is out of range.
    """
    page = page_from(cursor, limit)
    return MovementFilter(
        limit=page.limit,
        after=page.after,
        kind=kind,
        status=status,
        order_id=None if order_id is None else OrderId(order_id),
    )
