"""Live progress: nudges to look at the log, and figures too fleeting for it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from domain.shared.events import RunEvent
from domain.shared.ids import ApiKeyId, RunId, SessionId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """The run's log has reached ``seq``. ``entry`` may spare the watchers a look at it.

    What is carried has been committed: it is the log's own entry of that number.
    """

    seq: int
    entry: RunEvent | None = None

    @classmethod
    def of(cls, entry: RunEvent) -> "Nudge":
        """A nudge that carries what was appended."""
        return cls(seq=entry.seq, entry=entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """Output tokens a step's calls have streamed so far: an estimate, may be lost."""

    step: str
    output_tokens: int


class LivePublisher(Protocol):
    """Tells a run's watchers. Lossy on purpose; the log is not."""

    async def publish(self, run_id: RunId, update: Nudge | StepProgress) -> None:
        """Tell the watchers. A failure is logged, never raised: watchers also poll."""
        ...


class LiveUpdates(LivePublisher, Protocol):
    """Tells a run's watchers, and lets one follow what is told."""

    def follow(
        self, run_id: RunId
    ) -> AbstractAsyncContextManager[AsyncIterator[Nudge | StepProgress]]:
        """Follow a run's updates from now on. A reader too slow loses the oldest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHolder:
    """Who opens a stream, in which session or with which key: it ends with that."""

    user_id: UserId
    session_id: SessionId | None = None
    key_id: ApiKeyId | None = None


class StreamTickets(Protocol):
    """Single-use permits to open a run's stream."""

    async def issue(self, holder: StreamHolder, run_id: RunId, ttl_seconds: int) -> str:
        """Make a ticket for that person and run.

        Raises:
            TicketsUnavailable: the store did not answer.
        """
        ...

    async def redeem(self, ticket: str, run_id: RunId) -> StreamHolder | None:
        """Use a ticket up; None when it is unknown, used, too old, or another run's.

        Raises:
            TicketsUnavailable: the store did not answer.
        """
        ...


class TicketsUnavailable(Exception):
    """The ticket store did not answer within its bounded retries."""
