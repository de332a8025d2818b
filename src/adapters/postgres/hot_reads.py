"""The reads that are asked for most, compiled at import and run on the read pool."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Select,
    Text,
    Uuid,
    bindparam,
    func,
    literal,
    or_,
    select,
)

from adapters.postgres.identity import user_of
from adapters.postgres.keys import key_of
from adapters.postgres.ledger import balance_of
from adapters.postgres.projects import project_of
from adapters.postgres.read_pool import USER, CompiledRead, ReadPool, as_presenter, as_tenant
from adapters.postgres.runs import run_of, task_of
from adapters.postgres.tables import agent_tasks, api_keys, balances, projects, runs, users
from application.ports.paging import Page
from domain.billing.ledger import Balance
from domain.identity.user import User
from domain.keys.api_key import ApiKey
from domain.projects.agent_task import AgentTask
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Run
from domain.shared.ids import ProjectId, RunId, UserId

_ID: Final = bindparam("id", type_=Uuid)
_AFTER: Final = bindparam("after", type_=Uuid)
_STATUS: Final = bindparam("status", type_=Text)
_SEARCH: Final = bindparam("search", type_=Text)
_LIMIT: Final = bindparam("limit", type_=BigInteger)
_DIGESTS: Final = bindparam("each_digest", type_=ARRAY(Text))
_RUN: Final = "run_"

_PROJECT = as_tenant(select(projects).where(projects.c.id == _ID, projects.c.user_id == USER))
_RUN_BY_ID = as_tenant(select(runs).where(runs.c.id == _ID, runs.c.user_id == USER))
_TASKS = as_tenant(
    select(agent_tasks)
    .where(agent_tasks.c.run_id == _ID, agent_tasks.c.user_id == USER)
    .order_by(agent_tasks.c.id)
)
_USER = as_tenant(
    select(users, balances.c.available, balances.c.reserved, balances.c.owed)
    .select_from(users.outerjoin(balances, balances.c.user_id == users.c.id))
    .where(users.c.id == USER)
)
_KEY = as_presenter(
    select(api_keys).where(
        or_(
            api_keys.c.key == func.any(_DIGESTS),
            api_keys.c.previous_key == func.any(_DIGESTS),
        )
    )
)


def _with_newest_run() -> CompiledRead:
    newest = (
        select(*(column.label(f"{_RUN}{column.name}") for column in runs.c))
        .where(runs.c.project_id == projects.c.id, runs.c.user_id == USER)
        .order_by(runs.c.id.desc())
        .limit(literal(1, BigInteger))
        .lateral("newest")
    )
    return as_tenant(
        select(projects, newest)
        .select_from(projects.outerjoin(newest, literal(True)))
        .where(projects.c.id == _ID, projects.c.user_id == USER)
    )


def _page(after: bool, status: bool, search: bool) -> CompiledRead:
    query: Select[Any] = select(projects).where(projects.c.user_id == USER)
    if after:
        query = query.where(projects.c.id < _AFTER)
    if status:
        query = query.where(projects.c.status == _STATUS)
    if search:
        query = query.where(func.strpos(func.lower(projects.c.title), _SEARCH) > 0)
    return as_tenant(query.order_by(projects.c.id.desc()).limit(_LIMIT))


_BOTH = (False, True)
_WITH_NEWEST_RUN = _with_newest_run()
_PAGES = {
    (after, status, search): _page(after, status, search)
    for after in _BOTH
    for status in _BOTH
    for search in _BOTH
}


class PostgresHotReads:
    """The ``HotReads`` over the ``app`` role's read pool."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    async def project(self, user_id: UserId, project_id: ProjectId) -> Project | None:
        row = await self._pool.first(_PROJECT, user_id=user_id, id=project_id)
        return None if row is None else project_of(row)

    async def project_and_run(
        self, user_id: UserId, project_id: ProjectId
    ) -> tuple[Project, Run | None] | None:
        row = await self._pool.first(_WITH_NEWEST_RUN, user_id=user_id, id=project_id)
        if row is None:
            return None
        run = None if row.run_id is None else run_of(_Prefixed(row, _RUN))
        return project_of(row), run

    async def projects(
        self, user_id: UserId, page: Page, *, status: ProjectStatus | None, search: str
    ) -> Sequence[Project]:
        rows = await self._pool.fetch(
            _PAGES[page.after is not None, status is not None, bool(search)],
            user_id=user_id,
            after=page.after,
            status=status,
            search=search.lower(),
            limit=page.limit,
        )
        return [project_of(row) for row in rows]

    async def run(self, user_id: UserId, run_id: RunId) -> Run | None:
        row = await self._pool.first(_RUN_BY_ID, user_id=user_id, id=run_id)
        return None if row is None else run_of(row)

    async def tasks_of_run(self, user_id: UserId, run_id: RunId) -> Sequence[AgentTask]:
        rows = await self._pool.fetch(_TASKS, user_id=user_id, id=run_id)
        return [task_of(row) for row in rows]

    async def user(self, user_id: UserId) -> tuple[User, Balance] | None:
        row = await self._pool.first(_USER, user_id=user_id)
        if row is None:
            return None
        balance = Balance(available=0, reserved=0) if row.available is None else balance_of(row)
        return user_of(row), balance

    async def presented_key(self, digests: Sequence[str]) -> ApiKey | None:
        row = await self._pool.first(_KEY, digests=",".join(digests), each_digest=list(digests))
        return None if row is None else key_of(row)


class _Prefixed:
    """A row's columns that begin with a prefix, under their names without it."""

    __slots__ = ("_prefix", "_row")

    def __init__(self, row: Any, prefix: str) -> None:
        self._row = row
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        return self._row[self._prefix + name]
