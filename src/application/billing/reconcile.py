"""Asking the gateway about what it has not told: unpaid orders and refunds under way."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from application.billing.payment_book import PaymentBook
from application.billing.refund_desk import RefundDesk
from application.ports.clock import Clock
from application.ports.payment_gateway import (
    GatewayPayment,
    GatewayRefused,
    GatewayUnavailable,
    PaymentGateway,
    PaymentsNotConfigured,
)
from application.ports.payments import Owned, PaymentSchedule
from application.ports.persistence import DatabaseUnavailable, UnitOfWork
from domain.billing.orders import Order, OrderStatus
from domain.billing.payments import PaymentMismatch, TransactionStatus
from domain.shared.ids import OrderId, TransactionId, UserId

log = structlog.get_logger(__name__)

BATCH = 20
DEFER_SECONDS = 60.0
"""How long a row that was taken is left alone, if whoever took it does not say otherwise."""

WATCHED_FOR = timedelta(days=5)
"""How long after its making an order is watched for a late payment: an authorisation that is
not captured by then is given back by the gateway."""

_SOONEST = timedelta(minutes=1)
_SELDOM = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ReconcileOrders:
    """Looks at orders whose time has come: settles what was paid, expires what was not."""

    schedule: PaymentSchedule
    uow: UnitOfWork
    gateway: PaymentGateway
    book: PaymentBook
    clock: Clock

    async def __call__(self) -> int:
        """Look at a batch of due orders; returns how many there were.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        due = await self.schedule.due_orders(BATCH, DEFER_SECONDS)
        await _each(due, lambda owned: self.look_at(owned.user_id, OrderId(owned.id)))
        return len(due)

    async def look_at(self, user_id: UserId, order_id: OrderId) -> None:
        """Ask about one order, and say when to ask again.

        Raises:
            GatewayUnavailable: the gateway did not answer. The order stays as it is.
        """
        async with self.uow.begin(user_id) as tx:
            order = await tx.orders.get(order_id)
        if order is None:
            return
        for seen in await self._attempts(order):
            try:
                await self.book.observe(user_id, order_id, seen)
            except (PaymentMismatch, GatewayRefused) as error:
                # One attempt that cannot be used must not keep the order from its end.
                log.warning("attempt not used", order_id=str(order_id), error=error.message)
        await self._move_on(user_id, order_id)

    async def _attempts(self, order: Order) -> Sequence[GatewayPayment]:
        if not order.gateway_order_id:
            return ()
        try:
            return await self.gateway.payments_of(order.gateway_order_id)
        except GatewayRefused as error:
            # It does not know the order: then nobody can have paid it.
            log.warning("order unknown", order_id=str(order.id), error=error.message)
            return ()

    async def _move_on(self, user_id: UserId, order_id: OrderId) -> None:
        now = self.clock.now()
        async with self.uow.begin(user_id) as tx:
            order = await tx.orders.get(order_id, lock=True)
            if order is None:
                return
            if order.open and now >= order.expires_at:
                order = replace(order, status=OrderStatus.EXPIRED)
                await tx.orders.save(order)
                if order.coupon_id is not None:
                    await tx.coupons.release(order.coupon_id, order.id)
                log.info("order expired", order_id=str(order.id), user_id=str(user_id))
            await tx.orders.look_again(order.id, _next_look(order, now))


async def _each(due: Sequence[Owned], look_at: Callable[[Owned], Awaitable[None]]) -> None:
    """Look at each; one that cannot be looked at now comes due again."""
    for owned in due:
        try:
            await look_at(owned)
        except (GatewayUnavailable, GatewayRefused, PaymentsNotConfigured) as error:
            log.warning("not reconciled", id=str(owned.id), error=error.message)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            # A row that breaks us must not stand in the way of those behind it.
            log.error("not reconciled", id=str(owned.id), exc_info=error)


def _next_look(order: Order, now: datetime) -> datetime | None:
    """Less and less often: after half of its age again while it is open, hourly at most."""
    age = now - order.created_at
    if order.open:
        return min(max(now + _SOONEST, now + age / 2), max(order.expires_at, now + _SOONEST))
    if order.status is OrderStatus.PAID or not order.gateway_order_id or age >= WATCHED_FOR:
        return None
    return now + max(_SELDOM, age / 2)


@dataclass(frozen=True, slots=True)
class ReconcileRefunds:
    """Asks for refunds whose asking was cut off, and how those under way stand."""

    schedule: PaymentSchedule
    uow: UnitOfWork
    gateway: PaymentGateway
    refunds: RefundDesk

    async def __call__(self) -> int:
        """Look at a batch of due refunds; returns how many there were.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        due = await self.schedule.due_refunds(BATCH, DEFER_SECONDS)
        await _each(due, lambda owned: self._look_at(owned.user_id, TransactionId(owned.id)))
        return len(due)

    async def _look_at(self, user_id: UserId, refund_id: TransactionId) -> None:
        async with self.uow.begin(user_id) as tx:
            refund = await tx.payments.refund(refund_id)
        if refund is None:
            return
        if refund.status is TransactionStatus.REQUESTED:
            await self.refunds.carry_out(refund)
        elif refund.status is TransactionStatus.PENDING:
            for seen in await self.gateway.refunds_of(refund.gateway_payment_id):
                if seen.id == refund.gateway_refund_id:
                    await self.refunds.record(user_id, refund.payment_id, seen)
