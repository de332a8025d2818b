"""What an operator sees and does past the tenants' walls."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Select, insert, select, text, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit_log import written
from adapters.postgres.constraints import violated
from adapters.postgres.engine import open_operator_engine, rows_of
from adapters.postgres.tables import audit_log, runs, users
from application.ports.claims import RunSummary
from application.ports.paging import Page
from domain.audit.act import Act, AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.user import LastAdmin, Role
from domain.projects.run import RunStatus
from domain.shared.ids import ProjectId, RunId, UserId


class PostgresRunOversight:
    """The ``RunOversight`` over the ``dispatch`` role's engine, which may read every run's row."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_status(self, status: RunStatus, page: Page) -> Sequence[RunSummary]:
        return await self._page(select(runs).where(runs.c.status == status), page)

    async def of_person(
        self, user_id: UserId, status: RunStatus | None, page: Page
    ) -> Sequence[RunSummary]:
        query = select(runs).where(runs.c.user_id == user_id)
        if status is not None:
            query = query.where(runs.c.status == status)
        return await self._page(query, page)

    async def _page(self, query: Select[Any], page: Page) -> Sequence[RunSummary]:
        if page.after is not None:
            query = query.where(runs.c.id < page.after)
        return await self._read(query.order_by(runs.c.id.desc()).limit(page.limit))

    async def get(self, run_id: RunId) -> RunSummary | None:
        found = await self._read(select(runs).where(runs.c.id == run_id))
        return found[0] if found else None

    async def _read(self, query: Any) -> Sequence[RunSummary]:
        return [_summary(row) for row in await rows_of(self._engine, query)]


async def grant_role(owner_url: str, email: str, role: Role, origin: Origin) -> UserId | None:
    """Give the person with that normalised email a role, as the owner: no service may.

    Returns who that is, if there is such a person.

    Raises:
        LastAdmin: they are the last active admin, and would not be one any more.
    """

    def changed(user: Row[Any]) -> tuple[dict[str, Any], Act]:
        act = acted(
            AuditAction.ROLE_CHANGED, user.id, before={"role": user.role}, after={"role": role}
        )
        return {"role": role.value}, act

    return await _operate(owner_url, email, changed, origin)


async def switch_person(
    owner_url: str, email: str, active: bool, reason: str, origin: Origin
) -> UserId | None:
    """Suspend or reinstate the person with that normalised email, as the owner.

    Their sessions are over in either case. Returns who that is, if there is such a person.

    Raises:
        LastAdmin: they are the last active admin, and would not be one any more.
    """

    def changed(user: Row[Any]) -> tuple[dict[str, Any], Act]:
        act = acted(
            AuditAction.REINSTATED if active else AuditAction.SUSPENDED,
            user.id,
            before={"is_active": user.is_active},
            after={"is_active": active, "reason": reason},
        )
        return {"is_active": active, "session_version": user.session_version + 1}, act

    return await _operate(owner_url, email, changed, origin)


async def _operate(
    owner_url: str,
    email: str,
    change: Callable[[Row[Any]], tuple[dict[str, Any], Act]],
    origin: Origin,
) -> UserId | None:
    """Change a person's row and write down what was changed, in one transaction."""
    engine = open_operator_engine(owner_url)
    try:
        async with engine.begin() as connection:
            # The policy of people: their owner sees them to operate on them, and not else.
            await connection.execute(text("SELECT set_config('app.operator', 'on', true)"))
            await connection.execute(text("SELECT lock_standings()"))
            found = await connection.execute(
                select(users).where(users.c.email == email).with_for_update()
            )
            user = found.one_or_none()
            if user is None:
                return None
            values, act = change(user)
            try:
                await connection.execute(
                    update(users).where(users.c.id == user.id).values(**values)
                )
            except DBAPIError as error:
                if violated(error) == "users_last_admin":
                    raise LastAdmin from error
                raise
            await connection.execute(
                insert(audit_log).values(written(UserId(user.id), origin, act)).inline()
            )
            return UserId(user.id)
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
