"""What time and the dispatcher do to subscriptions, their seats, and the months of Free.

Each look takes due rows, and each row is worked on by itself: one that fails is logged and
comes due again, and keeps no other from its turn.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from application.billing.order_desk import OrderDesk
from application.ports.clock import Clock, IdMaker
from application.ports.payment_gateway import (
    GatewayRefused,
    GatewayUnavailable,
    PaymentsNotConfigured,
)
from application.ports.persistence import DatabaseUnavailable, UnitOfWork
from application.ports.subscriptions import (
    DueCollection,
    DueSeat,
    DueSubscription,
    Notice,
    SubscriptionSchedule,
)
from application.subscriptions.keeper import SubscriptionKeeper, give
from domain.billing.ledger import Grant, LotKind
from domain.billing.months import months_after
from domain.billing.orders import OrderNotOpen
from domain.billing.plans import FREE
from domain.billing.subscriptions.changes import NoticeKind, TimePassed
from domain.billing.subscriptions.lifecycle import decide
from domain.shared.ids import UserId

log = structlog.get_logger(__name__)

T = TypeVar("T")

BATCH = 100
AGAIN_SECONDS = 60.0
"""How long work that was taken is left alone before it is tried again."""

COLLECT_AGAIN_SECONDS = 600.0
UNBOUND_SEAT_SECONDS = 3600.0
"""How often it is looked whether somebody has the account of a seat's email by now."""


@dataclass(frozen=True, slots=True)
class AdvanceSubscriptions:
    """One look at everything that is due. Many dispatchers may look at once."""

    schedule: SubscriptionSchedule
    uow: UnitOfWork
    keeper: SubscriptionKeeper
    desk: OrderDesk
    clock: Clock
    ids: IdMaker

    async def __call__(self) -> int:
        """Do what is due; returns how many rows that were.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        now = self.clock.now()
        subscriptions = await self.schedule.due_subscriptions(now, BATCH, AGAIN_SECONDS)
        await _each(subscriptions, self._advance)
        collections = await self.schedule.due_collections(now, BATCH, COLLECT_AGAIN_SECONDS)
        await _each(collections, self._collect)
        seats = await self.schedule.due_seats(now, BATCH, AGAIN_SECONDS)
        await _each(seats, self._bring_up)
        people = await self.schedule.due_free_months(now, BATCH, AGAIN_SECONDS)
        await _each(people, self._free_month)
        return len(subscriptions) + len(collections) + len(seats) + len(people)

    async def _advance(self, due: DueSubscription) -> None:
        async with self.uow.begin(due.user_id) as tx:
            subscription = await tx.subscriptions.get(due.id, lock=True)
            if subscription is None:
                return
            outcome = decide(subscription, TimePassed(), self.clock.now())
            carried = await self.keeper.carry_out(tx, subscription, outcome)
        await self.keeper.afterwards(due.user_id, carried)

    async def _collect(self, due: DueCollection) -> None:
        """Charge the mandate; without one, see that the order can be paid by hand."""
        async with self.uow.begin(due.user_id) as tx:
            order_id = await tx.subscriptions.order_of(due.reference)
            order = await tx.orders.get(order_id) if order_id else None
            subscription = await tx.subscriptions.current()
        mandate = subscription.mandate if subscription else None
        if order is not None and order.open:
            try:
                if mandate is not None:
                    await self.desk.charge_mandate(order, mandate)
                else:
                    await self.desk.place(order)
            except (GatewayRefused, PaymentsNotConfigured, OrderNotOpen) as error:
                # The next collection of the schedule tries again.
                log.warning("not collected", reference=due.reference, error=error.message)
        async with self.uow.begin(due.user_id) as tx:
            await tx.subscriptions.collect(due.reference, None)

    async def _bring_up(self, seat: DueSeat) -> None:
        """Give a seat's holder what its subscription says, or end it."""
        now = self.clock.now()
        holder_id = seat.holder_id or await self._bound(seat)
        if holder_id is None:
            again = None if seat.withdrawn else now + timedelta(seconds=UNBOUND_SEAT_SECONDS)
            await self.schedule.seat_done(seat, [], again_at=again)
            return
        given = await self.schedule.claim_allotments(replace(seat, holder_id=holder_id), now)
        async with self.uow.begin(holder_id) as tx:
            if seat.until is not None and seat.until > now:
                await tx.entitlements.put(seat.subscription_id, seat.plan_id, seat.until, now)
                await tx.notices.add(
                    Notice(
                        id=self.ids.new(),
                        user_id=holder_id,
                        key=f"seat:{seat.id}",
                        kind=NoticeKind.SEAT_GIVEN,
                        data={"until": seat.until.isoformat()},
                        created_at=now,
                    )
                )
            else:
                await tx.entitlements.end(seat.subscription_id, now)
            for allotment in given:
                await give(tx, holder_id, allotment)
        await self.schedule.seat_done(seat, given, again_at=None)

    async def _bound(self, seat: DueSeat) -> UserId | None:
        """Whose the seat is, if somebody has the account of its email by now."""
        async with self.uow.begin(None) as tx:
            holder = await tx.users.by_email(seat.email)
        if holder is None or holder.email_verified_at is None or seat.withdrawn:
            return None
        await self.schedule.bind(seat, holder.id)
        return holder.id

    async def _free_month(self, user_id: UserId) -> None:
        """Grant the month of Free that has begun, unless another plan holds; none is caught up."""
        now = self.clock.now()
        async with self.uow.begin(user_id) as tx:
            row = await tx.entitlements.free_month()
            if row is None:
                return
            anchor, month = row
            month = _begun(anchor, month, now)
            if months_after(anchor, month) <= now:
                plan = await tx.entitlements.effective(now)
                if plan.code == FREE and plan.credits:
                    await tx.ledger.grant(
                        Grant(
                            user_id=user_id,
                            key=f"free:{user_id}:{month}",
                            credits=plan.credits,
                            kind=LotKind.PLAN_GRANT,
                            expires_at=months_after(anchor, month + 1),
                            reference=f"free:{month}",
                        )
                    )
                month += 1
            await tx.entitlements.next_free_month(month, months_after(anchor, month))


def _begun(anchor: datetime, month: int, now: datetime) -> int:
    """The last month that has begun by now, not before ``month``."""
    while months_after(anchor, month + 1) <= now:
        month += 1
    return month


async def _each(rows: Sequence[T], work: Callable[[T], Awaitable[None]]) -> None:
    for row in rows:
        try:
            await work(row)
        except DatabaseUnavailable:
            raise
        except GatewayUnavailable as error:
            log.warning("put off", row=repr(row), error=error.message)
        except Exception as error:
            log.error("due row failed; it comes again", row=repr(row), exc_info=error)
