"""What an operator sees and does past the tenants' walls."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit_log import written
from adapters.postgres.engine import open_engine, with_retries
from adapters.postgres.tables import audit_log, runs
from application.ports.persistence import Page, RunSummary
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.user import Role
from domain.projects.run import RunStatus
from domain.shared.errors import Conflict
from domain.shared.ids import ProjectId, RunId, UserId


class PostgresRunOversight:
    """The ``RunOversight`` over the ``dispatch`` role's engine, which may read every run's row."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_status(self, status: RunStatus, page: Page) -> Sequence[RunSummary]:
        query = select(runs).where(runs.c.status == status)
        if page.after is not None:
            query = query.where(runs.c.id < page.after)
        return await self._read(query.order_by(runs.c.id.desc()).limit(page.limit))

    async def get(self, run_id: RunId) -> RunSummary | None:
        found = await self._read(select(runs).where(runs.c.id == run_id))
        return found[0] if found else None

    async def _read(self, query: Any) -> Sequence[RunSummary]:
        async def execute() -> Sequence[RunSummary]:
            async with self._engine.connect() as connection:
                return [_summary(row) for row in await connection.execute(query)]

        return await with_retries(execute)


async def grant_role(owner_url: str, email: str, role: Role, origin: Origin) -> bool:
    """Give the person with that normalised email a role, as the owner: no service may.

    Returns whether there is such a person. Their present access tokens keep the old role.

    Raises:
        Conflict: they are the last active admin, and would not be one any more.
    """
    engine = open_engine(owner_url, pool_size=1, application="bharatbuild-operator")
    try:
        async with engine.begin() as connection:
            # The policy of people: their owner sees them to operate on them, and not else.
            await connection.execute(text("SELECT set_config('app.operator', 'on', true)"))
            found = await connection.execute(
                text("SELECT id, role FROM users WHERE email = :email FOR UPDATE"),
                {"email": email},
            )
            user = found.one_or_none()
            if user is None:
                return False
            await connection.execute(
                text("UPDATE users SET role = :role WHERE id = :id"),
                {"role": role.value, "id": user.id},
            )
            left = await connection.scalar(
                text("SELECT count(*) FROM users WHERE role = 'admin' AND is_active")
            )
            if not left and user.role == Role.ADMIN.value:
                raise Conflict("This is the last active admin. Make another one first.")
            changed = acted(
                AuditAction.ROLE_CHANGED,
                user.id,
                before={"role": user.role},
                after={"role": role},
            )
            await connection.execute(
                insert(audit_log).values(written(UserId(user.id), origin, changed)).inline()
            )
            return True
    finally:
        await engine.dispose()


def _summary(row: Row[Any]) -> RunSummary:
    return RunSummary(
        id=RunId(row.id),
        project_id=ProjectId(row.project_id),
        user_id=UserId(row.user_id),
        mode=row.mode,
        status=row.status,
        progress=row.progress,
        attempts=row.attempts,
        retry_of=None if row.retry_of is None else RunId(row.retry_of),
        event_seq=row.event_seq,
        error_code=row.error_code,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
