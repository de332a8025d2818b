"""The end of a run that cannot be ended in order, because something of it cannot be read."""

from dataclasses import replace

import structlog

from application.ports.persistence import Transaction, UnitOfWork
from application.runs.tell_of_run import tell_of_run
from domain.billing.ledger import Settlement
from domain.projects.project import ProjectStatus
from domain.projects.run import RunStatus
from domain.shared.events import EventType
from domain.shared.ids import ProjectId, RunId, UserId

log = structlog.get_logger(__name__)


async def set_aside(
    uow: UnitOfWork,
    user_id: UserId,
    project_id: ProjectId,
    run_id: RunId,
    *,
    error_code: str,
    error: str,
) -> None:
    """Make a live run dead and give back all that it holds, reading nothing of it.

    The caller holds its lease.

    Raises:
        LeaseLost: it has ended already.
        DatabaseUnavailable: nothing was changed, or whether it was must be looked up.
    """
    async with uow.begin(user_id) as tx:
        await tx.runs.finish(run_id, RunStatus.DEAD, error_code=error_code, error=error)
        for step in await tx.ledger.held_steps(run_id):
            held = await tx.ledger.held(run_id, step)
            await tx.ledger.settle(
                Settlement(
                    user_id=user_id,
                    key=f"dead:{run_id}:{step}",
                    run_id=run_id,
                    step=step,
                    used=0,
                )
            )
            await tx.keys.settle(run_id, held=held, used=0)
        ended = await tx.runs.append_event(
            run_id,
            EventType.RUN_FINISHED,
            {"status": RunStatus.DEAD.value, "error_code": error_code, "error": error},
        )
        await tell_of_run(tx, project_id, ended)
        await _fail_project(tx, project_id)


async def _fail_project(tx: Transaction, project_id: ProjectId) -> None:
    try:
        project = await tx.projects.get(project_id)
    except ValueError as reason:
        log.error("project cannot be read", project_id=str(project_id), reason=str(reason))
        return
    if project is not None:
        await tx.projects.save(replace(project, status=ProjectStatus.FAILED))
