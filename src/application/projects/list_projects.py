"""List a person's projects."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.paging import Page
from application.ports.reads import HotReads
from domain.projects.project import Project, ProjectStatus
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectListing:
    """Which projects: a page, optionally of one status or with words in the title."""

    user_id: UserId
    page: Page
    status: ProjectStatus | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class ListProjects:
    """Lists projects, newest first, one page at a time."""

    reads: HotReads

    async def __call__(self, query: ProjectListing) -> Sequence[Project]:
        """The page's projects."""
        return await self.reads.projects(
            query.user_id, query.page, status=query.status, search=query.search
        )
