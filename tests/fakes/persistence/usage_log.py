"""The usage log, in memory."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from application.ports.usage_log import (
    KeptRequest,
    LogPosition,
    RequestFilter,
    RequestSum,
    SumSpan,
    UnkeepableRows,
    UsageLog,
    UsageLogWriter,
)
from domain.billing.days import beginning_of, day_of
from domain.keys.usage_log import LoggedRequest, hour_of
from domain.shared.ids import RunId
from tests.fakes.persistence.database import InMemoryDatabase, Session


class InMemoryUsageLogWriter(UsageLogWriter):
    """Keeps everybody's rows. ``refuses`` says of which it will not."""

    def __init__(
        self,
        database: InMemoryDatabase,
        refuses: Callable[[LoggedRequest], bool] = lambda row: row.at.year > 2100,
    ) -> None:
        self._database = database
        self._refuses = refuses

    async def keep(self, rows: Sequence[LoggedRequest]) -> int:
        async with self._database.session(None) as session:
            if any(map(self._refuses, rows)):
                raise session.refused(UnkeepableRows("there is no such month"))
            kept = session.tables.requests
            before = len(kept)
            for row in rows:
                kept.setdefault(row.id, row)
            return len(kept) - before

    async def prepare(self, keep_months: int) -> int:
        return 0


class InMemoryUsageLog(UsageLog):
    """The requests of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def page(
        self,
        only: RequestFilter,
        *,
        after: LogPosition | None,
        limit: int,
        oldest_first: bool = False,
    ) -> Sequence[KeptRequest]:
        rows = sorted(
            self._matching(only), key=lambda row: (row.at, row.id), reverse=not oldest_first
        )
        if after is not None:
            there = (after.at, after.id)
            rows = [
                row
                for row in rows
                if ((row.at, row.id) > there if oldest_first else (row.at, row.id) < there)
            ]
        return [self._kept(row) for row in rows[:limit]]

    async def sums(
        self, only: RequestFilter, span: SumSpan, *, before: datetime | None, limit: int
    ) -> Sequence[RequestSum]:
        requests: dict[datetime, list[LoggedRequest]] = {}
        for row in self._matching(only):
            requests.setdefault(_begins(row.at, span), []).append(row)
        settled = only.status is None and only.route is None
        used: dict[datetime, list[tuple[int, int]]] = {}
        for line in self._session.tables.usage.values():
            step = line.step
            if (
                settled
                and step.user_id == self._session.tenant
                and step.api_key_id is not None
                and only.key_id in (None, step.api_key_id)
                and line.at in only.days
            ):
                figures = (step.usage.total, step.credits)
                used.setdefault(_begins(line.at, span), []).append(figures)
        begins = sorted({*requests, *used}, reverse=True)
        if before is not None:
            begins = [each for each in begins if each < before]
        return [
            _summed(each, requests.get(each, []), used.get(each, []), settled)
            for each in begins[:limit]
        ]

    def _matching(self, only: RequestFilter) -> list[LoggedRequest]:
        return [
            row
            for row in self._session.tables.requests.values()
            if row.user_id == self._session.tenant
            and row.at in only.days
            and only.key_id in (None, row.key_id)
            and (only.status is None or row.status // 100 == only.status.hundreds)
            and only.route in (None, row.route)
        ]

    def _kept(self, row: LoggedRequest) -> KeptRequest:
        steps = [line.step for line in self._session.tables.usage.values()]
        own = [step for step in steps if _of_run(row.run_id, step.run_id)]
        return KeptRequest(
            request=row,
            tokens=sum(step.usage.total for step in own),
            credits=sum(step.credits for step in own),
        )


def _of_run(started: RunId | None, run_id: RunId) -> bool:
    return started is not None and started == run_id


def _begins(at: datetime, span: SumSpan) -> datetime:
    return hour_of(at) if span is SumSpan.HOUR else beginning_of(day_of(at)).astimezone(UTC)


def _summed(
    begins: datetime, rows: list[LoggedRequest], used: list[tuple[int, int]], settled: bool
) -> RequestSum:
    def of_class(*classes: int) -> int:
        return sum(row.requests for row in rows if row.status // 100 in classes)

    return RequestSum(
        begins=begins,
        requests=sum(row.requests for row in rows),
        succeeded=of_class(1, 2, 3),
        client_errors=of_class(4),
        server_errors=of_class(5),
        latency_us=sum(row.latency_us * row.requests for row in rows),
        tokens=sum(tokens for tokens, _ in used) if settled else None,
        credits=sum(credits for _, credits in used) if settled else None,
    )
