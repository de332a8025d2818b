"""Retry a run that did not succeed: a new run that goes on from what is finished."""

from dataclasses import dataclass

from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from application.ports.queue import JobQueue
from application.projects.accept_run import accept_run
from application.projects.show_project import owned_project
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.keys.api_key import ActingKey
from domain.projects.run import DEFAULT_CAP_CREDITS, Run, RunInProgress, RunStatus, RunSucceeded
from domain.shared.errors import NotFound
from domain.shared.ids import RunId, UserId


@dataclass(frozen=True, slots=True)
class RetryRun:
    """Accepts a run in place of one that failed, died or was cancelled."""

    uow: UnitOfWork
    queue: JobQueue
    clock: Clock
    ids: IdMaker
    default_cap: int = DEFAULT_CAP_CREDITS

    async def __call__(
        self,
        user_id: UserId,
        run_id: RunId,
        *,
        origin: Origin,
        cap_credits: int | None = None,
        key: ActingKey | None = None,
        once: Completion[Run] | None = None,
    ) -> Run:
        """Keep the new run. Steps whose inputs have not changed are not made again.

        Without a cap of its own it has that of the run in whose place it comes.
        A test run's retry is a test run, whoever asks for it.

        Raises:
            NotFound: no such run, or another person's.
            InvalidValue: no run can have that cap.
            CreditsOwed: the person owes credits, and begins nothing new before they are paid.
            PlanForbidsMode: the person's plan does not include the project's mode.
            RunInProgress: the run, or another of its project, is live; ``run_id`` names it.
            RunSucceeded: there is nothing to retry.
            ModeNotAllowed: the key is not for projects of this mode.
            KeyCapReached: the key's credit cap is reached.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(user_id) as tx:
            before = await tx.runs.get(run_id)
            if before is None:
                raise NotFound("run", run_id)
            project = await owned_project(tx, before.project_id, lock=True)
            standing = await tx.runs.live(project.id)
            if standing is not None:
                raise RunInProgress(
                    "This project is being executed. Follow that run, or cancel it first.",
                    run_id=str(standing.id),
                )
            if before.status is RunStatus.SUCCEEDED:
                raise RunSucceeded(
                    "This run succeeded. Execute the project to make it anew.", run_id=str(run_id)
                )
            cap = before.cap_credits if cap_credits is None else cap_credits
            run, alone = await accept_run(
                tx,
                project,
                self.clock,
                self.ids,
                reuse=True,
                cap_credits=self.default_cap if cap is None else cap,
                retry_of=run_id,
                key=key,
                test=before.test,
            )
            await tx.audit.record(origin, acted(AuditAction.RUN_RETRIED, run.id, after=run))
            if once is not None:
                await once.store(tx.idempotency, run)
        if alone:
            await self.queue.announce_run(run.id)
        return run
