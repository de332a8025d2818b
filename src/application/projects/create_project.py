"""Create a project from an idea."""

from dataclasses import dataclass

from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from domain.agents.artifacts import Mode
from domain.agents.pipelines import pipeline_for
from domain.keys.api_key import ActingKey
from domain.projects.project import Project, ProjectStatus, clean_idea, clean_title, title_from
from domain.shared.ids import ProjectId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """The idea, its mode, and a title or the empty string to take one from the idea.

    ``key`` is what it is asked for with.
    """

    user_id: UserId
    idea: str
    mode: Mode
    title: str = ""
    key: ActingKey | None = None
    once: Completion[Project] | None = None


@dataclass(frozen=True, slots=True)
class CreateProject:
    """Creates a draft project. Nothing runs, nothing is charged."""

    uow: UnitOfWork
    clock: Clock
    ids: IdMaker

    async def __call__(self, command: NewProject) -> Project:
        """Keep the new project.

        Raises:
            InvalidValue: idea, title or mode does not fit.
            ModeNotAllowed: the key is not for projects of this mode.
            KeyClaimLost: another request with the same key came first.
        """
        pipeline_for(command.mode)
        if command.key is not None:
            command.key.check_mode(command.mode)
        idea = clean_idea(command.idea)
        now = self.clock.now()
        project = Project(
            id=ProjectId(self.ids.new()),
            user_id=command.user_id,
            title=clean_title(command.title or title_from(idea)),
            idea=idea,
            mode=command.mode,
            status=ProjectStatus.DRAFT,
            progress=0,
            created_at=now,
            updated_at=now,
        )
        async with self.uow.begin(command.user_id) as tx:
            await tx.projects.add(project)
            if command.once is not None:
                await command.once.store(tx.idempotency, project)
        return project
