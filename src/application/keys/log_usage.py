"""Log requests with a key: in memory for a moment, then on the stream."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from application.ports.usage_log import (
    UsageLogMetrics,
    UsageSink,
    UsageStreamAway,
    UsageStreamFull,
)
from domain.keys.usage_log import LoggedRequest
from domain.shared.ids import ApiKeyId

log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 0.02
"""How long a row waits for others to be appended with. A process that is killed loses the rows of
that long, and those being appended."""

BATCH: Final = 256
"""Rows appended at once; so many do not wait."""

MAX_WAITING: Final = 20_000
"""Rows kept, some 10 MB, while the stream is away or full. Later ones are given up, and counted."""

REFUSED_SECONDS: Final = 10.0
"""For how long refusals for their rate, of a key on a route, become one row. Whoever is refused
may go on asking as fast as they like, and what is kept of that must not grow as fast."""

MAX_REFUSED: Final = 10_000
"""Keys and routes at once whose refusals are gathered; those of others are a row each."""

_TOO_MANY_REQUESTS: Final = 429
_AGAIN_SECONDS: Final = 0.5
_CLOSING_SECONDS: Final = 3.0


@dataclass(slots=True)
class LogUsage:
    """Takes rows without waiting; one task appends them in batches.

    A row is given up only when :data:`MAX_WAITING` others wait already. An append whose answer
    got lost is repeated: a row's id keeps it single in the log.

    The first refusal for its rate is a row at once; those of the same key on the same route within
    ``refused_seconds`` after it are one more row, at the end of that time.
    """

    sink: UsageSink
    metrics: UsageLogMetrics
    flush_seconds: float = FLUSH_SECONDS
    max_waiting: int = MAX_WAITING
    refused_seconds: float = REFUSED_SECONDS
    _refused: dict[tuple[ApiKeyId, str], "_Refusals"] = field(default_factory=dict)
    _waiting: list[LoggedRequest] = field(default_factory=list)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _enough: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _lost: int = 0

    def note(self, row: LoggedRequest) -> None:
        """Have a row appended shortly."""
        if row.status != _TOO_MANY_REQUESTS or not self._gathered(row):
            self._add(row)

    def _add(self, row: LoggedRequest) -> None:
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
        for of in list(self._refused):
            self._end_of(of)
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

    def _gathered(self, row: LoggedRequest) -> bool:
        """Whether the refusal follows others and is counted with them."""
        of = (row.key_id, row.route)
        refusals = self._refused.get(of)
        if refusals is not None:
            refusals.add(row)
            return True
        if len(self._refused) < MAX_REFUSED:
            end = asyncio.get_running_loop().call_later(self.refused_seconds, self._end_of, of)
            self._refused[of] = _Refusals(end)
        return False

    def _end_of(self, of: tuple[ApiKeyId, str]) -> None:
        refusals = self._refused.pop(of)
        refusals.end.cancel()
        row = refusals.row()
        if row is not None:
            self._add(row)

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


@dataclass(slots=True)
class _Refusals:
    """What followed the first of them, until ``end``."""

    end: asyncio.TimerHandle
    first: LoggedRequest | None = None
    requests: int = 0
    latency_us: int = 0

    def add(self, row: LoggedRequest) -> None:
        if self.first is None:
            self.first = row
        self.requests += 1
        self.latency_us += row.latency_us

    def row(self) -> LoggedRequest | None:
        """All of them, if there were any."""
        if self.first is None:
            return None
        average = self.latency_us // self.requests
        return replace(self.first, requests=self.requests, latency_us=average)
