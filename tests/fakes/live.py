"""Live progress inside one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Self

from application.ports.clock import Clock
from application.ports.live import Nudge, StepProgress, StreamHolder
from domain.shared.events import RunEvent
from domain.shared.ids import RunId


class InMemoryLiveUpdates:
    """Hands each update to those who follow the run."""

    def __init__(self) -> None:
        self._followers: dict[RunId, list[_Unread]] = {}

    def followed(self) -> set[RunId]:
        """The runs that somebody follows."""
        return {run_id for run_id, followers in self._followers.items() if followers}

    def interrupt(self) -> None:
        """As if the connection had broken and come back: all are told to read the log."""
        for followers in self._followers.values():
            for unread in followers:
                unread.put(Nudge(seq=0))

    async def publish(self, run_id: RunId, update: Nudge | StepProgress) -> None:
        for unread in self._followers.get(run_id, []):
            unread.put(update)

    @asynccontextmanager
    async def follow(self, run_id: RunId) -> AsyncIterator[AsyncIterator[Nudge | StepProgress]]:
        unread = _Unread()
        self._followers.setdefault(run_id, []).append(unread)
        try:
            yield unread
        finally:
            self._followers[run_id].remove(unread)


class InMemoryStreamTickets:
    """Numbered tickets, whose age a clock decides."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued = 0
        self._tickets: dict[str, tuple[StreamHolder, RunId, datetime]] = {}

    async def issue(self, holder: StreamHolder, run_id: RunId, ttl_seconds: int) -> str:
        if ttl_seconds <= 0:
            raise ValueError("A ticket must live for at least a second.")
        self._issued += 1
        ticket = f"ticket-{self._issued}"
        expires_at = self._clock.now() + timedelta(seconds=ttl_seconds)
        self._tickets[ticket] = (holder, run_id, expires_at)
        return ticket

    async def redeem(self, ticket: str, run_id: RunId) -> StreamHolder | None:
        if ticket not in self._tickets:
            return None
        holder, its_run, expires_at = self._tickets.pop(ticket)
        return holder if its_run == run_id and self._clock.now() < expires_at else None


def _too_long(entry: RunEvent) -> bool:
    return len(str(entry.data)) > 16_384


class _Unread:
    """The highest nudge, a call to read the log, each step's latest figure, and few entries."""

    def __init__(self) -> None:
        self._updates: dict[str, Nudge | StepProgress] = {}
        self._filled = asyncio.Event()

    def put(self, update: Nudge | StepProgress) -> None:
        if isinstance(update, StepProgress):
            self._updates[f"step {update.step}"] = update
        elif update.entry is not None and len(self._updates) < 64 and not _too_long(update.entry):
            self._updates[f"entry {update.seq}"] = update
        else:
            update = Nudge(seq=update.seq)
            place = "log" if update.seq else "anew"
            held = self._updates.get(place)
            if not isinstance(held, Nudge) or held.seq < update.seq:
                self._updates[place] = update
        self._filled.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Nudge | StepProgress:
        while not self._updates:
            self._filled.clear()
            await self._filled.wait()
        return self._updates.pop(next(iter(self._updates)))
