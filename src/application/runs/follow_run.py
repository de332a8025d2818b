"""Follow a run: its log from a number on, without gap or repeat, until it ends."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from application.ports.live import LiveUpdates, StepProgress, StreamHolder, StreamTickets
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from application.runs.run_feed import BATCH, RunFeed, Watcher
from application.runs.show_run import ReadEvents, owned_run
from domain.identity.user import NotAuthenticated
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import RunId, UserId

TICKET_SECONDS = 30


@dataclass(frozen=True, slots=True)
class IssueStreamTicket:
    """Gives a single-use permit to open a run's stream: no token in an address."""

    uow: UnitOfWork
    tickets: StreamTickets

    async def __call__(self, principal: Principal, run_id: RunId) -> str:
        """A ticket for this person and run, good for ``TICKET_SECONDS``.

        Raises:
            NotFound: no such run, or another person's.
            TicketsUnavailable: the ticket store did not answer.
        """
        async with self.uow.begin(principal.user_id) as tx:
            await owned_run(tx, run_id)
        holder = StreamHolder(
            user_id=principal.user_id,
            session_id=principal.session.id if principal.session else None,
            key_id=principal.key.id if principal.key else None,
        )
        return await self.tickets.issue(holder, run_id, TICKET_SECONDS)


@dataclass(frozen=True, slots=True)
class FollowRun:
    """Replays a run's log and goes on with it live."""

    uow: UnitOfWork
    live: LiveUpdates
    tickets: StreamTickets
    feeds: dict[tuple[UserId, RunId], RunFeed] = field(default_factory=dict)

    async def admit(self, ticket: str, run_id: RunId) -> StreamHolder:
        """Use a ticket up, and say whose it was.

        Raises:
            NotAuthenticated: it is unknown, used, too old, or for another run.
            TicketsUnavailable: the ticket store did not answer.
        """
        holder = await self.tickets.redeem(ticket, run_id)
        if holder is None:
            raise NotAuthenticated("The stream ticket is not valid. Ask for a new one.")
        return holder

    async def __call__(
        self, user_id: UserId, run_id: RunId, after: int
    ) -> AsyncGenerator[RunEvent | StepProgress]:
        """Entries above ``after`` in order, fleeting figures between, ending with the run.

        What is past is read for this reader alone; what comes is read once for all who
        follow the run here, and waits for a slow one up to a bound.

        Raises:
            NotFound: no such run, or another person's.
            WatcherTooSlow: the reader fell too far behind; it may resume from its number.
            FeedClosed: this process shuts down; resume with another.
        """
        read = ReadEvents(self.uow)
        watcher = Watcher(after)
        while True:
            run, entries = await read(user_id, run_id, after=watcher.seen, limit=BATCH)
            for entry in entries:
                watcher.seen = entry.seq
                yield entry
                if entry.type is EventType.RUN_FINISHED:
                    return
            if len(entries) == BATCH:
                continue
            if not run.live and run.event_seq <= watcher.seen:
                return
            feed = self._feed(user_id, run_id, watcher.seen)
            if feed.join(watcher):
                break
            # The reader took its time over what was read, and the feed is far ahead.
        try:
            while updates := await watcher.updates():
                for update in updates:
                    yield update
        finally:
            await self._leave(feed, watcher)

    def _feed(self, user_id: UserId, run_id: RunId, seen: int) -> RunFeed:
        feed = self.feeds.get((user_id, run_id))
        if feed is None or feed.over:
            feed = RunFeed(user_id, run_id, seen, self.uow, self.live)
            self.feeds[user_id, run_id] = feed
        return feed

    async def _leave(self, feed: RunFeed, watcher: Watcher) -> None:
        feed.watchers.discard(watcher)
        place = (feed.user_id, feed.run_id)
        if not feed.watchers and self.feeds.get(place) is feed:
            # At once, so that nobody joins one that is being stopped.
            del self.feeds[place]
        await feed.leave(watcher)
