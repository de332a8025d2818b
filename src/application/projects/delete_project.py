"""Delete a project and what was made of it."""

from dataclasses import dataclass

from application.ports.persistence import UnitOfWork
from application.projects.show_project import owned_project
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.projects.project import ProjectBusy
from domain.shared.ids import ProjectId, UserId


@dataclass(frozen=True, slots=True)
class DeleteProject:
    """Deletes. What was spent stays on the books; objects are collected later."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, project_id: ProjectId, *, origin: Origin) -> None:
        """Remove the project with its runs, events and documents.

        Raises:
            NotFound: no such project, or another person's.
            ProjectBusy: a run is working on it.
        """
        async with self.uow.begin(user_id) as tx:
            project = await owned_project(tx, project_id, lock=True)
            run = await tx.runs.live(project.id)
            if run is not None:
                raise ProjectBusy(
                    "The project is being executed. Cancel the run, then delete.",
                    run_id=str(run.id),
                )
            await tx.projects.delete(project_id)
            await tx.audit.record(
                origin, acted(AuditAction.PROJECT_DELETED, project_id, before=project)
            )
