"""Runs as work to be done, over all people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from application.ports.paging import Page as Page
from domain.projects.run import Claim, RunStatus
from domain.shared.ids import ProjectId, RunId, UserId


class RunUnreadable(Exception):
    """A claim was made, and counted, on a run whose row says nothing that this code knows.

    It carries what is needed to put the run off, or to end it, without reading it.
    """

    def __init__(
        self,
        run_id: RunId,
        project_id: ProjectId,
        user_id: UserId,
        *,
        fence: int,
        attempts: int,
        reason: str,
    ) -> None:
        super().__init__(reason)
        self.run_id = run_id
        self.project_id = project_id
        self.user_id = user_id
        self.fence = fence
        self.attempts = attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a renewal brought back: whether the person wants the run to stop."""

    cancel_requested: bool


class RunClaims(Protocol):
    """Who may work on which run, decided by the database on its own clock.

    A person's runs are held by at most so many workers at once as the adapter was told; 0
    is no limit. One whose end is asked for is outside of it: ending it is no work.
    """

    async def claim(self, run_id: RunId, lease_seconds: float) -> Claim | None:
        """Take the run if it is due and nobody holds it; each claim counts an attempt.

        Committed on its own, before any work. None: somebody else has it, it is not
        due yet, it has ended, or its person's other runs fill their limit. A run refused
        for the limit counts no attempt, and comes due as soon as there is room.

        Raises:
            RunUnreadable: the claim was made, but the row is not one of a run.
        """
        ...

    async def renew(self, run_id: RunId, fence: int, lease_seconds: float) -> Heartbeat | None:
        """Prolong the lease; None when it was lost."""
        ...

    async def hand_back(
        self, run_id: RunId, fence: int, *, delay_seconds: float, refund: bool = True
    ) -> bool:
        """Give the run up unfinished, to be claimed again after the delay.

        ``refund`` takes the claim's attempt off the count: parking and redeploying are
        nobody's fault. False when the lease was lost already.
        """
        ...

    async def outlived(self, run_id: RunId, fence: int) -> bool:
        """Take a claim's attempt off the count, for the worker that lost its lease and lives.

        Whoever has the run by now keeps it. False: the run has ended or finished a step
        since, so the attempt does not count any more, or it stalled too often
        (:data:`~domain.projects.run.MAX_STALLS`), and it goes on counting.
        """
        ...

    async def due(self, limit: int) -> Sequence[RunId]:
        """Runs that wait for a worker and that nobody announced lately.

        In the order of fairness: everybody's first, then everybody's second, and of each
        person no more than may be held or on their way to a worker at once.
        """
        ...

    async def put_off(self, run_ids: Sequence[RunId], defer_seconds: float) -> Sequence[RunId]:
        """Put off the next turn of those that are still due by the delay, and tell which.

        In the order they are given. Of many dispatchers with the same run, one is told it.
        """
        ...

    async def depth(self) -> int:
        """How many runs wait for a worker."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run's row as an operator sees it. Mode and status are told as they are written."""

    id: RunId
    project_id: ProjectId
    user_id: UserId
    mode: str
    status: str
    progress: int
    attempts: int
    retry_of: RunId | None
    event_seq: int
    error_code: str
    error: str
    created_at: datetime
    finished_at: datetime | None


class RunOversight(Protocol):
    """The rows of everybody's runs, to be read only: for operators."""

    async def of_status(self, status: RunStatus, page: Page) -> Sequence[RunSummary]:
        """Everybody's runs of that status, newest first.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...

    async def of_person(
        self, user_id: UserId, status: RunStatus | None, page: Page
    ) -> Sequence[RunSummary]:
        """That person's runs, newest first; of one status, if one is named.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...

    async def get(self, run_id: RunId) -> RunSummary | None:
        """Anybody's run, or None.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...
