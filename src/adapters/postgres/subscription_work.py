"""Which subscriptions, seats and projects are due: past the tenants' walls.

The moment is the caller's: a period ends by the house's clock, which a test may move.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Executable, Table, exists, func, or_, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import rows_of
from adapters.postgres.subscriptions import allotment_of
from adapters.postgres.tables import (
    allotments,
    entitlements,
    free_months,
    plans,
    project_retention,
    projects,
    seats,
    subscription_charges,
    subscriptions,
)
from application.ports.subscriptions import (
    Allotment,
    DueCollection,
    DueProject,
    DueSeat,
    DueSubscription,
    SubscriptionSummary,
)
from domain.billing.subscriptions.subscription import ChargeStatus, SubscriptionStatus
from domain.shared.ids import PlanId, ProjectId, SeatId, SubscriptionId, UserId


class PostgresSubscriptionSchedule:
    """The ``SubscriptionSchedule`` over the ``dispatch`` role's engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def due_subscriptions(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueSubscription]:
        rows = await self._taken(
            subscriptions, subscriptions.c.id, subscriptions.c.due_at, now, limit, defer_seconds
        )
        return [DueSubscription(id=SubscriptionId(r.id), user_id=UserId(r.user_id)) for r in rows]

    async def due_collections(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueCollection]:
        charges = subscription_charges
        rows = await self._taken(
            charges,
            charges.c.reference,
            charges.c.collect_at,
            now,
            limit,
            defer_seconds,
            charges.c.status == ChargeStatus.OPEN,
        )
        return [DueCollection(reference=r.reference, user_id=UserId(r.user_id)) for r in rows]

    async def due_seats(self, now: datetime, limit: int, defer_seconds: float) -> Sequence[DueSeat]:
        taken = await self._taken(seats, seats.c.id, seats.c.due_at, now, limit, defer_seconds)
        if not taken:
            return []
        of = await self._all(
            select(
                subscriptions.c.id, subscriptions.c.plan_id, subscriptions.c.entitled_until
            ).where(subscriptions.c.id.in_({UUID(str(row.subscription_id)) for row in taken}))
        )
        known = {row.id: row for row in of}
        # Asked again: its version is the one that goes with what the subscription says now.
        fresh = await self._all(select(seats).where(seats.c.id.in_({row.id for row in taken})))
        return [
            DueSeat(
                id=SeatId(row.id),
                version=row.version,
                subscription_id=SubscriptionId(row.subscription_id),
                number=row.number,
                email=row.email,
                holder_id=None if row.holder_id is None else UserId(row.holder_id),
                withdrawn=row.withdrawn_at is not None,
                plan_id=PlanId(known[row.subscription_id].plan_id),
                until=(
                    None
                    if row.withdrawn_at is not None
                    else known[row.subscription_id].entitled_until
                ),
            )
            for row in fresh
        ]

    async def bind(self, seat: DueSeat, holder_id: UserId) -> None:
        await self._all(
            update(seats)
            .where(seats.c.id == seat.id, seats.c.holder_id.is_(None))
            .values(holder_id=holder_id)
            .returning(seats.c.id)
        )

    async def claim_allotments(self, seat: DueSeat, now: datetime) -> Sequence[Allotment]:
        theirs = allotments.c.granted_to == seat.holder_id
        if not seat.withdrawn and seat.until is not None and seat.until > now:
            theirs = or_(theirs, allotments.c.granted_to.is_(None))
        rows = await self._all(
            update(allotments)
            .where(
                allotments.c.subscription_id == seat.subscription_id,
                allotments.c.seat == seat.number,
                allotments.c.granted_at.is_(None),
                allotments.c.expires_at > now,
                ~allotments.c.withheld,
                theirs,
            )
            .values(granted_to=seat.holder_id)
            .returning(*allotments.c)
        )
        return [allotment_of(row) for row in rows]

    async def seat_done(
        self, seat: DueSeat, given: Sequence[Allotment], *, again_at: datetime | None
    ) -> None:
        if given:
            await self._all(
                update(allotments)
                .where(allotments.c.key.in_([allotment.key for allotment in given]))
                .values(granted_at=func.now())
                .returning(allotments.c.key)
            )
        await self._all(
            update(seats)
            .where(seats.c.id == seat.id, seats.c.version == seat.version)
            .values(due_at=again_at)
            .returning(seats.c.id)
        )

    async def due_free_months(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[UserId]:
        rows = await self._taken(
            free_months, free_months.c.user_id, free_months.c.due_at, now, limit, defer_seconds
        )
        return [UserId(row.user_id) for row in rows]

    async def old_projects(
        self, now: datetime, touched_before: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueProject]:
        lasting = exists().where(
            entitlements.c.user_id == projects.c.user_id, entitlements.c.ends_at > now
        )
        told = exists().where(
            project_retention.c.project_id == projects.c.id,
            project_retention.c.delete_after <= now,
        )
        due = (
            select(projects.c.id)
            .where(
                or_(projects.c.updated_at < touched_before, told),
                or_(projects.c.retention_due_at.is_(None), projects.c.retention_due_at <= now),
                ~lasting,
            )
            .order_by(projects.c.updated_at)
            .limit(limit)
            .with_for_update(skip_locked=True, of=projects)
            .cte("due")
        )
        rows = await self._all(
            update(projects)
            .where(projects.c.id == due.c.id)
            .values(retention_due_at=now + timedelta(seconds=defer_seconds))
            .returning(projects.c.id, projects.c.user_id)
        )
        return [DueProject(id=ProjectId(row.id), user_id=UserId(row.user_id)) for row in rows]

    async def page(
        self,
        status: SubscriptionStatus | None,
        *,
        limit: int,
        after: UUID | None,
        user_id: UserId | None = None,
    ) -> Sequence[SubscriptionSummary]:
        query = _SUMMARY.order_by(subscriptions.c.id.desc()).limit(limit)
        if status is not None:
            query = query.where(subscriptions.c.status == status)
        if user_id is not None:
            query = query.where(subscriptions.c.user_id == user_id)
        if after is not None:
            query = query.where(subscriptions.c.id < after)
        return [_summary(row) for row in await self._all(query)]

    async def find(self, subscription_id: SubscriptionId) -> SubscriptionSummary | None:
        rows = await self._all(_SUMMARY.where(subscriptions.c.id == subscription_id))
        return _summary(rows[0]) if rows else None

    async def _taken(
        self,
        table: Table,
        key: Column[Any],
        due_at: Column[Any],
        now: datetime,
        limit: int,
        defer_seconds: float,
        *conditions: Any,
    ) -> Sequence[Row[Any]]:
        """Due rows, put off by the delay: each goes to one taker."""
        due = (
            select(key.label("key"))
            .where(due_at <= now, *conditions)
            .order_by(due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        shown = [key, table.c.user_id] if table is not seats else list(seats.c)
        return await self._all(
            update(table)
            .where(key == due.c.key)
            .values({due_at: now + timedelta(seconds=defer_seconds)})
            .returning(*shown)
        )

    async def _all(self, statement: Executable) -> Sequence[Row[Any]]:
        return await rows_of(self._engine, statement)


_SUMMARY = select(
    subscriptions.c.id,
    subscriptions.c.user_id,
    subscriptions.c.status,
    plans.c.code,
    plans.c.version,
    subscriptions.c.seats,
    subscriptions.c.period,
    subscriptions.c.period_start,
    subscriptions.c.period_end,
    subscriptions.c.at_end,
    subscriptions.c.start_date,
    subscriptions.c.ended_at,
    subscriptions.c.due_at,
).join(plans, plans.c.id == subscriptions.c.plan_id)


def _summary(row: Row[Any]) -> SubscriptionSummary:
    return SubscriptionSummary(
        id=SubscriptionId(row.id),
        user_id=UserId(row.user_id),
        status=row.status,
        plan=row.code,
        plan_version=row.version,
        seats=row.seats,
        period=row.period,
        period_start=row.period_start,
        period_end=row.period_end,
        at_end=row.at_end,
        started_at=row.start_date,
        ended_at=row.ended_at,
        due_at=row.due_at,
    )
