"""A run: one execution of a pipeline for a project, and its states."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from domain.agents.artifacts import Mode
from domain.shared.errors import Conflict, InvalidValue
from domain.shared.ids import ApiKeyId, ProjectId, RunId, UserId

MAX_CLAIMS = 5
"""Claims of a run since its last finished step. More than that means that the run itself
kills its worker; it is set aside as dead, with its evidence, instead of looping."""

MAX_STALLS = 20
"""Leases since its last finished step that a run may lose to a worker which lives to see it,
without an attempt spent: the machine was too busy, or the database away. Bounded all the same,
for the run itself may be what its worker stands still over."""


DEFAULT_CAP_CREDITS = 30_000
"""What a run may be charged where nobody said otherwise: ₹300."""

MAX_CAP_CREDITS = 100_000_000


class RunStatus(StrEnum):
    """The states of a run. The last four absorb: nothing leaves them."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"


LIVE = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})
TERMINAL = frozenset(RunStatus) - LIVE

NEXT: Mapping[RunStatus, frozenset[RunStatus]] = MappingProxyType(
    {
        RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED, RunStatus.DEAD}),
        RunStatus.RUNNING: frozenset(TERMINAL | {RunStatus.QUEUED}),
        **{status: frozenset[RunStatus]() for status in TERMINAL},
    }
)
"""Where each state may go. ``running → queued`` is a hand-back: the work goes on later."""


class RunInProgress(Conflict):
    """The project has a live run already; ``run_id`` names it."""

    code = "run_in_progress"


class RunNotLive(Conflict):
    """The run has ended, and what was asked makes sense only before that."""

    code = "run_not_live"


class RunSucceeded(Conflict):
    """The run has done its work, and what was asked makes sense only when it had not."""

    code = "run_succeeded"


def check_cap(credits: int) -> int:
    """A cap that a person chose.

    Raises:
        InvalidValue: no run can have it.
    """
    if not 1 <= credits <= MAX_CAP_CREDITS:
        raise InvalidValue("cap_credits", f"Give 1 to {MAX_CAP_CREDITS} credits.")
    return credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution. ``event_seq`` is the last number given out in its event log.

    ``cancel_requested`` is a wish the worker reads with each heartbeat; ``error`` is the
    public code and sentence of what ended a failed run. It is never charged more than its
    ``cap_credits``; a run of before there were caps has none. ``api_key_id`` is the key it was
    started with, if any; a ``test`` run is made by rules, and never charged.
    """

    id: RunId
    project_id: ProjectId
    user_id: UserId
    mode: Mode
    pipeline_version: int
    status: RunStatus
    progress: int
    reuse: bool
    retry_of: RunId | None
    attempts: int
    fence: int
    cancel_requested: bool
    event_seq: int
    error_code: str
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cap_credits: int | None = None
    charged_credits: int = 0
    api_key_id: ApiKeyId | None = None
    test: bool = False

    @property
    def room(self) -> int | None:
        """What may still be charged to it, by its cap; None where it has none."""
        return None if self.cap_credits is None else self.cap_credits - self.charged_credits

    @property
    def live(self) -> bool:
        """Whether anything is still to happen in it."""
        return self.status in LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's right to a run until its lease ends; ``fence`` proves it in each commit."""

    run: Run
    fence: int
    lease_seconds: float
