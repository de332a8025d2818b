"""The usage log: rows by month, and the sums of each hour, which grow with the rows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    bindparam,
    func,
    literal,
    null,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import is_unavailable
from adapters.postgres.spans import within
from adapters.postgres.tables import usage, usage_hours, usage_logs
from application.ports.persistence import DatabaseUnavailable
from application.ports.usage_log import (
    KeptRequest,
    LogPosition,
    RequestFilter,
    RequestSum,
    SumSpan,
    UnkeepableRows,
)
from domain.billing.days import INDIA
from domain.keys.usage_log import LoggedRequest
from domain.shared.ids import ApiKeyId, RunId, UserId

_OFFSET = literal(INDIA.utcoffset(None))
_TOKENS = (
    usage.c.input_tokens
    + usage.c.output_tokens
    + usage.c.cache_write_tokens
    + usage.c.cache_write_1h_tokens
    + usage.c.cache_read_tokens
)

# In the order of their keys, so that two who keep the same rows wait for each other once at most.
_KEEP = text(
    """
    WITH added AS (
        INSERT INTO usage_logs
            (id, user_id, api_key_id, at, route, status, latency_us, request_id, run_id, requests)
        SELECT * FROM unnest(:ids, :users, :keys, :moments, :routes, :statuses, :latencies,
                             :request_ids, :runs, :counts)
            AS given (id, user_id, api_key_id, at, route, status, latency_us, request_id, run_id,
                      requests)
        ORDER BY user_id, at, id
        ON CONFLICT DO NOTHING
        RETURNING user_id, api_key_id, at, route, status, latency_us, requests
    ), summed AS (
        INSERT INTO usage_hours AS kept
            (user_id, api_key_id, hour, route, status_class, requests, latency_us)
        SELECT user_id, api_key_id, date_bin('1 hour', at, :origin), route, status / 100,
               sum(requests), sum(latency_us::bigint * requests)
        FROM added GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 3, 2, 4, 5
        ON CONFLICT (user_id, hour, api_key_id, route, status_class) DO UPDATE
            SET requests = kept.requests + excluded.requests,
                latency_us = kept.latency_us + excluded.latency_us
    )
    SELECT count(*) FROM added
    """
).bindparams(
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("users", type_=ARRAY(Uuid)),
    bindparam("keys", type_=ARRAY(Uuid)),
    bindparam("moments", type_=ARRAY(DateTime(timezone=True))),
    bindparam("routes", type_=ARRAY(Text)),
    bindparam("statuses", type_=ARRAY(SmallInteger)),
    bindparam("latencies", type_=ARRAY(Integer)),
    bindparam("request_ids", type_=ARRAY(Text)),
    bindparam("runs", type_=ARRAY(Uuid)),
    bindparam("counts", type_=ARRAY(Integer)),
    # Any beginning of an hour in India.
    bindparam("origin", datetime(2000, 1, 1, 0, 30, tzinfo=UTC), type_=DateTime(timezone=True)),
)
_MAKE_MONTH = text("SELECT usage_logs_make_month(:month)")
_DROP_MONTHS = text("SELECT usage_logs_drop_months(:kept)")
_MONTHS_AHEAD = 2


class PostgresUsageLogWriter:
    """The ``UsageLogWriter`` over the ``dispatch`` role's engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def keep(self, rows: Sequence[LoggedRequest]) -> int:
        if not rows:
            return 0
        try:
            async with self._engine.begin() as connection:
                for month in sorted({_month_of(row.at) for row in rows}):
                    await connection.execute(_MAKE_MONTH, {"month": month})
                kept = await connection.scalar(
                    _KEEP,
                    {
                        "ids": [row.id for row in rows],
                        "users": [row.user_id for row in rows],
                        "keys": [row.key_id for row in rows],
                        "moments": [row.at for row in rows],
                        "routes": [row.route for row in rows],
                        "statuses": [row.status for row in rows],
                        "latencies": [row.latency_us for row in rows],
                        "request_ids": [row.request_id for row in rows],
                        "runs": [row.run_id for row in rows],
                        "counts": [row.requests for row in rows],
                    },
                )
        except Exception as error:
            if is_unavailable(error):
                raise DatabaseUnavailable("The usage log cannot be kept now.") from error
            # Class 22: a value that does not fit (PostgreSQL documentation, appendix A).
            state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
            if isinstance(error, DBAPIError) and state.startswith("22"):
                raise UnkeepableRows(f"{state}: {error.orig}") from error
            raise
        return int(kept or 0)

    async def prepare(self, keep_months: int) -> int:
        month = _month_of(datetime.now(UTC))
        try:
            for _ in range(_MONTHS_AHEAD + 1):
                async with self._engine.begin() as connection:
                    await connection.execute(_MAKE_MONTH, {"month": month})
                month = _month_of(month + timedelta(days=32))
            async with self._engine.begin() as connection:
                return int(await connection.scalar(_DROP_MONTHS, {"kept": keep_months}) or 0)
        except Exception as error:
            if is_unavailable(error):
                raise DatabaseUnavailable("The usage log cannot be prepared now.") from error
            raise


class PostgresUsageLog:
    """The ``UsageLog`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    async def page(
        self,
        only: RequestFilter,
        *,
        after: LogPosition | None,
        limit: int,
        oldest_first: bool = False,
    ) -> Sequence[KeptRequest]:
        run = (
            select(
                func.coalesce(func.sum(_TOKENS), 0).label("tokens"),
                func.coalesce(func.sum(usage.c.credits), 0).label("credits"),
            )
            .where(usage.c.user_id == self._user_id, usage.c.run_id == usage_logs.c.run_id)
            .lateral()
        )
        place = (usage_logs.c.at, usage_logs.c.id)
        query = (
            select(usage_logs, run.c.tokens, run.c.credits)
            .select_from(usage_logs.join(run, literal(True)))
            .where(usage_logs.c.user_id == self._user_id, *_of_log(only))
            .order_by(*(each if oldest_first else each.desc() for each in place))
            .limit(limit)
        )
        if after is not None:
            here, there = tuple_(*place), tuple_(after.at, after.id)
            query = query.where(here > there if oldest_first else here < there)
        return [_kept(row) for row in await self._connection.execute(query)]

    async def sums(
        self, only: RequestFilter, span: SumSpan, *, before: datetime | None, limit: int
    ) -> Sequence[RequestSum]:
        hours = usage_hours.c
        parts = [
            select(
                _begins(hours.hour, span).label("begins"),
                hours.status_class,
                hours.requests,
                hours.latency_us,
                literal(0).label("tokens"),
                literal(0).label("credits"),
            ).where(hours.user_id == self._user_id, *_of_hours(only), *_before(hours.hour, before))
        ]
        settled = only.status is None and only.route is None
        if settled:
            parts.append(
                select(
                    _begins(usage.c.at, span),
                    null(),
                    literal(0),
                    literal(0),
                    _TOKENS,
                    usage.c.credits,
                ).where(
                    usage.c.user_id == self._user_id,
                    usage.c.api_key_id.is_not(None)
                    if only.key_id is None
                    else usage.c.api_key_id == only.key_id,
                    *within(usage.c.at, only.days),
                    *_before(usage.c.at, before),
                )
            )
        all_ = union_all(*parts).subquery()

        def of_class(*classes: int) -> ColumnElement[Any]:
            counted = func.sum(all_.c.requests).filter(all_.c.status_class.in_(classes))
            return func.coalesce(counted, 0)

        query = (
            select(
                all_.c.begins,
                func.sum(all_.c.requests).label("requests"),
                of_class(1, 2, 3).label("succeeded"),
                of_class(4).label("client_errors"),
                of_class(5).label("server_errors"),
                func.sum(all_.c.latency_us).label("latency_us"),
                func.sum(all_.c.tokens).label("tokens"),
                func.sum(all_.c.credits).label("credits"),
            )
            .group_by(all_.c.begins)
            .order_by(all_.c.begins.desc())
            .limit(limit)
        )
        return [
            RequestSum(
                begins=row.begins.astimezone(UTC),
                requests=int(row.requests),
                succeeded=int(row.succeeded),
                client_errors=int(row.client_errors),
                server_errors=int(row.server_errors),
                latency_us=int(row.latency_us),
                tokens=int(row.tokens) if settled else None,
                credits=int(row.credits) if settled else None,
            )
            for row in await self._connection.execute(query)
        ]


def _month_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _begins(moment: ColumnElement[Any], span: SumSpan) -> ColumnElement[Any]:
    """The beginning of the hour or the day of India's clock."""
    local = func.timezone("UTC", moment) + _OFFSET
    return func.timezone("UTC", func.date_trunc(span.value, local) - _OFFSET)


def _before(moment: ColumnElement[Any], before: datetime | None) -> list[ColumnElement[bool]]:
    # What begins before a beginning is all that happened before it.
    return [] if before is None else [moment < before]


def _of_log(only: RequestFilter) -> list[ColumnElement[bool]]:
    conditions = within(usage_logs.c.at, only.days)
    if only.key_id is not None:
        conditions.append(usage_logs.c.api_key_id == only.key_id)
    if only.status is not None:
        least = only.status.hundreds * 100
        conditions.append(usage_logs.c.status.between(least, least + 99))
    if only.route is not None:
        conditions.append(usage_logs.c.route == only.route)
    return conditions


def _of_hours(only: RequestFilter) -> list[ColumnElement[bool]]:
    conditions = within(usage_hours.c.hour, only.days)
    if only.key_id is not None:
        conditions.append(usage_hours.c.api_key_id == only.key_id)
    if only.status is not None:
        conditions.append(usage_hours.c.status_class == only.status.hundreds)
    if only.route is not None:
        conditions.append(usage_hours.c.route == only.route)
    return conditions


def _kept(row: Row[Any]) -> KeptRequest:
    return KeptRequest(
        request=LoggedRequest(
            id=row.id,
            user_id=UserId(row.user_id),
            key_id=ApiKeyId(row.api_key_id),
            at=row.at.astimezone(UTC),
            route=row.route,
            status=row.status,
            latency_us=row.latency_us,
            request_id=row.request_id,
            run_id=None if row.run_id is None else RunId(row.run_id),
            requests=row.requests,
        ),
        tokens=int(row.tokens),
        credits=int(row.credits),
    )
