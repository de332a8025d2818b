"""Read the audit log: one's own part of it, or everybody's; page by page, or all of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from application.ports.audit import AuditEntry, AuditOversight, AuditQuery
from application.ports.persistence import UnitOfWork
from domain.shared.errors import InvalidValue
from domain.shared.ids import UserId
from domain.shared.moments import given_moment

BATCH: Final = 1_000
"""Entries read at once: all that is ever kept of an export."""


@dataclass(frozen=True, slots=True)
class ReadOwnAudit:
    """Reads what was done on what is the person's, whoever did it."""

    uow: UnitOfWork
    batch: int = BATCH

    async def __call__(self, user_id: UserId, query: AuditQuery) -> Sequence[AuditEntry]:
        """The page's entries, newest first.

        Raises:
            InvalidValue: the times are the wrong way round.
        """
        _check_times(query)
        async with self.uow.begin(user_id) as tx:
            return await tx.audit.entries(query)

    async def export(
        self, user_id: UserId, query: AuditQuery
    ) -> AsyncIterator[Sequence[AuditEntry]]:
        """Every entry that fits, newest first, in batches; each is a transaction of its own.

        Raises:
            InvalidValue: the times are the wrong way round.
        """
        return await _batches(lambda batch: self(user_id, batch), query, self.batch)


@dataclass(frozen=True, slots=True)
class OverseeAudit:
    """Reads everybody's part of the log."""

    oversight: AuditOversight
    batch: int = BATCH

    async def __call__(
        self, query: AuditQuery, user_id: UserId | None = None
    ) -> Sequence[AuditEntry]:
        """The page's entries, newest first; of one person's record, if one is named.

        Raises:
            InvalidValue: the times are the wrong way round.
        """
        _check_times(query)
        return await self.oversight.entries(query, user_id)

    async def export(
        self, query: AuditQuery, user_id: UserId | None = None
    ) -> AsyncIterator[Sequence[AuditEntry]]:
        """Every entry that fits, newest first, in batches.

        Raises:
            InvalidValue: the times are the wrong way round.
        """
        return await _batches(lambda batch: self(batch, user_id), query, self.batch)


def _check_times(query: AuditQuery) -> None:
    for field, moment in (("since", query.since), ("until", query.until)):
        if moment is not None:
            given_moment(field, moment)
    if query.since and query.until and query.until < query.since:
        raise InvalidValue("until", "Give a moment after since.")


async def _batches(
    read: Callable[[AuditQuery], Awaitable[Sequence[AuditEntry]]], query: AuditQuery, size: int
) -> AsyncIterator[Sequence[AuditEntry]]:
    """The first batch is read before this returns, so that a refusal comes as one."""
    query = replace(query, limit=size, before=None)
    return _onward(read, query, await read(query))


async def _onward(
    read: Callable[[AuditQuery], Awaitable[Sequence[AuditEntry]]],
    query: AuditQuery,
    entries: Sequence[AuditEntry],
) -> AsyncIterator[Sequence[AuditEntry]]:
    while entries:
        yield entries
        if len(entries) < query.limit:
            return
        entries = await read(replace(query, before=entries[-1].number))
