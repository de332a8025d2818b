"""What goes over the wire. Requests refuse unknown fields; answers hide what is ours."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from application.operations.check_health import ProbeResult
from application.operations.oversee_runs import Evidence
from application.ports.claims import RunSummary
from domain.agents.artifacts import Mode
from domain.billing.ledger import Balance
from domain.identity.user import User
from domain.projects.agent_task import AgentTask
from domain.projects.document import Document
from domain.projects.project import Project
from domain.projects.run import Run
from domain.shared.events import RunEvent
from domain.shared.money import rupees
from entrypoints.http.price_schemas import RateView


class RegisterRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A new account. The password has 12 to 256 characters."""

    email: str
    password: str
    name: str


class CreateProjectRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A new project: the idea in 10 to 20,000 characters, and optionally a title."""

    idea: str
    mode: Mode = Mode.DEVELOPER
    title: str = ""


class EditProjectRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    title: str | None = None
    idea: str | None = None


class ExecuteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """How to execute: ``reuse`` false makes every step anew, even with unchanged inputs.

    ``cap_credits`` is the most the run may be charged; left out, it is the house's default.
    """

    reuse: bool = True
    cap_credits: int | None = None


class RetryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """How to retry: ``cap_credits``, left out, is the cap of the run that is retried."""

    cap_credits: int | None = None


class UserView(msgspec.Struct):
    """A person, as they see themselves."""

    id: UUID
    email: str
    name: str
    role: str
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> "UserView":
        return cls(user.id, user.email, user.name, user.role.value, user.created_at)


class MeView(msgspec.Struct):
    """The signed-in person and their credits; 100 credits are one rupee."""

    user: UserView
    credits_available: int
    credits_reserved: int
    balance: str

    @classmethod
    def of(cls, user: User, balance: Balance) -> "MeView":
        return cls(
            UserView.of(user), balance.available, balance.reserved, rupees(balance.available)
        )


class ProjectView(msgspec.Struct):
    """A project. ``progress`` is 0 to 100."""

    id: UUID
    title: str
    idea: str
    mode: str
    status: str
    progress: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, project: Project) -> "ProjectView":
        return cls(
            project.id,
            project.title,
            project.idea,
            project.mode.value,
            project.status.value,
            project.progress,
            project.created_at,
            project.updated_at,
        )


class FindingView(msgspec.Struct):
    """What review holds against a step's result."""

    code: str
    severity: str
    subject: str
    message: str


class TaskView(msgspec.Struct):
    """One step of a run.

    ``cost_nano_usd`` is the provider's price of the person's share, ``credits`` the charge for
    it and ``cost`` the same in rupees; ``house_nano_usd`` is what the house bore besides.
    """

    step: str
    agent_type: str
    status: str
    attempt: int
    summary: str
    model: str
    tokens_used: int
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    cache_write_1h_tokens: int
    cost_nano_usd: int
    house_nano_usd: int
    credits: int
    cost: str
    findings: list[FindingView]
    error_code: str
    error: str
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, task: AgentTask) -> "TaskView":
        return cls(
            step=task.step,
            agent_type=task.agent_type,
            status=task.status.value,
            attempt=task.attempt,
            summary=task.summary,
            model=task.model,
            tokens_used=task.usage.total,
            input_tokens=task.usage.input,
            output_tokens=task.usage.output,
            cache_write_tokens=task.usage.cache_write,
            cache_read_tokens=task.usage.cache_read,
            cache_write_1h_tokens=task.usage.cache_write_1h,
            cost_nano_usd=task.cost_nano_usd,
            house_nano_usd=task.house_nano_usd,
            credits=task.credits,
            cost=rupees(task.credits),
            findings=[
                FindingView(finding.code, finding.severity.value, finding.subject, finding.message)
                for finding in task.findings
            ],
            error_code=task.error_code,
            error=task.error,
            started_at=task.started_at,
            finished_at=task.finished_at,
        )


class RunView(msgspec.Struct):
    """A run without its steps. It was charged ``charged_credits`` so far, never more than
    ``cap_credits``; null is a run of before there were caps. A ``test`` run was made by rules,
    and costs nothing."""

    id: UUID
    project_id: UUID
    mode: str
    status: str
    progress: int
    reuse: bool
    cancel_requested: bool
    last_event: int
    error_code: str
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    retry_of: UUID | None
    cap_credits: int | None
    charged_credits: int
    test: bool

    @classmethod
    def of(cls, run: Run) -> "RunView":
        return cls(
            run.id,
            run.project_id,
            run.mode.value,
            run.status.value,
            run.progress,
            run.reuse,
            run.cancel_requested,
            run.event_seq,
            run.error_code,
            run.error,
            run.created_at,
            run.started_at,
            run.finished_at,
            run.retry_of,
            run.cap_credits,
            run.charged_credits,
            run.test,
        )


class RunDetailView(msgspec.Struct):
    """A run with the steps begun so far, and what they come to.

    ``exchange_rate`` is the one the run was accepted at: ``credits`` are its steps' costs at
    that rate, each rounded up. ``house_credits`` is what the house bore, at the same rate.
    """

    run: RunView
    tasks: list[TaskView]
    tokens_used: int
    cost_nano_usd: int
    house_nano_usd: int
    house_credits: int
    exchange_rate: RateView
    credits: int
    cost: str
    provider: str
    offline: bool
    notice: str


class ProjectDetailView(msgspec.Struct):
    """A project and the run it was last executed by."""

    project: ProjectView
    latest_run: RunView | None


class EventView(msgspec.Struct):
    """An entry of a run's log: ``seq`` counts from 1 without gaps."""

    seq: int
    type: str
    data: dict[str, Any]
    at: datetime

    @classmethod
    def of(cls, event: RunEvent) -> "EventView":
        return cls(event.seq, event.type.value, dict(event.data), event.at)


class EventPageView(msgspec.Struct):
    """Entries of a log, and whether the run goes on."""

    items: list[EventView]
    last_event: int
    live: bool


class DocumentView(msgspec.Struct):
    """A document; its bytes are at ``download_url``."""

    id: UUID
    project_id: UUID
    run_id: UUID
    type: str
    format: str
    version: int
    title: str
    filename: str
    media_type: str
    size: int
    sha256: str
    download_url: str
    created_at: datetime

    @classmethod
    def of(cls, document: Document) -> "DocumentView":
        return cls(
            document.id,
            document.project_id,
            document.run_id,
            document.type.value,
            document.format,
            document.version,
            document.title,
            document.filename,
            document.media_type,
            document.size,
            document.sha256,
            f"/api/v1/documents/{document.id}/download",
            document.created_at,
        )


class ProjectPageView(msgspec.Struct):
    """A page of projects; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[ProjectView]
    next_cursor: str | None


class RunPageView(msgspec.Struct):
    """A page of runs; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[RunView]
    next_cursor: str | None


class OverseenRunView(msgspec.Struct):
    """A run as an operator sees it, whoever it is of."""

    id: UUID
    project_id: UUID
    user_id: UUID
    mode: str
    status: str
    progress: int
    attempts: int
    retry_of: UUID | None
    last_event: int
    error_code: str
    error: str
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, run: RunSummary) -> "OverseenRunView":
        return cls(
            id=run.id,
            project_id=run.project_id,
            user_id=run.user_id,
            mode=run.mode,
            status=run.status,
            progress=run.progress,
            attempts=run.attempts,
            retry_of=run.retry_of,
            last_event=run.event_seq,
            error_code=run.error_code,
            error=run.error,
            created_at=run.created_at,
            finished_at=run.finished_at,
        )


class OverseenRunPageView(msgspec.Struct):
    """A page of everybody's runs; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[OverseenRunView]
    next_cursor: str | None


class FailedCallView(msgspec.Struct):
    """A model call that brought no whole answer, and why."""

    id: UUID
    step: str
    purpose: str
    model: str
    failure: str
    borne_by: str
    cost_nano_usd: int
    estimated: bool


class EvidenceView(msgspec.Struct):
    """What is known of a run: steps, the end of its log, its last failed model calls."""

    run: OverseenRunView
    tasks: list[TaskView]
    events: list[EventView]
    failed_calls: list[FailedCallView]

    @classmethod
    def of(cls, evidence: Evidence) -> "EvidenceView":
        return cls(
            run=OverseenRunView.of(evidence.run),
            tasks=[TaskView.of(task) for task in evidence.tasks],
            events=[EventView.of(event) for event in evidence.events],
            failed_calls=[
                FailedCallView(
                    id=call.id,
                    step=call.step,
                    purpose=call.purpose,
                    model=call.model,
                    failure=call.failure,
                    borne_by=call.borne_by.value,
                    cost_nano_usd=call.cost_nano_usd,
                    estimated=call.estimated,
                )
                for call in evidence.failures
            ],
        )


class DocumentListView(msgspec.Struct):
    """A project's documents in their newest versions."""

    items: list[DocumentView]


class TicketView(msgspec.Struct):
    """A single-use permit for ``stream_url``."""

    ticket: str
    expires_in: int
    stream_url: str


class ProbeView(msgspec.Struct):
    """One dependency: whether it answered, and in how many milliseconds."""

    ok: bool
    required: bool
    latency_ms: float
    detail: str

    @classmethod
    def of(cls, result: ProbeResult) -> "ProbeView":
        return cls(result.ok, result.required, result.latency_ms, result.detail)


class ReadinessView(msgspec.Struct):
    """Whether the platform can do its work, part by part."""

    status: str
    checks: dict[str, ProbeView]


class LivenessView(msgspec.Struct):
    """The process answers."""

    status: str
    version: str
