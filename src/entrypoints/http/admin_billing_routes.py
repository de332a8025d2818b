"""What operators see of everybody's money, and may do about it."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from application.billing.oversee_payments import (
    ManageCoupons,
    NewCoupon,
    OverseeMovements,
    OverseeOrders,
    OverseeWebhooks,
    RefundAnyPayment,
)
from application.ports.payments import WebhookStatus
from application.ports.security import Principal
from domain.audit.origin import Origin
from domain.billing.orders import OrderStatus
from domain.billing.payments import TransactionKind, TransactionStatus
from domain.identity.user import Permission
from domain.shared.ids import CouponId, TransactionId, UserId
from entrypoints.http.access import requires
from entrypoints.http.billing_routes import movements_asked, orders_asked
from entrypoints.http.billing_schemas import (
    CouponPageView,
    CouponRequest,
    CouponSwitch,
    CouponView,
    EventKeptView,
    GatewayEventPageView,
    GatewayEventView,
    OrderView,
    OverseenOrderPageView,
    OverseenOrderView,
    OverseenTransactionPageView,
    OverseenTransactionView,
    RefundRequestBody,
    RefundView,
    TransactionView,
)
from entrypoints.http.cursors import DEFAULT_LIMIT, Cursor, Limit, cursor_after, page_from
from entrypoints.http.days import Since, Until, days_asked
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.routing import get, patch, post

_OPERATOR = [requires(Permission.BILLING_OPERATE)]


class AdminBillingController(Controller):
    """Everybody's payments."""

    path = "/admin"
    tags = ("Operation",)

    @get("/orders", guards=_OPERATOR, summary="List everybody's orders")
    async def orders(
        self,
        oversee_orders: NamedDependency[OverseeOrders],
        user_id: Annotated[UUID | None, QueryParameter(description="Of one person.")] = None,
        status: Annotated[OrderStatus | None, QueryParameter(description="Their state.")] = None,
        since: Since = "",
        until: Until = "",
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> OverseenOrderPageView:
        """Orders, newest first, whoever made them; of some days, by when they were made."""
        found = await oversee_orders(
            orders_asked(status, days_asked(since, until), cursor, limit),
            None if user_id is None else UserId(user_id),
        )
        return OverseenOrderPageView(
            items=[OverseenOrderView(each.user_id, OrderView.of(each)) for each in found[:limit]],
            next_cursor=cursor_after([each.id for each in found], limit),
        )

    @get("/transactions", guards=_OPERATOR, summary="List everybody's transactions")
    async def transactions(
        self,
        oversee_movements: NamedDependency[OverseeMovements],
        user_id: Annotated[UUID | None, QueryParameter(description="Of one person.")] = None,
        kind: Annotated[TransactionKind | None, QueryParameter(description="Their kind.")] = None,
        status: Annotated[
            TransactionStatus | None, QueryParameter(description="Their state.")
        ] = None,
        order_id: Annotated[UUID | None, QueryParameter(description="Of one order.")] = None,
        since: Since = "",
        until: Until = "",
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> OverseenTransactionPageView:
        """Payments, refunds and chargebacks, newest first, whoever they are of."""
        asked = movements_asked(kind, status, order_id, cursor, limit)
        found = await oversee_movements(
            replace(asked, days=days_asked(since, until)),
            None if user_id is None else UserId(user_id),
        )
        return OverseenTransactionPageView(
            items=[
                OverseenTransactionView(movement.user_id, TransactionView.of(movement))
                for movement in found[:limit]
            ],
            next_cursor=cursor_after([movement.id for movement in found], limit),
        )

    @post(
        "/transactions/{payment_id:str}/refund",
        guards=_OPERATOR,
        status_code=HTTP_202_ACCEPTED,
        summary="Give a payment back",
    )
    async def refund_payment(
        self,
        payment_id: FromPath[UUID],
        data: JSONBody[RefundRequestBody],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        refund_any_payment: NamedDependency[RefundAnyPayment],
        once: NamedDependency[OncePerKey],
    ) -> Response[RefundView]:
        """Give back a part of a payment or all of it. What it had bought is taken back."""
        return await once(
            lambda completion: refund_any_payment(
                principal.user_id,
                TransactionId(payment_id),
                amount_paise=data.amount_paise,
                reason=data.reason,
                origin=origin,
                once=completion,
            ),
            RefundView.of,
            account=await refund_any_payment.owner_of(TransactionId(payment_id)),
        )

    @post(
        "/refunds/{refund_id:str}/retry",
        guards=_OPERATOR,
        status_code=HTTP_202_ACCEPTED,
        summary="Ask anew for a failed refund",
    )
    async def retry_refund(
        self,
        refund_id: FromPath[UUID],
        origin: NamedDependency[Origin],
        refund_any_payment: NamedDependency[RefundAnyPayment],
    ) -> RefundView:
        """Ask the gateway once more. What was taken back is not taken back twice."""
        return RefundView.of(
            await refund_any_payment.retry(TransactionId(refund_id), origin=origin)
        )

    @get("/gateway-events", guards=_OPERATOR, summary="List the gateway's events")
    async def events(
        self,
        oversee_webhooks: NamedDependency[OverseeWebhooks],
        status: Annotated[
            WebhookStatus, QueryParameter(description="Their state.")
        ] = WebhookStatus.SET_ASIDE,
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> GatewayEventPageView:
        """Events of one state, newest first; by default those that somebody must look at."""
        found = await oversee_webhooks(status, page_from(cursor, limit))
        return GatewayEventPageView(
            items=[GatewayEventView.of(webhook) for webhook in found[:limit]],
            next_cursor=cursor_after([webhook.id for webhook in found], limit),
        )

    @post(
        "/gateway-events/{event_id:str}/retry",
        guards=_OPERATOR,
        status_code=HTTP_202_ACCEPTED,
        summary="Act on an event again",
    )
    async def retry_event(
        self,
        event_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        oversee_webhooks: NamedDependency[OverseeWebhooks],
    ) -> EventKeptView:
        """Make an event that was set aside due again."""
        await oversee_webhooks.retry(principal.user_id, event_id, origin=origin)
        return EventKeptView()

    @post("/coupons", guards=_OPERATOR, summary="Make a coupon")
    async def make_coupon(
        self,
        data: JSONBody[CouponRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        manage_coupons: NamedDependency[ManageCoupons],
        once: NamedDependency[OncePerKey],
    ) -> Response[CouponView]:
        """Keep a new coupon, valid from now unless said otherwise; one use a person."""
        command = NewCoupon(
            code=data.code,
            percent=data.percent,
            fixed_paise=data.fixed_paise,
            minimum_paise=data.minimum_paise,
            purposes=frozenset(data.purposes),
            valid_from=data.valid_from,
            valid_until=data.valid_until,
            max_redemptions=data.max_redemptions,
        )
        return await once(
            lambda completion: manage_coupons.make(
                principal.user_id, command, origin=origin, once=completion
            ),
            CouponView.of,
        )

    @get("/coupons", guards=_OPERATOR, summary="List coupons")
    async def coupons(
        self,
        principal: NamedDependency[Principal],
        manage_coupons: NamedDependency[ManageCoupons],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> CouponPageView:
        """Coupons, newest first, with how often they were used."""
        found = await manage_coupons.list(principal.user_id, page_from(cursor, limit))
        return CouponPageView(
            items=[CouponView.of(coupon) for coupon in found[:limit]],
            next_cursor=cursor_after([coupon.id for coupon in found], limit),
        )

    @patch(
        "/coupons/{coupon_id:str}",
        guards=_OPERATOR,
        status_code=HTTP_200_OK,
        summary="Switch a coupon on or off",
    )
    async def switch_coupon(
        self,
        coupon_id: FromPath[UUID],
        data: JSONBody[CouponSwitch],
        origin: NamedDependency[Origin],
        principal: NamedDependency[Principal],
        manage_coupons: NamedDependency[ManageCoupons],
    ) -> CouponView:
        """Let a coupon be used, or not any more. Orders that hold it keep their price."""
        return CouponView.of(
            await manage_coupons.switch(
                principal.user_id, CouponId(coupon_id), active=data.active, origin=origin
            )
        )
