"""Buy credits: an order at the server's price, told to the gateway, ready to be paid."""

from dataclasses import dataclass, replace

import structlog

from application.billing.order_desk import OrderDesk
from application.ports.idempotency import Completion
from application.ports.payment_gateway import (
    GatewayRefused,
    GatewayUnavailable,
    PaymentsNotConfigured,
)
from application.ports.persistence import Transaction, UnitOfWork
from domain.billing.orders import Order, OrderNotOpen, OrderPurpose, OrderStatus
from domain.billing.subscriptions.subscription import SubscriptionState
from domain.billing.top_ups import TopUp, custom, pack
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import OrderId, UserId

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditOrder:
    """What is wanted: a ``pack`` by its code, or a number of ``credits``, and a coupon or none."""

    user_id: UserId
    pack: str = ""
    credits: int | None = None
    coupon: str = ""
    once: Completion[Order] | None = None


@dataclass(frozen=True, slots=True)
class BuyCredits:
    """Makes the order and places it. Nothing is paid yet, and nothing granted."""

    uow: UnitOfWork
    desk: OrderDesk

    async def __call__(self, command: CreditOrder) -> Order:
        """The placed order.

        Raises:
            InvalidValue: neither pack nor credits, or both, no such pack, or too few or too many.
            CouponNotUsable: there is no such coupon, or it does not apply.
            CouponAlreadyUsed: the person has used it, or holds it with another order.
            CouponExhausted: it is used up.
            GatewayUnavailable: the gateway did not answer. The order is cancelled.
            GatewayRefused: it will not take the order, which is cancelled.
            PaymentsNotConfigured: there is no gateway.
            KeyClaimLost: another request with the same key came first.
        """
        wanted = _wanted(command)
        async with self.uow.begin(command.user_id) as tx:
            order = await self.desk.open(
                tx,
                user_id=command.user_id,
                purpose=OrderPurpose.TOP_UP,
                reference=wanted.code,
                amount_paise=wanted.amount_paise,
                description=f"{wanted.title}: {wanted.credits} credits",
                credits=wanted.credits,
                coupon_code=command.coupon,
            )

        async def complete(tx: Transaction, placed: Order) -> None:
            if command.once is not None:
                await command.once.store(tx.idempotency, placed)

        try:
            return await self.desk.place(order, complete)
        except (GatewayUnavailable, GatewayRefused, PaymentsNotConfigured):
            # Nobody can pay it: the coupon must not wait for its expiry.
            await cancel(self.uow, command.user_id, order.id)
            raise


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Takes an unpaid order back, and frees its coupon."""

    uow: UnitOfWork

    async def __call__(
        self, user_id: UserId, order_id: OrderId, *, once: Completion[Order] | None = None
    ) -> Order:
        """The cancelled order. A payment that comes all the same still buys credits.

        Raises:
            NotFound: no such order, or another person's.
            OrderNotOpen: it has been paid, has expired or was cancelled.
            SubscriptionState: a subscription asks for its next period with it.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(user_id) as tx:
            order = await tx.orders.get(order_id)
        # What an order is for never changes.
        if order is not None and order.purpose is OrderPurpose.SUBSCRIPTION_RENEWAL and order.open:
            # Without it, nothing could be paid until the subscription has run out.
            raise SubscriptionState(
                "This order asks for your subscription's next period. Cancel or change the "
                "subscription, and its order goes with it; or leave it unpaid.",
                order_id=str(order_id),
            )
        return await cancel(self.uow, user_id, order_id, once)


async def cancel(
    uow: UnitOfWork, user_id: UserId, order_id: OrderId, once: Completion[Order] | None = None
) -> Order:
    """Take an unpaid order back, in a transaction of its own; see :class:`CancelOrder`."""
    async with uow.begin(user_id) as tx:
        order = await tx.orders.get(order_id, lock=True)
        if order is None:
            raise NotFound("order", order_id)
        if not order.open:
            raise OrderNotOpen(order)
        cancelled = replace(order, status=OrderStatus.CANCELLED)
        await tx.orders.save(cancelled)
        if order.coupon_id is not None:
            await tx.coupons.release(order.coupon_id, order.id)
        if once is not None:
            await once.store(tx.idempotency, cancelled)
        return cancelled


def _wanted(command: CreditOrder) -> TopUp:
    if bool(command.pack) == (command.credits is not None):
        raise InvalidValue("pack", "Name a pack or a number of credits, and not both.")
    return pack(command.pack) if command.pack else custom(command.credits or 0)
