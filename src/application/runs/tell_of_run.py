"""Tell webhook endpoints how a run begins and ends, in the transaction that says so."""

from application.ports.persistence import Transaction
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import ProjectId

_LEFT_OUT = frozenset({"project_id", "steps"})
"""What an entry of the log has for those who watch, and a webhook says otherwise or not."""


async def tell_of_run(tx: Transaction, project_id: ProjectId, entry: RunEvent) -> None:
    """Emit what an entry of the run's log means to endpoints; most entries mean nothing.

    One statement, and nothing is kept when the person has no endpoint that listens.
    """
    if entry.type is EventType.RUN_QUEUED:
        type_ = "run.accepted"
    elif entry.type is EventType.RUN_FINISHED:
        type_ = f"run.{entry.data['status']}"
    else:
        return
    said = {name: value for name, value in entry.data.items() if name not in _LEFT_OUT}
    whose = {"run_id": str(entry.run_id), "project_id": str(project_id)}
    await tx.webhooks.emit(type_, {**whose, **said}, at=entry.at)
