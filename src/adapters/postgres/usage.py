"""The account of usage: one row a settled step, and sums over them."""

from collections.abc import Sequence
from datetime import UTC, date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    Select,
    Subquery,
    Table,
    Uuid,
    cast,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.spans import within
from adapters.postgres.tables import api_keys, projects, usage
from application.ports.usage import (
    ExportPosition,
    SettledStep,
    UsageFilter,
    UsageGroup,
    UsageLine,
    UsageSum,
)
from domain.billing.days import INDIA
from domain.billing.usage import TokenUsage
from domain.shared.ids import ApiKeyId, ProjectId, RunId, UserId

# The server's clock is in UTC; India's is ahead of it by the same at any time of year.
_DAY = cast(func.timezone("UTC", usage.c.at) + literal(INDIA.utcoffset(None)), Date)
_TOKENS = ("input", "output", "cache_write", "cache_write_1h", "cache_read")
_SUMS = (
    func.count().label("steps"),
    func.count(usage.c.run_id.distinct()).label("runs"),
    *(
        # Sums of bigint are numeric; what they count here fits the integers of any language.
        func.coalesce(func.sum(usage.c[name]), 0).label(name)
        for name in (*(f"{bucket}_tokens" for bucket in _TOKENS), "credits", "cost_nano_usd")
    ),
)


class PostgresUsage:
    """The ``UsageRecords`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = usage.c.user_id == user_id

    async def record(self, step: SettledStep) -> None:
        await self._connection.execute(
            upsert(usage)
            .values(
                user_id=step.user_id,
                run_id=step.run_id,
                step=step.step,
                project_id=step.project_id,
                mode=step.mode,
                model=step.model,
                api_key_id=step.api_key_id,
                charged=step.charged,
                credits=step.credits,
                cost_nano_usd=step.cost_nano_usd,
                house_nano_usd=step.house_nano_usd,
                paise_per_usd=step.paise_per_usd,
                **{f"{bucket}_tokens": getattr(step.usage, bucket) for bucket in _TOKENS},
            )
            .on_conflict_do_nothing(constraint="usage_pkey")
        )

    async def settled(self, run_id: RunId, step: str) -> bool:
        one = select(usage.c.run_id).where(self._mine, usage.c.run_id == run_id)
        return await self._connection.scalar(one.where(usage.c.step == step)) is not None

    async def sums(
        self, by: UsageGroup, only: UsageFilter, *, after: str | None, limit: int
    ) -> Sequence[UsageSum]:
        key = {
            UsageGroup.DAY: _DAY,
            UsageGroup.PROJECT: usage.c.project_id,
            UsageGroup.MODEL: usage.c.model,
            UsageGroup.KEY: usage.c.api_key_id,
        }[by].label("key")
        query = select(key, *_SUMS).where(self._mine, *_within(only)).group_by(key).limit(limit)
        if by is UsageGroup.DAY:
            query = query.order_by(key.desc())
            if after is not None:
                query = query.where(date.fromisoformat(after) > _DAY)
        else:
            query = query.order_by(key.nulls_first())
            if after is not None:
                query = query.where(_behind(by, after))
        groups = query.subquery()
        if by is UsageGroup.PROJECT:
            joined = _titled(groups, projects, projects.c.title)
        elif by is UsageGroup.KEY:
            joined = _titled(groups, api_keys, api_keys.c.name)
        else:
            joined = select(groups, literal("").label("title"))
        order = groups.c.key.desc() if by is UsageGroup.DAY else groups.c.key.nulls_first()
        return [_sum(row) for row in await self._connection.execute(joined.order_by(order))]

    async def total(self, only: UsageFilter) -> UsageSum:
        query = select(literal("").label("key"), literal("").label("title"), *_SUMS)
        rows = await self._connection.execute(query.where(self._mine, *_within(only)))
        return _sum(rows.one())

    async def lines(
        self, only: UsageFilter, *, after: ExportPosition | None, limit: int
    ) -> Sequence[UsageLine]:
        place = (usage.c.at, usage.c.run_id, usage.c.step)
        query = select(usage).where(self._mine, *_within(only)).order_by(*place).limit(limit)
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(after.at, after.run_id, after.step))
        return [_line(row) for row in await self._connection.execute(query)]


def _behind(by: UsageGroup, after: str) -> ColumnElement[bool]:
    """What comes after a group: of keys, the runs that none asked for are the first."""
    if by is UsageGroup.MODEL:
        return usage.c.model > after
    if by is UsageGroup.KEY and not after:
        return usage.c.api_key_id.is_not(None)
    column = usage.c.api_key_id if by is UsageGroup.KEY else usage.c.project_id
    return column > literal(UUID(after), Uuid)


def _titled(groups: Subquery, named: Table, title: Column[str]) -> Select[Any]:
    """The groups, each with the title of the tenant's row it is the sum of, if there is one."""
    joined = groups.outerjoin(named, named.c.id == groups.c.key)
    return select(groups, func.coalesce(title, "").label("title")).select_from(joined)


def _within(only: UsageFilter) -> list[ColumnElement[bool]]:
    conditions = within(usage.c.at, only.days)
    if only.project_id is not None:
        conditions.append(usage.c.project_id == only.project_id)
    return conditions


def _tokens(row: Row[Any]) -> TokenUsage:
    return TokenUsage(**{bucket: int(getattr(row, f"{bucket}_tokens")) for bucket in _TOKENS})


def _sum(row: Row[Any]) -> UsageSum:
    return UsageSum(
        key="" if row.key is None else str(row.key),
        title=row.title,
        steps=row.steps,
        runs=row.runs,
        usage=_tokens(row),
        credits=int(row.credits),
        cost_nano_usd=int(row.cost_nano_usd),
    )


def _line(row: Row[Any]) -> UsageLine:
    return UsageLine(
        at=row.at.astimezone(UTC),
        step=SettledStep(
            user_id=UserId(row.user_id),
            project_id=ProjectId(row.project_id),
            run_id=RunId(row.run_id),
            step=row.step,
            mode=row.mode,
            model=row.model,
            charged=row.charged,
            usage=_tokens(row),
            credits=row.credits,
            cost_nano_usd=row.cost_nano_usd,
            house_nano_usd=row.house_nano_usd,
            paise_per_usd=row.paise_per_usd,
            api_key_id=None if row.api_key_id is None else ApiKeyId(row.api_key_id),
        ),
    )
