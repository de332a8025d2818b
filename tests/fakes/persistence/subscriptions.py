"""Plans, subscriptions, seats, entitlements and notices, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from uuid import UUID

from application.ports.subscriptions import (
    Allotment,
    DueCollection,
    DueProject,
    DueSeat,
    DueSubscription,
    EntitlementRepository,
    Notice,
    NoticeRepository,
    PlanRepository,
    RetentionRepository,
    SeatRepository,
    SubscriptionRepository,
    SubscriptionSchedule,
    SubscriptionSummary,
)
from domain.agents.artifacts import Mode
from domain.billing.months import months_after
from domain.billing.plans import FREE, Plan, PlanChanged
from domain.billing.seats import Seat, SeatTaken
from domain.billing.subscriptions.changes import AllotCredits
from domain.billing.subscriptions.subscription import (
    AlreadySubscribed,
    Charge,
    ChargeStatus,
    Subscription,
    SubscriptionStatus,
    TrialUsed,
)
from domain.identity.user import left_address
from domain.shared.ids import OrderId, PlanId, ProjectId, SeatId, SubscriptionId, UserId
from tests.fakes.clock import START
from tests.fakes.persistence.database import (
    AllotmentRow,
    ChargeRow,
    Entitlement,
    FreeMonths,
    InMemoryDatabase,
    SeatRow,
    Session,
    SubscriptionRow,
)


class InMemoryPlans(PlanRepository):
    """Every version of every plan, one list for all sessions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def offered(self) -> Sequence[Plan]:
        codes = {plan.code for plan in self._session.tables.plans.values()}
        newest = [await self.current(code) for code in codes]
        return sorted(
            (plan for plan in newest if plan and plan.on_sale),
            key=lambda plan: (plan.price_paise, plan.code),
        )

    async def current(self, code: str) -> Plan | None:
        versions = [plan for plan in self._session.tables.plans.values() if plan.code == code]
        return max(versions, key=lambda plan: plan.version, default=None)

    async def get(self, plan_id: PlanId) -> Plan | None:
        return self._session.tables.plans.get(plan_id)

    async def versions(self, *, limit: int, after: UUID | None, code: str) -> Sequence[Plan]:
        found = [
            plan
            for plan in self._session.tables.plans.values()
            if code in ("", plan.code) and (after is None or plan.id < after)
        ]
        return sorted(found, key=lambda plan: plan.id, reverse=True)[:limit]

    async def add(self, plan: Plan, *, by: UserId) -> None:
        current = await self.current(plan.code)
        if current is not None and current.version >= plan.version:
            raise self._session.refused(PlanChanged("There is such a version already."))
        self._session.tables.plans[plan.id] = plan


class InMemorySubscriptions(SubscriptionRepository):
    """The subscriptions of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def current(self, *, lock: bool = False) -> Subscription | None:
        return next((sub for sub in self._own() if not sub.ended), None)

    async def latest(self) -> Subscription | None:
        return max(self._own(), key=lambda sub: sub.id, default=None)

    async def get(
        self, subscription_id: SubscriptionId, *, lock: bool = False
    ) -> Subscription | None:
        return next((sub for sub in self._own() if sub.id == subscription_id), None)

    async def trial_used(self) -> bool:
        return any(sub.trial for sub in self._own())

    async def add(self, subscription: Subscription) -> None:
        self._session.require_own(subscription.user_id)
        if await self.current() is not None:
            raise AlreadySubscribed("There is one.")
        if subscription.trial and await self.trial_used():
            raise TrialUsed("There was one.")
        await self._put(subscription)

    async def save(self, subscription: Subscription) -> None:
        if await self.get(subscription.id) is not None:
            await self._put(subscription)

    async def _put(self, subscription: Subscription) -> None:
        self._session.tables.subscriptions[subscription.id] = SubscriptionRow(
            subscription=subscription, due_at=subscription.due_at
        )

    async def add_charge(
        self, subscription_id: SubscriptionId, charge: Charge, order_id: OrderId
    ) -> None:
        self._session.tables.charges[charge.reference] = ChargeRow(
            charge=charge,
            subscription_id=subscription_id,
            user_id=self._session.tenant,
            order_id=order_id,
        )

    async def charge_of(self, order_id: OrderId) -> tuple[SubscriptionId, Charge] | None:
        for row in self._session.tables.charges.values():
            if row.order_id == order_id and row.user_id == self._session.tenant:
                return row.subscription_id, row.charge
        return None

    async def order_of(self, reference: str) -> OrderId | None:
        row = self._charge(reference)
        return row.order_id if row else None

    async def close_charge(self, reference: str, status: ChargeStatus) -> None:
        self._change(reference, status=status)
        await self.collect(reference, None)

    async def note_refund(self, reference: str, paise: int) -> None:
        row = self._charge(reference)
        if row is not None:
            self._change(reference, refunded_paise=row.charge.refunded_paise + paise)

    async def collect(self, reference: str, at: datetime | None) -> None:
        row = self._charge(reference)
        if row is not None:
            self._session.tables.charges[reference] = replace(row, collect_at=at)

    def _charge(self, reference: str) -> ChargeRow | None:
        row = self._session.tables.charges.get(reference)
        return row if row and row.user_id == self._session.tenant else None

    def _change(self, reference: str, **changes: object) -> None:
        row = self._charge(reference)
        if row is not None:
            self._session.tables.charges[reference] = replace(
                row,
                charge=replace(row.charge, **changes),  # type: ignore[arg-type]
            )

    async def allot(self, subscription_id: SubscriptionId, allotted: AllotCredits) -> None:
        for seat in range(allotted.first, allotted.last + 1):
            key = f"{allotted.key}:{seat}"
            self._session.tables.allotments.setdefault(
                key,
                AllotmentRow(
                    allotment=Allotment(
                        key=key,
                        subscription_id=subscription_id,
                        seat=seat,
                        credits=allotted.credits,
                        expires_at=allotted.expires_at,
                        reference=allotted.reference,
                    ),
                    user_id=self._session.tenant,
                ),
            )

    async def take_own(
        self, subscription_id: SubscriptionId, seat: int, now: datetime
    ) -> Sequence[Allotment]:
        taken = []
        for key, row in self._allotted():
            allotment = row.allotment
            if (
                allotment.subscription_id == subscription_id
                and allotment.seat == seat
                and allotment.granted_to is None
                and allotment.expires_at > now
                and not row.withheld
            ):
                mine = replace(allotment, granted_to=self._session.tenant)
                self._session.tables.allotments[key] = replace(row, allotment=mine, granted_at=now)
                taken.append(mine)
        return taken

    async def given(self, reference: str, to: UserId) -> Sequence[Allotment]:
        return [
            row.allotment
            for _, row in self._allotted()
            if row.allotment.reference == reference and row.allotment.granted_to == to
        ]

    async def withhold(self, reference: str) -> None:
        for key, row in self._allotted():
            if row.allotment.reference == reference and row.allotment.granted_to is None:
                self._session.tables.allotments[key] = replace(row, withheld=True)

    def _allotted(self) -> list[tuple[str, AllotmentRow]]:
        rows = self._session.tables.allotments.items()
        return sorted(item for item in rows if item[1].user_id == self._session.tenant)

    def _own(self) -> list[Subscription]:
        """With the open charge as it is stored, as a join would have it."""
        tables, own = self._session.tables, []
        for row in tables.subscriptions.values():
            sub = row.subscription
            if sub.user_id == self._session.tenant:
                charge = sub.charge and tables.charges[sub.charge.reference].charge
                own.append(replace(sub, charge=charge))
        return own


class InMemorySeats(SeatRepository):
    """The seats of the session's person's subscriptions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def of(self, subscription_id: SubscriptionId) -> Sequence[Seat]:
        return sorted(
            (
                row.seat
                for row in self._own()
                if row.seat.subscription_id == subscription_id and row.seat.withdrawn_at is None
            ),
            key=lambda seat: seat.number,
        )

    async def add(self, seat: Seat) -> None:
        self._session.require_own(seat.user_id)
        for other in await self.of(seat.subscription_id):
            if seat.number == other.number or seat.email == other.email:
                raise SeatTaken("The seat, or the person, has one already.")
        self._session.tables.seats[seat.id] = SeatRow(seat=seat, due_at=seat.assigned_at)

    async def withdraw(self, seat_id: SeatId, at: datetime) -> None:
        for row in self._own():
            if row.seat.id == seat_id and row.seat.withdrawn_at is None:
                self._touch(replace(row, seat=replace(row.seat, withdrawn_at=at)), at)

    async def leave(self, email: str, at: datetime) -> int:
        me, free = self._session.tenant, 0
        for row in list(self._session.tables.seats.values()):
            if row.seat.holder_id != me and row.seat.email != email:
                continue
            seat = replace(row.seat, email=left_address(me))
            if row.seat.withdrawn_at is not None:
                self._session.tables.seats[seat.id] = replace(row, seat=seat)
                continue
            self._touch(replace(row, seat=replace(seat, withdrawn_at=at)), at)
            free += 1
        return free

    async def touch(self, subscription_id: SubscriptionId, at: datetime) -> None:
        for row in self._own():
            if row.seat.subscription_id == subscription_id and row.seat.withdrawn_at is None:
                self._touch(row, at)

    def _touch(self, row: SeatRow, at: datetime) -> None:
        self._session.tables.seats[row.seat.id] = replace(row, version=row.version + 1, due_at=at)

    def _own(self) -> list[SeatRow]:
        rows = self._session.tables.seats.values()
        return [row for row in rows if row.seat.user_id == self._session.tenant]


class InMemoryEntitlements(EntitlementRepository):
    """What the session's person may do."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def effective(self, now: datetime) -> Plan:
        tables = self._session.tables
        lasting = {row.plan_id for row in self._own() if row.starts_at <= now < row.ends_at}
        plans = [p for p in tables.plans.values() if p.id in lasting or p.code == FREE]
        if not plans:
            raise LookupError("there is no Free plan")
        return max(plans, key=lambda plan: (plan.price_paise, plan.version))

    async def paid_until(self, now: datetime) -> datetime | None:
        return max((row.ends_at for row in self._own() if row.ends_at > now), default=None)

    async def put(
        self, subscription_id: SubscriptionId, plan_id: PlanId, until: datetime, now: datetime
    ) -> None:
        rows, place = self._session.tables.entitlements, (self._session.tenant, subscription_id)
        starts = rows[place].starts_at if place in rows else now
        rows[place] = Entitlement(plan_id=plan_id, starts_at=starts, ends_at=until)

    async def end(self, subscription_id: SubscriptionId, now: datetime) -> None:
        rows, place = self._session.tables.entitlements, (self._session.tenant, subscription_id)
        if place in rows and rows[place].ends_at > now:
            rows[place] = replace(rows[place], ends_at=now)

    async def open_free(self, anchor: datetime) -> None:
        self._session.tables.free_months.setdefault(
            self._session.tenant,
            FreeMonths(anchor=anchor, month=1, due_at=months_after(anchor, 1)),
        )

    async def free_month(self) -> tuple[datetime, int] | None:
        row = self._session.tables.free_months.get(self._session.tenant)
        return (row.anchor, row.month) if row else None

    async def next_free_month(self, month: int, due_at: datetime) -> None:
        row = self._session.tables.free_months[self._session.tenant]
        self._session.tables.free_months[self._session.tenant] = replace(
            row, month=month, due_at=due_at
        )

    def _own(self) -> list[Entitlement]:
        rows = self._session.tables.entitlements.items()
        return [row for (user, _), row in rows if user == self._session.tenant]


class InMemoryNotices(NoticeRepository):
    """What the session's person is told."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, notice: Notice) -> None:
        self._session.require_own(notice.user_id)
        self._session.tables.notices.setdefault((notice.user_id, notice.key), notice)

    async def of_subscription(
        self, subscription_id: SubscriptionId, *, limit: int, after: UUID | None
    ) -> Sequence[Notice]:
        found = [
            notice
            for (user, _), notice in self._session.tables.notices.items()
            if user == self._session.tenant
            and notice.subscription_id == subscription_id
            and (after is None or notice.id < after)
        ]
        return sorted(found, key=lambda notice: notice.id, reverse=True)[:limit]


class InMemoryRetention(RetentionRepository):
    """Which projects of the session's person are to be deleted."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def noticed(self, project_id: ProjectId) -> datetime | None:
        return self._session.tables.retention.get((self._session.tenant, project_id))

    async def notice(self, project_id: ProjectId, delete_after: datetime) -> None:
        self._session.tables.retention[self._session.tenant, project_id] = delete_after

    async def forget(self, project_id: ProjectId) -> None:
        self._session.tables.retention.pop((self._session.tenant, project_id), None)

    async def kept_until(self, project_id: ProjectId, now: datetime) -> datetime | None:
        tables, tenant = self._session.tables, self._session.tenant
        project = tables.projects.get(project_id)
        if project is None or project.user_id != tenant:
            return now
        free = await InMemoryPlans(self._session).current(FREE)
        rules = [(project.updated_at, free.retention_days if free else None)]
        for (user, _), row in tables.entitlements.items():
            if user == tenant:
                rules.append((row.ends_at, tables.plans[row.plan_id].retention_days))
        kept = project.updated_at
        for since, days in rules:
            if days is None:
                return None
            kept = max(kept, since + timedelta(days=days))
        return kept


class InMemorySubscriptionSchedule(SubscriptionSchedule):
    """What is due, over all people."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def due_subscriptions(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueSubscription]:
        async with self._database.session(None) as session:
            rows = session.tables.subscriptions
            due = [row for row in rows.values() if row.due_at is not None and row.due_at <= now]
            due.sort(key=lambda row: (row.due_at, row.subscription.id))
            for row in due[:limit]:
                rows[row.subscription.id] = replace(
                    row, due_at=now + timedelta(seconds=defer_seconds)
                )
            return [
                DueSubscription(id=row.subscription.id, user_id=row.subscription.user_id)
                for row in due[:limit]
            ]

    async def due_collections(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueCollection]:
        async with self._database.session(None) as session:
            rows = session.tables.charges
            due = [
                row
                for row in rows.values()
                if row.charge.status is ChargeStatus.OPEN
                and row.collect_at is not None
                and row.collect_at <= now
            ][:limit]
            for row in due:
                rows[row.charge.reference] = replace(
                    row, collect_at=now + timedelta(seconds=defer_seconds)
                )
            return [DueCollection(reference=r.charge.reference, user_id=r.user_id) for r in due]

    async def due_seats(self, now: datetime, limit: int, defer_seconds: float) -> Sequence[DueSeat]:
        async with self._database.session(None) as session:
            tables, due = session.tables, []
            for row in list(tables.seats.values()):
                if row.due_at is None or row.due_at > now or len(due) == limit:
                    continue
                later = replace(row, due_at=now + timedelta(seconds=defer_seconds))
                tables.seats[row.seat.id] = later
                sub = tables.subscriptions[row.seat.subscription_id].subscription
                withdrawn = row.seat.withdrawn_at is not None
                due.append(
                    DueSeat(
                        id=row.seat.id,
                        version=row.version,
                        subscription_id=row.seat.subscription_id,
                        number=row.seat.number,
                        email=row.seat.email,
                        holder_id=row.seat.holder_id,
                        withdrawn=withdrawn,
                        plan_id=sub.plan.id,
                        until=None if withdrawn else sub.entitled_until,
                    )
                )
            return due

    async def bind(self, seat: DueSeat, holder_id: UserId) -> None:
        async with self._database.session(None) as session:
            row = session.tables.seats[seat.id]
            if row.seat.holder_id is None:
                session.tables.seats[seat.id] = replace(
                    row, seat=replace(row.seat, holder_id=holder_id)
                )

    async def claim_allotments(self, seat: DueSeat, now: datetime) -> Sequence[Allotment]:
        async with self._database.session(None) as session:
            open_to_all = not seat.withdrawn and seat.until is not None and seat.until > now
            claimed = []
            for key, row in session.tables.allotments.items():
                allotment = row.allotment
                theirs = allotment.granted_to == seat.holder_id or (
                    open_to_all and allotment.granted_to is None
                )
                if (
                    allotment.subscription_id == seat.subscription_id
                    and allotment.seat == seat.number
                    and row.granted_at is None
                    and allotment.expires_at > now
                    and not row.withheld
                    and theirs
                ):
                    mine = replace(allotment, granted_to=seat.holder_id)
                    session.tables.allotments[key] = replace(row, allotment=mine)
                    claimed.append(mine)
            return claimed

    async def seat_done(
        self, seat: DueSeat, given: Sequence[Allotment], *, again_at: datetime | None
    ) -> None:
        async with self._database.session(None) as session:
            tables = session.tables
            for allotment in given:
                tables.allotments[allotment.key] = replace(
                    tables.allotments[allotment.key], granted_at=session.now
                )
            row = tables.seats[seat.id]
            if row.version == seat.version:
                tables.seats[seat.id] = replace(row, due_at=again_at)

    async def due_free_months(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[UserId]:
        async with self._database.session(None) as session:
            rows = session.tables.free_months
            due = [user for user, row in rows.items() if row.due_at <= now][:limit]
            for user in due:
                rows[user] = replace(rows[user], due_at=now + timedelta(seconds=defer_seconds))
            return due

    async def old_projects(
        self, now: datetime, touched_before: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueProject]:
        async with self._database.session(None) as session:
            tables, due = session.tables, []
            for project in sorted(tables.projects.values(), key=lambda p: p.updated_at):
                told = tables.retention.get((project.user_id, project.id))
                looked = tables.retention_looks.get(project.id)
                lasting = any(
                    user == project.user_id and row.ends_at > now
                    for (user, _), row in tables.entitlements.items()
                )
                wanted = project.updated_at < touched_before or (told and told <= now)
                if wanted and not lasting and (looked is None or looked <= now):
                    tables.retention_looks[project.id] = now + timedelta(seconds=defer_seconds)
                    due.append(DueProject(id=project.id, user_id=project.user_id))
            return due[:limit]

    async def page(
        self,
        status: SubscriptionStatus | None,
        *,
        limit: int,
        after: UUID | None,
        user_id: UserId | None = None,
    ) -> Sequence[SubscriptionSummary]:
        rows = [row for row in self._database.tables.subscriptions.values()]
        found = [
            _summary(row)
            for row in rows
            if status in (None, row.subscription.status)
            and user_id in (None, row.subscription.user_id)
            and (after is None or row.subscription.id < after)
        ]
        return sorted(found, key=lambda summary: summary.id, reverse=True)[:limit]

    async def find(self, subscription_id: SubscriptionId) -> SubscriptionSummary | None:
        row = self._database.tables.subscriptions.get(subscription_id)
        return _summary(row) if row else None


def _summary(row: SubscriptionRow) -> SubscriptionSummary:
    sub = row.subscription
    return SubscriptionSummary(
        id=sub.id,
        user_id=sub.user_id,
        status=sub.status.value,
        plan=sub.plan.code,
        plan_version=sub.plan.version,
        seats=sub.seats,
        period=sub.period,
        period_start=sub.period_start,
        period_end=sub.period_end,
        at_end=sub.at_end.value,
        started_at=sub.created_at,
        ended_at=sub.ended_at,
        due_at=row.due_at,
    )


def seeded_plans() -> dict[PlanId, Plan]:
    """What the migration sells, so that both databases begin with the same."""
    rows = import_module("adapters.postgres.migrations.versions.0005_plans").SEEDED
    plans = [
        Plan(
            id=PlanId(UUID(int=7 << 76 | 2 << 62 | number)),
            version=1,
            created_at=START,
            modes=frozenset(Mode(mode) for mode in row["modes"]),
            exports=frozenset(row["exports"]),
            **{
                "per_seat": False,
                "min_seats": 1,
                "max_seats": 1,
                "trial_days": 0,
                "trial_credits": 0,
                "on_sale": True,
                **{key: value for key, value in row.items() if key not in ("modes", "exports")},
            },
        )
        for number, row in enumerate(rows, start=1)
    ]
    return {plan.id: plan for plan in plans}
