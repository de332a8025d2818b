"""Log requests with a key: in memory for a moment, then on the stream."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from application.ports.usage_log import (
    UsageLogMetrics,
    UsageSink,
    UsageStreamAway,
    UsageStreamFull,
)
from domain.keys.usage_log import LoggedRequest

log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 0.02
"""How long a row waits for others to be appended with. A process that is killed loses the rows of
that long, and those being appended."""

BATCH: Final = 256
"""Rows appended at once; so many do not wait."""

MAX_WAITING: Final = 20_000
"""Rows kept, some 10 MB, while the stream is away or full. Later ones are given up, and counted."""

_AGAIN_SECONDS: Final = 0.5
_CLOSING_SECONDS: Final = 3.0


@dataclass(slots=True)
class LogUsage:
    """Takes rows without waiting; one task appends them in batches.

    A row is given up only when :data:`MAX_WAITING` others wait already. An append whose answer
    got lost is repeated: a row's id keeps it single in the log.
    """

    sink: UsageSink
    metrics: UsageLogMetrics
    flush_seconds: float = FLUSH_SECONDS
    max_waiting: int = MAX_WAITING
    _waiting: list[LoggedRequest] = field(default_factory=list)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _enough: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _lost: int = 0

    def note(self, row: LoggedRequest) -> None:
        """Have a row appended shortly."""
        waiting = self._waiting
        if len(waiting) >= self.max_waiting:
            if not self._lost:
                log.error("usage rows are being lost", waiting=len(waiting))
            self._lost += 1
            self.metrics.lost(1)
            return
        waiting.append(row)
        if len(waiting) == 1:
            self._some.set()
        elif len(waiting) == BATCH:
            self._enough.set()

    def start(self) -> None:
        """Begin to append. Harmless when repeated."""
        if self._task is None:
            self._task = asyncio.create_task(self._append_all(), name="usage log")

    async def close(self) -> None:
        """Append what waits, for a few seconds at most, and end. Harmless when repeated."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                while self._waiting:
                    if not await self._append():
                        await asyncio.sleep(_AGAIN_SECONDS)
        except TimeoutError:
            pass
        if self._waiting:
            log.error("usage rows were lost", rows=len(self._waiting))
            self.metrics.lost(len(self._waiting))
            self._waiting.clear()

    async def _append_all(self) -> None:
        while True:
            await self._some.wait()
            if len(self._waiting) < BATCH:
                await self._pause()
            appended = await self._append()
            self.metrics.waiting(len(self._waiting))
            if not appended:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _pause(self) -> None:
        self._enough.clear()
        try:
            async with asyncio.timeout(self.flush_seconds):
                await self._enough.wait()
        except TimeoutError:
            return

    async def _append(self) -> bool:
        """Append the next batch; whether it is there."""
        batch = self._waiting[:BATCH]
        try:
            await self.sink.append(batch)
        except (UsageStreamAway, UsageStreamFull) as error:
            log.warning("usage rows wait", rows=len(self._waiting), error=type(error).__name__)
            return False
        del self._waiting[: len(batch)]
        if not self._waiting:
            self._some.clear()
        if self._lost:
            log.error("usage rows were lost", rows=self._lost)
            self._lost = 0
        return True
