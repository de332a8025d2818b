"""The reads that are asked for most, each in one round trip and outside of any transaction."""

from collections.abc import Sequence
from typing import Protocol

from application.ports.paging import Page
from domain.billing.ledger import Balance
from domain.identity.user import User
from domain.keys.api_key import ApiKey
from domain.projects.agent_task import AgentTask
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Run
from domain.shared.ids import ProjectId, RunId, UserId


class HotReads(Protocol):
    """What a person may see, as of this moment. Each sees what a transaction of theirs would.

    Every method raises ``DatabaseUnavailable`` when the database stays away for some seconds.
    """

    async def project(self, user_id: UserId, project_id: ProjectId) -> Project | None:
        """The person's project, or None."""
        ...

    async def project_and_run(
        self, user_id: UserId, project_id: ProjectId
    ) -> tuple[Project, Run | None] | None:
        """The person's project with its newest run, or None."""
        ...

    async def projects(
        self, user_id: UserId, page: Page, *, status: ProjectStatus | None, search: str
    ) -> Sequence[Project]:
        """The person's projects, newest first."""
        ...

    async def run(self, user_id: UserId, run_id: RunId) -> Run | None:
        """The person's run, or None."""
        ...

    async def tasks_of_run(self, user_id: UserId, run_id: RunId) -> Sequence[AgentTask]:
        """The tasks begun in the person's run, in the order they were begun in."""
        ...

    async def user(self, user_id: UserId) -> tuple[User, Balance] | None:
        """The person and their credits, or None."""
        ...

    async def presented_key(self, digests: Sequence[str]) -> ApiKey | None:
        """The key with one of these digests, whoever's it is: who can name one holds the secret."""
        ...
