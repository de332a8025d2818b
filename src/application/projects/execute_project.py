"""Execute a project: accept a run, and tell the workers."""

from dataclasses import dataclass

from application.failpoints import Failpoint, reach
from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from application.ports.queue import JobQueue
from application.projects.accept_run import accept_run
from application.projects.show_project import owned_project
from domain.keys.api_key import ActingKey
from domain.projects.run import DEFAULT_CAP_CREDITS, Run
from domain.shared.ids import ProjectId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Which project, and the key it is asked for with.

    ``reuse`` skips steps whose inputs did not change since. ``cap_credits`` is the most the
    run may be charged; None is the house's default.
    """

    user_id: UserId
    project_id: ProjectId
    reuse: bool = True
    cap_credits: int | None = None
    key: ActingKey | None = None
    once: Completion[Run] | None = None


@dataclass(frozen=True, slots=True)
class ExecuteProject:
    """Accepts a run. Once this returns, the run is in the database and will be done."""

    uow: UnitOfWork
    queue: JobQueue
    clock: Clock
    ids: IdMaker
    default_cap: int = DEFAULT_CAP_CREDITS

    async def __call__(self, command: Execution) -> Run:
        """Keep the new run, then send the hint.

        Raises:
            NotFound: no such project, or another person's.
            InvalidValue: no run can have that cap.
            CreditsOwed: the person owes credits, and begins nothing new before they are paid.
            PlanForbidsMode: the person's plan does not include the project's mode.
            RunInProgress: it is being executed already; ``run_id`` says by which run.
            ModeNotAllowed: the key is not for projects of this mode.
            KeyCapReached: the key's credit cap is reached.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(command.user_id) as tx:
            project = await owned_project(tx, command.project_id, lock=True)
            cap = self.default_cap if command.cap_credits is None else command.cap_credits
            run, alone = await accept_run(
                tx,
                project,
                self.clock,
                self.ids,
                reuse=command.reuse,
                cap_credits=cap,
                key=command.key,
            )
            if command.once is not None:
                await command.once.store(tx.idempotency, run)
            reach(Failpoint.EXECUTE_BEFORE_COMMIT)
        reach(Failpoint.EXECUTE_AFTER_COMMIT)
        if alone:
            await self.queue.announce_run(run.id)
        return run
