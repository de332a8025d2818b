"""What a watcher has not read yet."""

import asyncio
from typing import Self

from application.ports.live import Nudge, StepProgress

_MOST_STEPS = 64
_MOST_ENTRIES = 64


class Inbox:
    """A bounded queue that keeps the latest of each kind: an iterator of updates.

    Of the nudges it keeps the highest, for it says all that the lower ones say, and apart from
    it ``Nudge(seq=0)``, which says something else: read the log whatever you know. Those that
    carry an entry are kept in their order, until 64 wait: then the highest says it all again.
    Of each step's progress it keeps the latest; past 64 steps the oldest figure goes, for
    figures may be lost. So it is bounded for any number of updates.
    """

    def __init__(self) -> None:
        self._pending: dict[str | int | tuple[str, str], Nudge | StepProgress] = {}
        self._filled = asyncio.Event()
        self._ended = False

    def put(self, update: Nudge | StepProgress) -> None:
        """Add an update; never waits."""
        if isinstance(update, Nudge):
            self._put_nudge(update)
        else:
            self._put_progress(update)
        self._filled.set()

    def end(self) -> None:
        """Let the iteration end after what is still pending."""
        self._ended = True
        self._filled.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Nudge | StepProgress:
        while not self._pending:
            if self._ended:
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        return self._pending.pop(next(iter(self._pending)))

    def _put_nudge(self, nudge: Nudge) -> None:
        if nudge.entry is not None:
            if self._entries() < _MOST_ENTRIES:
                self._pending[nudge.seq] = nudge
                return
            carried = [place for place in self._pending if isinstance(place, int)]
            for place in carried:
                del self._pending[place]
            nudge = Nudge(seq=max(nudge.seq, *carried))
        kind = "log" if nudge.seq else "anew"
        waiting = self._pending.get(kind)
        if not isinstance(waiting, Nudge) or waiting.seq < nudge.seq:
            self._pending[kind] = nudge

    def _entries(self) -> int:
        return sum(isinstance(place, int) for place in self._pending)

    def _put_progress(self, progress: StepProgress) -> None:
        place = ("step", progress.step)
        figures = [key for key in self._pending if isinstance(key, tuple)]
        if place not in self._pending and len(figures) >= _MOST_STEPS:
            del self._pending[figures[0]]
        self._pending[place] = progress
