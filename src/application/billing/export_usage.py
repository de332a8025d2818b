"""Export the account of usage, line by line, however long it is."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from application.ports.persistence import UnitOfWork
from application.ports.usage import ExportPosition, UsageFilter, UsageLine
from domain.shared.ids import UserId

BATCH: Final = 1_000
"""Lines read at once: all that is ever kept of an export."""


@dataclass(frozen=True, slots=True)
class ExportUsage:
    """Reads settlements in the order they were made.

    Each batch is a short transaction of its own, so no connection waits for a slow reader.
    What is settled while the export goes on may or may not be in it; of days that are over,
    nothing is missing.
    """

    uow: UnitOfWork
    batch: int = BATCH

    async def __call__(
        self, user_id: UserId, only: UsageFilter
    ) -> AsyncIterator[Sequence[UsageLine]]:
        """The lines, in batches. The first is read before this returns, the rest as asked for.

        Raises:
            InvalidValue: the days are the wrong way round.
        """
        first = await self._read(user_id, only, None)
        return self._onward(user_id, only, first)

    async def _onward(
        self, user_id: UserId, only: UsageFilter, lines: Sequence[UsageLine]
    ) -> AsyncIterator[Sequence[UsageLine]]:
        while lines:
            yield lines
            if len(lines) < self.batch:
                return
            last = lines[-1]
            behind = ExportPosition(at=last.at, run_id=last.step.run_id, step=last.step.step)
            lines = await self._read(user_id, only, behind)

    async def _read(
        self, user_id: UserId, only: UsageFilter, after: ExportPosition | None
    ) -> Sequence[UsageLine]:
        async with self.uow.begin(user_id) as tx:
            return await tx.usage.lines(only, after=after, limit=self.batch)
