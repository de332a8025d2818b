"""One reader of a run's log for all who watch it in this process.

However many watch, each entry is read once at most: the feed takes it from the nudge that
carries it, or else reads the log, and puts it into every watcher's bounded backlog. A
watcher whose backlog is full is told to resume; it is never served a gap.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field

from application.ports.live import LiveUpdates, Nudge, StepProgress
from application.ports.persistence import UnitOfWork
from application.runs.cancellation import stop
from application.runs.show_run import owned_run
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import RunId, UserId

BATCH = 200
"""Entries read from the log at once."""

POLL_SECONDS = 2.0
"""How often the log is read when no nudge comes: pub/sub may lose one, the log does not."""

BACKLOG = 1_000
"""Entries that wait for one watcher at most: five whole reads."""


class WatcherTooSlow(Exception):
    """The watcher left too much unread. It has missed nothing if it resumes from its number."""


class FeedClosed(Exception):
    """This process shuts down and follows nothing more; resume with another."""


@dataclass(slots=True, eq=False)
class Watcher:
    """One who watches a run: has seen the log up to ``seen``, and takes what comes above it.

    ``updates`` waits for what is there and returns all of it, entries in order, then the
    latest figure of each step.
    """

    seen: int
    _entries: deque[RunEvent] = field(default_factory=deque)
    _figures: dict[str, StepProgress] = field(default_factory=dict)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)
    _end: Exception | None = None
    _over: bool = False

    async def updates(self) -> Sequence[RunEvent | StepProgress]:
        """What has come, at least one; nothing when the run's log is over.

        Raises:
            WatcherTooSlow: more came than the backlog holds.
            Exception: what ended the feed, e.g. ``DatabaseUnavailable`` or ``NotFound``.
        """
        await self._filled.wait()
        # The rest of a backlog that overflowed is not served: what follows it is lost.
        if isinstance(self._end, WatcherTooSlow):
            raise self._end
        taken: Sequence[RunEvent | StepProgress] = [*self._entries, *self._figures.values()]
        self._entries.clear()
        self._figures.clear()
        if not taken and self._end is not None:
            raise self._end
        if self._end is None and not self._over:
            self._filled.clear()
        return taken

    def tell(self, entries: Iterable[RunEvent]) -> None:
        """Add entries of the log; those seen already are passed over."""
        for entry in entries:
            if entry.seq <= self.seen:
                continue
            if len(self._entries) >= BACKLOG:
                self.end(WatcherTooSlow("The watcher reads too slowly; resume from its number."))
                return
            self.seen = entry.seq
            self._entries.append(entry)
            self._filled.set()

    def show(self, figure: StepProgress) -> None:
        """Add a fleeting figure, in the place of the step's last."""
        self._figures[figure.step] = figure
        self._filled.set()

    def end(self, reason: Exception | None) -> None:
        """Nothing comes after what is here: the log is over, or else ``reason``."""
        if self._end is None:
            self._end, self._over = reason, reason is None
        self._filled.set()


@dataclass(slots=True, eq=False)
class RunFeed:
    """Reads a live run's log from ``seq`` on, for its watchers; ends with the last of them.

    It reads as the run's owner, whom every watcher was found to be before it joined.
    """

    user_id: UserId
    run_id: RunId
    seq: int
    uow: UnitOfWork
    live: LiveUpdates
    watchers: set[Watcher] = field(default_factory=set)
    _recent: deque[RunEvent] = field(default_factory=lambda: deque(maxlen=BATCH))
    _reading: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come from it."""
        return self._reading is not None and self._reading.done()

    def join(self, watcher: Watcher) -> bool:
        """Give a watcher all above what it has seen; False when it must read more itself."""
        if self.over or watcher.seen < self.seq - len(self._recent):
            return False
        watcher.tell(self._recent)
        self.watchers.add(watcher)
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        return True

    async def leave(self, watcher: Watcher) -> None:
        """Take a watcher away; the last one's leaving ends the reading."""
        self.watchers.discard(watcher)
        if not self.watchers and self._reading is not None:
            await stop(self._reading)

    async def _read(self) -> None:
        try:
            await self._follow()
        except Exception as reason:  # noqa: BLE001  # each watcher raises it
            self._end(reason)
        else:
            self._end(None)

    async def _follow(self) -> None:
        async with self.live.follow(self.run_id) as updates:
            incoming = aiter(updates)
            pending: asyncio.Future[Nudge | StepProgress] | None = None
            whole = True
            try:
                while await self._catch_up(whole=whole):
                    while True:
                        pending = pending or asyncio.ensure_future(_next(anext(incoming)))
                        done, _ = await asyncio.wait({pending}, timeout=POLL_SECONDS)
                        if not done:
                            whole = True
                            break
                        update, pending = pending.result(), None
                        if isinstance(update, StepProgress):
                            for watcher in self.watchers:
                                watcher.show(update)
                        elif update.entry is not None and update.seq == self.seq + 1:
                            if self._hand_on([update.entry]):
                                return
                        elif update.seq == 0 or update.seq > self.seq:
                            whole = False
                            break
            finally:
                if pending is not None:
                    await stop(pending)

    async def _catch_up(self, *, whole: bool) -> bool:
        """Hand on what is new in the log; False at its end.

        A nudge says that there are entries, so only they are read; ``whole`` looks at the
        run as well, which may have gone.
        """
        while True:
            async with self.uow.begin(self.user_id) as tx:
                run = await owned_run(tx, self.run_id) if whole else None
                entries = await tx.runs.events(self.run_id, self.seq, BATCH)
            if entries and self._hand_on(entries):
                return False
            if len(entries) < BATCH:
                return run is None or run.live or run.event_seq > self.seq

    def _hand_on(self, entries: Sequence[RunEvent]) -> bool:
        """Give the next entries to every watcher; True when they are the log's last."""
        self.seq = entries[-1].seq
        self._recent.extend(entries)
        for watcher in self.watchers:
            watcher.tell(entries)
        return entries[-1].type is EventType.RUN_FINISHED

    def _end(self, reason: Exception | None) -> None:
        for watcher in self.watchers:
            watcher.end(reason)


async def _next(awaitable: Awaitable[Nudge | StepProgress]) -> Nudge | StepProgress:
    try:
        return await awaitable
    except StopAsyncIteration as end:
        raise FeedClosed("This process follows no runs any more.") from end
