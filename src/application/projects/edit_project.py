"""Change a project's title or idea."""

from dataclasses import dataclass

from application.ports.clock import Clock
from application.ports.persistence import UnitOfWork
from application.projects.show_project import owned_project
from domain.projects.project import Project, ProjectBusy
from domain.shared.ids import ProjectId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectEdit:
    """The new values; None leaves one as it is."""

    user_id: UserId
    project_id: ProjectId
    title: str | None = None
    idea: str | None = None


@dataclass(frozen=True, slots=True)
class EditProject:
    """Edits. The next run makes again what depends on the change."""

    uow: UnitOfWork
    clock: Clock

    async def __call__(self, command: ProjectEdit) -> Project:
        """Write the change.

        Raises:
            NotFound: no such project, or another person's.
            InvalidValue: a value does not fit.
            ProjectBusy: a run is reading it.
        """
        async with self.uow.begin(command.user_id) as tx:
            project = await owned_project(tx, command.project_id, lock=True)
            run = await tx.runs.live(project.id)
            if run is not None:
                raise ProjectBusy(
                    "The project is being executed. Wait for its end or cancel it, then edit.",
                    run_id=str(run.id),
                )
            edited = project.edited(title=command.title, idea=command.idea, at=self.clock.now())
            await tx.projects.save(edited)
            return edited
