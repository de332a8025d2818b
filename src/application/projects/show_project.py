"""Show one project with its latest run."""

from dataclasses import dataclass

from application.ports.persistence import Transaction
from application.ports.reads import HotReads
from domain.projects.project import Project
from domain.projects.run import Run
from domain.shared.errors import NotFound
from domain.shared.ids import ProjectId, UserId


@dataclass(frozen=True, slots=True)
class ShowProject:
    """Reads a project and the run it was last executed by."""

    reads: HotReads

    async def __call__(self, user_id: UserId, project_id: ProjectId) -> tuple[Project, Run | None]:
        """The project, and its newest run if it was ever executed.

        Raises:
            NotFound: no such project, or another person's.
        """
        found = await self.reads.project_and_run(user_id, project_id)
        if found is None:
            raise NotFound("project", project_id)
        return found


async def owned_project(tx: Transaction, project_id: ProjectId, *, lock: bool = False) -> Project:
    """The transaction's person's project.

    Raises:
        NotFound: no such project, or another person's: the two look the same.
    """
    project = await tx.projects.get(project_id, lock=lock)
    if project is None:
        raise NotFound("project", project_id)
    return project
