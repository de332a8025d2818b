"""An agent's task: one step of one run, what it used and what it made."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.agents.review import Finding
from domain.billing.usage import TokenUsage
from domain.shared.ids import AgentTaskId, ProjectId, RunId, UserId


class AgentTaskStatus(StrEnum):
    """The states of a step. ``reused``: an earlier run had made the very same."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REUSED = "reused"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = frozenset({AgentTaskStatus.SUCCEEDED, AgentTaskStatus.REUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRef:
    """Where an artifact's JSON lies: type name, object key, and the hash of the bytes."""

    type: str
    object_key: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTask:
    """One step of one run.

    ``summary`` is one line on what it made, e.g. ``14 files``. ``cost_nano_usd`` is what
    the provider charges for the person's share of the calls, ``credits`` what the person
    paid for it, ``house_nano_usd`` what the house bore: answers lost in a crash, review
    retries, repairs.
    """

    id: AgentTaskId
    run_id: RunId
    project_id: ProjectId
    user_id: UserId
    step: str
    agent_type: str
    status: AgentTaskStatus
    attempt: int
    input_hash: str
    output: ArtifactRef | None
    findings: tuple[Finding, ...]
    usage: TokenUsage
    model: str
    cost_nano_usd: int
    house_nano_usd: int
    credits: int
    error_code: str
    error: str
    started_at: datetime | None
    finished_at: datetime | None
    summary: str = ""

    @property
    def finished(self) -> bool:
        """Whether its artifact is there to be read."""
        return self.status in FINISHED
