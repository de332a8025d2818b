"""Bring the usage log from its stream to where it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from application.ports.usage_log import (
    TakenRow,
    UnkeepableRows,
    UsageLogMetrics,
    UsageLogWriter,
    UsageStream,
    UsageStreamAway,
)

log = structlog.get_logger(__name__)

BATCH: Final = 1_000
"""Rows kept in one commit."""


@dataclass(frozen=True, slots=True)
class DrainUsage:
    """Keeps a batch and settles it after the commit, so that what dies in between comes again.

    Keeping a row again changes nothing: its id is its own. Any number of processes may drain.
    """

    stream: UsageStream
    writer: UsageLogWriter
    metrics: UsageLogMetrics
    batch: int = BATCH

    async def __call__(self) -> int:
        """Drain one batch; how many entries there were.

        Raises:
            DatabaseUnavailable: nothing is settled; the entries come again.
        """
        try:
            taken = await self.stream.take(self.batch)
            if taken:
                await self._keep(taken)
            self.metrics.backlog(await self.stream.backlog())
        except UsageStreamAway as error:
            log.warning("usage log not drained", error=str(error))
            return 0
        return len(taken)

    async def _keep(self, taken: Sequence[TakenRow]) -> None:
        unreadable = [each.entry for each in taken if each.row is None]
        if unreadable:
            await self._set_aside(unreadable, "it cannot be read")
        readable = [each for each in taken if each.row is not None]
        try:
            await self._kept(readable)
        except UnkeepableRows:
            # One of them: each by itself, so that the others do not wait for it.
            for each in readable:
                try:
                    await self._kept([each])
                except UnkeepableRows as error:
                    await self._set_aside([each.entry], str(error))

    async def _kept(self, taken: Sequence[TakenRow]) -> None:
        rows = [each.row for each in taken if each.row is not None]
        if not rows:
            return
        new = await self.writer.keep(rows)
        await self.stream.settle([each.entry for each in taken])
        self.metrics.drained("kept", new)
        self.metrics.drained("repeated", len(rows) - new)

    async def _set_aside(self, entries: Sequence[str], reason: str) -> None:
        log.error("usage rows set aside", entries=list(entries)[:10], reason=reason)
        await self.stream.set_aside(entries)
        self.metrics.drained("set_aside", len(entries))


@dataclass(frozen=True, slots=True)
class PrepareUsageLog:
    """Makes the months to come, and drops those past their retention."""

    writer: UsageLogWriter
    keep_months: int

    async def __call__(self) -> int:
        """How many months were dropped.

        Raises:
            DatabaseUnavailable: it did not answer.
        """
        return await self.writer.prepare(self.keep_months)
