"""List a project's runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from application.projects.show_project import owned_project
from domain.projects.run import Run
from domain.shared.ids import ProjectId, UserId


@dataclass(frozen=True, slots=True)
class ListRuns:
    """Lists a project's runs, newest first."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, project_id: ProjectId, page: Page) -> Sequence[Run]:
        """The page's runs.

        Raises:
            NotFound: no such project, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            await owned_project(tx, project_id)
            return await tx.runs.of_project(project_id, page)
