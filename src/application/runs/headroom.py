"""Who waits for credits, and who of a run may still free some.

A call holds its dearest outcome, which is far above its usual cost. So at the edge of the
balance or of the run's cap, calls made at once may fail to fit that would fit one after
another. One that does not fit waits as long as anything else of its run may free credits,
and is refused only when nothing can.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Headroom:
    """The steps under way of one claimed run, and their calls."""

    _asking: Counter[str] = field(default_factory=Counter)
    _waiting: Counter[str] = field(default_factory=Counter)
    _steps: set[str] = field(default_factory=set)
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step under way, up to its commit, which frees what it holds too much."""
        self._steps.add(name)
        try:
            yield
        finally:
            self._steps.discard(name)
            self.freed()

    @contextmanager
    def asking(self, step: str) -> Iterator[None]:
        """A question under way."""
        self._asking[step] += 1
        try:
            yield
        finally:
            self._asking[step] -= 1
            self.freed()

    def freed(self) -> None:
        """Let all who wait look again."""
        freed, self._freed = self._freed, asyncio.Event()
        freed.set()

    def mark(self) -> asyncio.Event:
        """The present moment, to be taken before looking whether there is room."""
        return self._freed

    async def wait(self, step: str, since: asyncio.Event) -> bool:
        """Wait until something was freed since that moment. False: nothing can be any more."""
        self._waiting[step] += 1
        try:
            if not since.is_set() and not any(self._moves(name) for name in self._steps):
                return False
            await since.wait()
            return True
        finally:
            self._waiting[step] -= 1

    def _moves(self, step: str) -> bool:
        """Whether anything of a step goes on: of one that asks, not all its questions wait."""
        return not self._waiting[step] or self._asking[step] > self._waiting[step]
