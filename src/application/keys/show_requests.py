"""Show what was asked for with a person's keys: rows, sums, an export, and the live figure."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from application.keys.owned_key import owned_key
from application.ports.clock import Clock
from application.ports.persistence import UnitOfWork
from application.ports.usage_log import (
    KeptRequest,
    LiveCounts,
    LogPosition,
    RequestFilter,
    RequestSum,
    SumSpan,
)
from domain.keys.usage_log import Window
from domain.shared.errors import InvalidValue
from domain.shared.ids import ApiKeyId, UserId

EXPORT_BATCH: Final = 1_000
"""Rows read at once: all that is ever kept of an export."""


@dataclass(frozen=True, slots=True)
class ListRequests:
    """Lists requests, newest first, one page at a time."""

    uow: UnitOfWork

    async def __call__(
        self, user_id: UserId, only: RequestFilter, after: LogPosition | None, limit: int
    ) -> Sequence[KeptRequest]:
        """The page's requests.

        Raises:
            InvalidValue: the days are the wrong way round, or the route is no text.
        """
        _check(only)
        async with self.uow.begin(user_id) as tx:
            return await tx.usage_log.page(only, after=after, limit=limit)


@dataclass(frozen=True, slots=True)
class SumRequests:
    """Sums requests by hour or day, out of what is summed as rows come in."""

    uow: UnitOfWork

    async def __call__(
        self,
        user_id: UserId,
        only: RequestFilter,
        span: SumSpan,
        before: datetime | None,
        limit: int,
    ) -> Sequence[RequestSum]:
        """The page's sums, newest first.

        Raises:
            InvalidValue: the days are the wrong way round, or the route is no text.
        """
        _check(only)
        async with self.uow.begin(user_id) as tx:
            return await tx.usage_log.sums(only, span, before=before, limit=limit)


@dataclass(frozen=True, slots=True)
class ExportRequests:
    """Reads requests, oldest first, each batch in a short transaction of its own."""

    uow: UnitOfWork
    batch: int = EXPORT_BATCH

    async def __call__(
        self, user_id: UserId, only: RequestFilter
    ) -> AsyncIterator[Sequence[KeptRequest]]:
        """The requests, in batches. The first is read before this returns.

        Raises:
            InvalidValue: the days are the wrong way round, or the route is no text.
        """
        _check(only)
        first = await self._read(user_id, only, None)
        return self._onward(user_id, only, first)

    async def _onward(
        self, user_id: UserId, only: RequestFilter, rows: Sequence[KeptRequest]
    ) -> AsyncIterator[Sequence[KeptRequest]]:
        while rows:
            yield rows
            if len(rows) < self.batch:
                return
            last = rows[-1].request
            rows = await self._read(user_id, only, LogPosition(at=last.at, id=last.id))

    async def _read(
        self, user_id: UserId, only: RequestFilter, after: LogPosition | None
    ) -> Sequence[KeptRequest]:
        async with self.uow.begin(user_id) as tx:
            return await tx.usage_log.page(only, after=after, limit=self.batch, oldest_first=True)


@dataclass(frozen=True, slots=True)
class ShowKeyUsage:
    """Reads a key's live figure."""

    uow: UnitOfWork
    counts: LiveCounts
    clock: Clock

    async def __call__(self, user_id: UserId, key_id: ApiKeyId) -> Mapping[Window, int]:
        """Requests of the key in this minute, hour and day.

        Raises:
            NotFound: no such key, or another person's.
            UsageStreamAway: the counts are away.
        """
        async with self.uow.begin(user_id) as tx:
            await owned_key(tx, key_id)
        return await self.counts.of(key_id, self.clock.now())


def _check(only: RequestFilter) -> None:
    if only.route is not None and "\0" in only.route:
        raise InvalidValue("route", "Give a route as a request's 'route' shows it.")
