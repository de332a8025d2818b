"""Cancel a run."""

from dataclasses import dataclass, replace

from application.ports.clock import Clock
from application.ports.idempotency import Completion
from application.ports.live import LivePublisher, Nudge
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.queue import JobQueue
from application.runs.tell_of_run import tell_of_run
from domain.projects.agent_task import AgentTaskStatus
from domain.projects.project import ProjectStatus
from domain.projects.run import Run, RunStatus
from domain.shared.events import EventType
from domain.shared.ids import RunId, UserId


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Ends a waiting run at once; asks the worker of a running one to stop."""

    uow: UnitOfWork
    live: LivePublisher
    clock: Clock
    queue: JobQueue

    async def __call__(
        self, user_id: UserId, run_id: RunId, *, once: Completion[Run] | None = None
    ) -> Run:
        """Record the wish. Asking again is harmless while the run is live.

        Raises:
            NotFound: no such run, or another person's.
            RunNotLive: it has ended already.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(user_id) as tx:
            before = await tx.runs.get(run_id)
            run = await tx.runs.request_cancel(run_id)
            begun = await _begun(tx, run_id)
            if run.status is RunStatus.QUEUED and not begun:
                # Nobody works on it, and the row's lock keeps workers off until the
                # commit. One with a step begun is settled by the worker that claims it.
                entry = await tx.runs.append_event(
                    run_id,
                    EventType.RUN_FINISHED,
                    {"status": RunStatus.CANCELLED.value, "progress": run.progress},
                )
                await tx.runs.finish(run_id, RunStatus.CANCELLED)
                await tell_of_run(tx, run.project_id, entry)
                project = await tx.projects.get(run.project_id)
                if project is not None:
                    await tx.projects.save(
                        replace(
                            project, status=ProjectStatus.CANCELLED, updated_at=self.clock.now()
                        )
                    )
                run = replace(
                    run,
                    status=RunStatus.CANCELLED,
                    event_seq=entry.seq,
                    finished_at=self.clock.now(),
                )
            elif before is not None and not before.cancel_requested:
                entry = await tx.runs.append_event(run_id, EventType.RUN_CANCEL_REQUESTED, {})
                run = replace(run, event_seq=entry.seq)
            if once is not None:
                await once.store(tx.idempotency, run)
        if run.live:
            # One that waits, parked, has steps to close: a worker does that.
            await self.queue.announce_run(run_id)
        await self.live.publish(run_id, Nudge(seq=run.event_seq))
        return run


async def _begun(tx: Transaction, run_id: RunId) -> bool:
    """Whether the run has a step that is not closed, or credits that are held."""
    if await tx.ledger.held_steps(run_id):
        return True
    return any(task.status is AgentTaskStatus.RUNNING for task in await tx.tasks.of_run(run_id))
