"""A year of subscriptions: every day the books are whole, and nobody has what was not paid.

Five people start, change, pause, cancel, pay, fail to pay, are refunded and spend, as one
seed has it, over PostgreSQL on a moved clock. Two dispatchers look at once, every day.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit import CHECKS, audit_over
from adapters.postgres.ledger import PostgresLapsedCredits
from application.billing.expire_credits import ExpireCredits
from application.billing.export_usage import ExportUsage
from application.billing.refund_desk import RefundOrder
from application.ports.ledger import EntryQuery
from application.ports.payments import OrderFilter
from application.ports.usage import SettledStep, UsageFilter
from application.subscriptions.manage_subscription import Change, NewSubscription
from domain.billing.ledger import AccountKind, EntryKind, Reservation, Settlement
from domain.billing.payments import NothingToRefund
from domain.billing.plans import FREE
from domain.billing.usage import TokenUsage
from domain.identity.user import User
from domain.shared.errors import Conflict, InvalidValue
from domain.shared.ids import ProjectId, RunId
from tests.contracts.office import Office
from tests.contracts.samples import ORIGIN, new_id
from tests.integration.subscriptions.conftest import ServersClock

SEED = 20_261_124
PEOPLE = 5
DAYS = 365
PLANS = {"student": 1, "pro": 1, "team": 4, "college": 25}


@dataclass
class Year:
    """What happens, and what was done, beside what the house keeps of it."""

    office: Office
    clock: ServersClock
    expire: ExpireCredits
    random: Random = field(default_factory=lambda: Random(SEED))
    spent: Counter[Any] = field(default_factory=Counter)
    did: Counter[str] = field(default_factory=Counter)

    async def day(self) -> None:
        for user in self.office.people:
            if self.random.random() < 0.35:
                await self._something(user)
        self.clock.move(timedelta(days=1))
        await self.clock.sync()
        await asyncio.gather(self.office.settle(), self.office.settle())
        await self.office.hear()
        await self._chores()

    async def _chores(self) -> None:
        for chore in (self.office.reconcile, self.office.reconcile_refunds, self.expire):
            await chore()

    async def _something(self, user: User) -> None:
        deed = await self._deed(user)
        try:
            await deed(user)
        except (Conflict, InvalidValue, NothingToRefund) as refused:
            self.did[f"refused {refused.code}"] += 1
        else:
            self.did[deed.__name__] += 1

    async def _deed(self, user: User) -> Callable[[User], Awaitable[None]]:
        """What somebody is likely to do, by what they have."""
        shown = await self.office.show(user.id)
        sub = shown.subscription
        if sub is None or sub.ended:
            return self._start
        if sub.charge is not None and self.random.random() < 0.7:
            return self.random.choice([self._pay, self._pay, self._pay, self._decline])
        deeds: list[tuple[int, Callable[[User], Awaitable[None]]]] = [
            (5, self._change),
            (1, self._cancel),
            (2, self._pause),
            (3, self._resume),
            (1, self._break_mandate),
            (3, self._give_seat),
            (1, self._refund),
            (8, self._spend),
        ]
        (deed,) = self.random.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])
        return deed

    async def _start(self, user: User) -> None:
        plan = self.random.choice(sorted(PLANS))
        trial = self.random.random() < 0.3
        await self.office.start(
            NewSubscription(
                origin=ORIGIN,
                user_id=user.id,
                plan=plan,
                seats=1 if trial else PLANS[plan],
                trial=trial,
            )
        )
        if self.random.random() < 0.8:
            await self._pay(user)

    async def _pay(self, user: User) -> None:
        if (await self.office.show(user.id)).order_id is not None:
            await self.office.pay(user)
            self.did["paid"] += 1

    async def _decline(self, user: User) -> None:
        if (await self.office.show(user.id)).order_id is not None:
            await self.office.decline(user)

    async def _change(self, user: User) -> None:
        plan = self.random.choice(sorted(PLANS))
        more = self.random.randint(0, 3) if PLANS[plan] > 1 else 0
        await self.office.manage.change(
            Change(origin=ORIGIN, user_id=user.id, plan=plan, seats=PLANS[plan] + more)
        )
        if self.random.random() < 0.7:
            await self._pay(user)

    async def _cancel(self, user: User) -> None:
        await self.office.manage.cancel(user.id, origin=ORIGIN)

    async def _pause(self, user: User) -> None:
        await self.office.manage.pause(user.id, origin=ORIGIN)

    async def _resume(self, user: User) -> None:
        await self.office.manage.resume(user.id, origin=ORIGIN)

    async def _break_mandate(self, user: User) -> None:
        subscription = (await self.office.show(user.id)).subscription
        if subscription is not None and subscription.mandate is not None:
            await self.office.gateway.let_mandate(subscription.mandate.token_id, good=False)

    async def _give_seat(self, user: User) -> None:
        await self.office.seats.assign(
            user.id, self.random.choice(self.office.people).email, origin=ORIGIN
        )

    async def _refund(self, user: User) -> None:
        async with self.office.uow.begin(user.id) as tx:
            for order in await tx.orders.page(OrderFilter(limit=20)):
                for payment in await tx.payments.of_order(order.id):
                    if payment.refundable_paise > 0:
                        break
                else:
                    continue
                break
            else:
                return
        share = self.random.choice([1.0, 1.0, 0.3])
        await self.office.refunds.request(
            RefundOrder(
                origin=ORIGIN,
                user_id=user.id,
                payment_id=payment.id,
                amount_paise=max(1, int(payment.refundable_paise * share)),
                reason="asked for",
            )
        )
        self.did["refunded"] += 1

    async def _spend(self, user: User) -> None:
        """What a run does to an account, without the run."""
        run_id, held = RunId(new_id()), 0
        async with self.office.uow.begin(user.id) as tx:
            available = (await tx.ledger.balance(user.id)).available
            held = min(available, self.random.randint(1, 30_000))
            if not held:
                return
            await tx.ledger.reserve(
                Reservation(
                    user_id=user.id, key=f"hold:{run_id}", run_id=run_id, step="s", credits=held
                )
            )
        async with self.office.uow.begin(user.id) as tx:
            charged = await tx.ledger.settle(
                Settlement(
                    user_id=user.id,
                    key=f"settle:{run_id}",
                    run_id=run_id,
                    step="s",
                    used=self.random.randint(0, held),
                )
            )
            await tx.usage.record(
                SettledStep(
                    user_id=user.id,
                    project_id=ProjectId(new_id()),
                    run_id=run_id,
                    step="s",
                    mode="developer",
                    model="a-model",
                    charged=True,
                    usage=TokenUsage(output=charged),
                    credits=charged,
                    cost_nano_usd=0,
                    house_nano_usd=0,
                    paise_per_usd=9_000,
                )
            )
            self.spent[user.id] += charged


async def test_a_year_in_which_every_day_balances(
    office: Office,
    moved_clock: ServersClock,
    moved_engines: tuple[AsyncEngine, AsyncEngine],
    moved_owner: AsyncEngine,
) -> None:
    _, dispatch = moved_engines
    year = Year(
        office=office,
        clock=moved_clock,
        expire=ExpireCredits(PostgresLapsedCredits(dispatch), office.uow),
    )
    for _ in range(PEOPLE):
        user = await office.person()
        async with office.uow.begin(user.id) as tx:
            await tx.entitlements.open_free(moved_clock.now())
    for day in range(DAYS):
        await year.day()
        async with audit_over(moved_owner) as audit:
            found = [difference async for difference in audit.differences(*CHECKS)]
            assert not found, f"day {day}: {found}"
        await _nobody_has_what_was_not_paid(year, dispatch)
        somebody = year.random.choice(office.people)
        assert await _exported(office, somebody) == await _charged(office, somebody)
    # The year was one: each of these happened, and often.
    assert office.metrics.alerts == []
    for deed in ("_start", "_pay", "_decline", "_change", "_cancel", "_pause", "refunded"):
        assert year.did[deed] >= 3, year.did
    for user in office.people:
        assert await _exported(office, user) == year.spent[user.id]
        assert await _charged(office, user) == year.spent[user.id]
    kinds = await _kinds_told(dispatch, office.people)
    assert {
        "subscription.started",
        "subscription.renewed",
        "subscription.changed",
        "subscription.change_scheduled",
        "subscription.past_due",
        "subscription.payment_failed",
        "subscription.paused",
        "subscription.ended",
        "subscription.refunded",
        "subscription.trial_started",
    } <= kinds
    async with audit_over(moved_owner) as audit:
        accounts = await audit.accounts()
    assert accounts[AccountKind.EXPIRED] > 0
    assert accounts[AccountKind.REVENUE] >= sum(year.spent.values()) > 0


async def _nobody_has_what_was_not_paid(year: Year, dispatch: AsyncEngine) -> None:
    """Entitlements end with their subscription; credits name a paid charge, or a trial."""
    # Those of the year: other tests' people live by other clocks.
    now, people = year.clock.now(), [user.id for user in year.office.people]
    async with dispatch.connect() as connection:
        unfounded = await connection.scalar(
            text(
                "SELECT count(*) FROM entitlements e JOIN subscriptions s"
                " ON s.id = e.subscription_id WHERE e.ends_at > :now"
                " AND s.status IN ('pending', 'paused', 'cancelled', 'expired')"
                " AND s.user_id = ANY(:people)"
            ),
            {"now": now, "people": people},
        )
    assert unfounded == 0
    user = year.random.choice(year.office.people)
    async with dispatch.connect() as connection:
        lasting = await connection.scalar(
            text("SELECT count(*) FROM entitlements WHERE user_id = :u AND ends_at > :now"),
            {"u": user.id, "now": now},
        )
    assert ((await year.office.plan(user)).code == FREE) == (lasting == 0)
    async with dispatch.connect() as connection:
        unpaid = await connection.scalar(
            text(
                "SELECT count(*) FROM allotments a LEFT JOIN subscription_charges c"
                " ON c.reference = a.reference"
                " WHERE a.granted_at IS NOT NULL AND a.reference !~ '[:]trial$'"
                " AND c.status IS DISTINCT FROM 'paid' AND a.user_id = ANY(:people)"
            ),
            {"people": people},
        )
    assert unpaid == 0


async def _kinds_told(dispatch: AsyncEngine, people: list[User]) -> set[str]:
    async with dispatch.connect() as connection:
        kinds = await connection.scalars(
            text("SELECT DISTINCT kind FROM notices WHERE user_id = ANY(:people)"),
            {"people": [user.id for user in people]},
        )
        return set(kinds)


async def _exported(office: Office, user: User) -> int:
    """The credits of every line of somebody's usage export."""
    lines = await ExportUsage(office.uow)(user.id, UsageFilter())
    return sum([line.step.credits async for batch in lines for line in batch])


async def _charged(office: Office, user: User) -> int:
    """What the ledger says that somebody paid for use."""
    booked, before = 0, None
    while True:
        async with office.uow.begin(user.id) as tx:
            page = await tx.ledger.entries(
                EntryQuery(limit=100, before=before, kind=EntryKind.SETTLE)
            )
        booked += sum(entry.sums[AccountKind.REVENUE] for entry in page)
        if len(page) < 100:
            return booked
        before = page[-1].number
