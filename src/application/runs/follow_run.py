"""Follow a run: its log from a number on, without gap or repeat, until it ends."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass

from application.ports.live import LiveUpdates, Nudge, StepProgress, StreamTickets
from application.ports.persistence import UnitOfWork
from application.runs.cancellation import stop
from application.runs.show_run import ReadEvents, owned_run
from domain.identity.user import NotAuthenticated
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import RunId, UserId

BATCH = 200
"""Entries read from the log at once."""

POLL_SECONDS = 2.0
"""How often the log is read when no nudge comes: pub/sub may lose one, the log does not."""

TICKET_SECONDS = 30


@dataclass(frozen=True, slots=True)
class IssueStreamTicket:
    """Gives a single-use permit to open a run's stream: no token in an address."""

    uow: UnitOfWork
    tickets: StreamTickets

    async def __call__(self, user_id: UserId, run_id: RunId) -> str:
        """A ticket for this person and run, good for ``TICKET_SECONDS``.

        Raises:
            NotFound: no such run, or another person's.
            TicketsUnavailable: the ticket store did not answer.
        """
        async with self.uow.begin(user_id) as tx:
            await owned_run(tx, run_id)
        return await self.tickets.issue(user_id, run_id, TICKET_SECONDS)


@dataclass(frozen=True, slots=True)
class FollowRun:
    """Replays a run's log and goes on with it live."""

    uow: UnitOfWork
    live: LiveUpdates
    tickets: StreamTickets

    async def admit(self, ticket: str, run_id: RunId) -> UserId:
        """Use a ticket up.

        Raises:
            NotAuthenticated: it is unknown, used, too old, or for another run.
            TicketsUnavailable: the ticket store did not answer.
        """
        user_id = await self.tickets.redeem(ticket, run_id)
        if user_id is None:
            raise NotAuthenticated("The stream ticket is not valid. Ask for a new one.")
        return user_id

    async def __call__(
        self, user_id: UserId, run_id: RunId, after: int
    ) -> AsyncGenerator[RunEvent | StepProgress]:
        """Entries above ``after`` in order, fleeting figures between, ending with the run.

        The reader pulls: while it is slow nothing is buffered here but fleeting figures.

        Raises:
            NotFound: no such run, or another person's.
        """
        read = ReadEvents(self.uow)
        async with self.live.follow(run_id) as updates:
            seen = after
            incoming = aiter(updates)
            pending: asyncio.Future[Nudge | StepProgress] | None = None
            try:
                while True:
                    run, entries = await read(user_id, run_id, after=seen, limit=BATCH)
                    for entry in entries:
                        seen = entry.seq
                        yield entry
                        if entry.type is EventType.RUN_FINISHED:
                            return
                    if len(entries) == BATCH:
                        continue
                    if not run.live and run.event_seq <= seen:
                        return
                    while True:
                        pending = pending or asyncio.ensure_future(_next(anext(incoming)))
                        done, _ = await asyncio.wait({pending}, timeout=POLL_SECONDS)
                        if not done:
                            break
                        update, pending = pending.result(), None
                        if isinstance(update, StepProgress):
                            yield update
                        elif update.seq == 0 or update.seq > seen:
                            break
            finally:
                if pending is not None:
                    await stop(pending)


async def _next(awaitable: Awaitable[Nudge | StepProgress]) -> Nudge | StepProgress:
    return await awaitable
