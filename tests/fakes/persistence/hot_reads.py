"""The hot reads, as transactions of the unit of work: what they must not differ from."""

from collections.abc import Sequence

from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from application.ports.reads import HotReads
from domain.billing.ledger import Balance
from domain.identity.user import User
from domain.keys.api_key import ApiKey
from domain.projects.agent_task import AgentTask
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Run
from domain.shared.ids import ProjectId, RunId, UserId


class InMemoryHotReads(HotReads):
    """Reads by way of any unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    async def project(self, user_id: UserId, project_id: ProjectId) -> Project | None:
        async with self._uow.begin(user_id) as tx:
            return await tx.projects.get(project_id)

    async def project_and_run(
        self, user_id: UserId, project_id: ProjectId
    ) -> tuple[Project, Run | None] | None:
        async with self._uow.begin(user_id) as tx:
            project = await tx.projects.get(project_id)
            if project is None:
                return None
            runs = await tx.runs.of_project(project_id, Page(limit=1))
            return project, runs[0] if runs else None

    async def projects(
        self, user_id: UserId, page: Page, *, status: ProjectStatus | None, search: str
    ) -> Sequence[Project]:
        async with self._uow.begin(user_id) as tx:
            return await tx.projects.page(page, status=status, search=search)

    async def run(self, user_id: UserId, run_id: RunId) -> Run | None:
        async with self._uow.begin(user_id) as tx:
            return await tx.runs.get(run_id)

    async def tasks_of_run(self, user_id: UserId, run_id: RunId) -> Sequence[AgentTask]:
        async with self._uow.begin(user_id) as tx:
            return await tx.tasks.of_run(run_id)

    async def user(self, user_id: UserId) -> tuple[User, Balance] | None:
        async with self._uow.begin(user_id) as tx:
            user = await tx.users.get(user_id)
            return None if user is None else (user, await tx.ledger.balance(user_id))

    async def presented_key(self, digests: Sequence[str]) -> ApiKey | None:
        async with self._uow.begin(None) as tx:
            return await tx.keys.presented(digests)
