"""What an operator sees of everybody's runs, and may do about a dead one."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.claims import RunOversight, RunSummary
from application.ports.idempotency import Completion
from application.ports.model_calls import ModelCall
from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from application.projects.retry_run import RetryRun
from domain.audit.origin import Origin
from domain.projects.agent_task import AgentTask
from domain.projects.run import Run, RunStatus
from domain.shared.errors import NotFound
from domain.shared.events import RunEvent
from domain.shared.ids import RunId, UserId

LAST_EVENTS = 20
LAST_FAILURES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a run: its row, its steps, the end of its log, and failed model calls."""

    run: RunSummary
    tasks: Sequence[AgentTask]
    events: Sequence[RunEvent]
    failures: Sequence[ModelCall]


@dataclass(frozen=True, slots=True)
class OverseeRuns:
    """Lists everybody's runs of a status, or somebody's."""

    oversight: RunOversight

    async def __call__(self, status: RunStatus, page: Page) -> Sequence[RunSummary]:
        """The page's runs, newest first."""
        return await self.oversight.of_status(status, page)

    async def of_person(
        self, user_id: UserId, status: RunStatus | None, page: Page
    ) -> Sequence[RunSummary]:
        """The page of somebody's runs, newest first; of one status, if one is named."""
        return await self.oversight.of_person(user_id, status, page)


@dataclass(frozen=True, slots=True)
class ExamineRun:
    """Gathers a run's evidence. Only the row is read past its owner; the rest as them."""

    oversight: RunOversight
    uow: UnitOfWork

    async def __call__(self, run_id: RunId) -> Evidence:
        """The run's evidence.

        Raises:
            NotFound: no such run.
        """
        run = await _seen(self.oversight, run_id)
        async with self.uow.begin(run.user_id) as tx:
            return Evidence(
                run=run,
                tasks=await tx.tasks.of_run(run_id),
                events=await tx.runs.events(
                    run_id, max(0, run.event_seq - LAST_EVENTS), LAST_EVENTS
                ),
                failures=await tx.calls.failed(run_id, LAST_FAILURES),
            )


@dataclass(frozen=True, slots=True)
class RetryAnyRun:
    """Retries a run on behalf of its owner."""

    oversight: RunOversight
    retry: RetryRun

    async def owner_of(self, run_id: RunId) -> UserId:
        """Whose the run is, and the new one will be.

        Raises:
            NotFound: no such run.
        """
        return (await _seen(self.oversight, run_id)).user_id

    async def __call__(
        self, run_id: RunId, *, origin: Origin, once: Completion[Run] | None = None
    ) -> Run:
        """The new run, which is its owner's to pay and to see.

        Raises:
            NotFound: no such run.
            RunInProgress: the run, or another of its project, is live.
            RunSucceeded: there is nothing to retry.
            KeyClaimLost: another request with the same key came first.
        """
        return await self.retry(await self.owner_of(run_id), run_id, origin=origin, once=once)


async def _seen(oversight: RunOversight, run_id: RunId) -> RunSummary:
    run = await oversight.get(run_id)
    if run is None:
        raise NotFound("run", run_id)
    return run
