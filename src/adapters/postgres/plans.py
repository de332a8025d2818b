"""Plans, and what people may do because of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.constraints import violated
from adapters.postgres.tables import entitlements, free_months, plans
from domain.agents.artifacts import Mode
from domain.billing.months import months_after
from domain.billing.plans import FREE, Plan, PlanChanged
from domain.shared.ids import PlanId, SubscriptionId, UserId


class PostgresPlans:
    """The ``PlanRepository``. Every transaction reads the same rows."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def offered(self) -> Sequence[Plan]:
        newest = (
            select(plans)
            .ext(distinct_on(plans.c.code))
            .order_by(plans.c.code, plans.c.version.desc())
        )
        of = newest.subquery()
        rows = await self._connection.execute(
            select(of).where(of.c.on_sale).order_by(of.c.price_paise, of.c.code)
        )
        return [plan_of(row) for row in rows]

    async def current(self, code: str) -> Plan | None:
        rows = await self._connection.execute(
            select(plans).where(plans.c.code == code).order_by(plans.c.version.desc()).limit(1)
        )
        row = rows.one_or_none()
        return None if row is None else plan_of(row)

    async def get(self, plan_id: PlanId) -> Plan | None:
        return (await plans_by_id(self._connection, [plan_id])).get(plan_id)

    async def versions(self, *, limit: int, after: UUID | None, code: str) -> Sequence[Plan]:
        query = select(plans).order_by(plans.c.id.desc()).limit(limit)
        if code:
            query = query.where(plans.c.code == code)
        if after is not None:
            query = query.where(plans.c.id < after)
        return [plan_of(row) for row in await self._connection.execute(query)]

    async def add(self, plan: Plan, *, by: UserId) -> None:
        try:
            await self._connection.execute(
                insert(plans).values(
                    id=plan.id,
                    code=plan.code,
                    version=plan.version,
                    name=plan.name,
                    description=plan.description,
                    price_paise=plan.price_paise,
                    credits=plan.credits,
                    concurrent_runs=plan.concurrent_runs,
                    modes=sorted(mode.value for mode in plan.modes),
                    exports=sorted(plan.exports),
                    retention_days=plan.retention_days,
                    per_seat=plan.per_seat,
                    min_seats=plan.min_seats,
                    max_seats=plan.max_seats,
                    trial_days=plan.trial_days,
                    trial_credits=plan.trial_credits,
                    on_sale=plan.on_sale,
                    created_by=by,
                    created_at=plan.created_at,
                )
            )
        except IntegrityError as error:
            if violated(error) == "plans_code_version_key":
                raise PlanChanged(
                    f"Somebody wrote version {plan.version} of {plan.code} in the meantime. "
                    "Look at it, and write yours after it.",
                    plan=plan.code,
                ) from error
            raise


class PostgresEntitlements:
    """The ``EntitlementRepository`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = entitlements.c.user_id == user_id

    async def effective(self, now: datetime) -> Plan:
        lasting = (
            select(entitlements.c.plan_id)
            .where(self._mine, entitlements.c.starts_at <= now, entitlements.c.ends_at > now)
            .scalar_subquery()
        )
        rows = await self._connection.execute(
            select(plans)
            .where(plans.c.id.in_(lasting) | (plans.c.code == FREE))
            .order_by(plans.c.price_paise.desc(), plans.c.version.desc(), plans.c.id)
            .limit(1)
        )
        row = rows.one_or_none()
        if row is None:
            raise LookupError("there is no Free plan")
        return plan_of(row)

    async def paid_until(self, now: datetime) -> datetime | None:
        until: datetime | None = await self._connection.scalar(
            select(entitlements.c.ends_at)
            .where(self._mine, entitlements.c.ends_at > now)
            .order_by(entitlements.c.ends_at.desc())
            .limit(1)
        )
        return until

    async def put(
        self, subscription_id: SubscriptionId, plan_id: PlanId, until: datetime, now: datetime
    ) -> None:
        values = {"plan_id": plan_id, "ends_at": until}
        await self._connection.execute(
            upsert(entitlements)
            .values(user_id=self._user_id, subscription_id=subscription_id, starts_at=now, **values)
            .on_conflict_do_update(constraint="entitlements_pkey", set_=values)
        )

    async def end(self, subscription_id: SubscriptionId, now: datetime) -> None:
        await self._connection.execute(
            update(entitlements)
            .where(
                self._mine,
                entitlements.c.subscription_id == subscription_id,
                entitlements.c.ends_at > now,
            )
            .values(ends_at=now)
        )

    async def open_free(self, anchor: datetime) -> None:
        await self._connection.execute(
            upsert(free_months)
            .values(user_id=self._user_id, anchor=anchor, month=1, due_at=months_after(anchor, 1))
            .on_conflict_do_nothing()
        )

    async def free_month(self) -> tuple[datetime, int] | None:
        rows = await self._connection.execute(
            select(free_months.c.anchor, free_months.c.month)
            .where(free_months.c.user_id == self._user_id)
            .with_for_update()
        )
        row = rows.one_or_none()
        return None if row is None else (row.anchor, row.month)

    async def next_free_month(self, month: int, due_at: datetime) -> None:
        await self._connection.execute(
            update(free_months)
            .where(free_months.c.user_id == self._user_id)
            .values(month=month, due_at=due_at)
        )


async def plans_by_id(
    connection: AsyncConnection, plan_ids: Iterable[PlanId | None]
) -> Mapping[PlanId, Plan]:
    """Those versions, in one statement."""
    wanted = {plan_id for plan_id in plan_ids if plan_id is not None}
    rows = await connection.execute(select(plans).where(plans.c.id.in_(wanted)))
    found = [plan_of(row) for row in rows]
    return {plan.id: plan for plan in found}


def plan_of(row: Row[Any]) -> Plan:
    """The plan a row is of."""
    return Plan(
        id=PlanId(row.id),
        code=row.code,
        version=row.version,
        name=row.name,
        description=row.description,
        price_paise=row.price_paise,
        credits=row.credits,
        concurrent_runs=row.concurrent_runs,
        modes=frozenset(Mode(mode) for mode in row.modes),
        exports=frozenset(row.exports),
        retention_days=row.retention_days,
        per_seat=row.per_seat,
        min_seats=row.min_seats,
        max_seats=row.max_seats,
        trial_days=row.trial_days,
        trial_credits=row.trial_credits,
        on_sale=row.on_sale,
        created_at=row.created_at,
    )
