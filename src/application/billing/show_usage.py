"""Show what was used, summed by day, project, model or API key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from application.ports.persistence import UnitOfWork
from application.ports.usage import UsageFilter, UsageGroup, UsageSum
from domain.shared.errors import InvalidValue
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Whose usage, of what, summed by what; ``after`` is the last key of the page before."""

    user_id: UserId
    by: UsageGroup
    only: UsageFilter
    limit: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class ShowUsage:
    """Sums the settlements of steps: the same rows that the ledger was charged by."""

    uow: UnitOfWork

    async def __call__(self, query: UsageQuery) -> tuple[UsageSum, Sequence[UsageSum]]:
        """The total over all days asked for, and the page's groups.

        Raises:
            InvalidValue: ``after`` is no group's key.
        """
        _check_key(query.by, query.after)
        async with self.uow.begin(query.user_id) as tx:
            total = await tx.usage.total(query.only)
            groups = await tx.usage.sums(query.by, query.only, after=query.after, limit=query.limit)
        return total, groups


def _check_key(by: UsageGroup, key: str | None) -> None:
    try:
        if key is not None and by is UsageGroup.DAY:
            date.fromisoformat(key)
        elif key is not None and (
            by is UsageGroup.PROJECT or (by is UsageGroup.KEY and key)  # no key: its own group
        ):
            UUID(key)
    except ValueError as error:
        raise InvalidValue(
            "cursor", "Use a next_cursor of the same 'group_by', or leave it out."
        ) from error
    if key is not None and "\0" in key:
        raise InvalidValue("cursor", "Use a next_cursor as it was given, or leave it out.")
