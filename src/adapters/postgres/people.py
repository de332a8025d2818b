"""People and adjustments, as admins see everybody's, and as one transaction writes one's."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, insert, or_, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import rows_of
from adapters.postgres.tables import adjustments, users
from application.ports.paging import Page
from application.ports.people import PeopleQuery, PersonSummary
from domain.billing.adjustment import Adjustment, AdjustmentStatus
from domain.identity.user import Role
from domain.shared.ids import AdjustmentId, UserId

T = TypeVar("T")

_SEEN = (
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.role,
    users.c.is_active,
    users.c.created_at,
)


class PostgresAdjustments:
    """The ``AdjustmentRepository`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = adjustments.c.user_id == user_id

    async def add(self, adjustment: Adjustment) -> None:
        await self._connection.execute(
            insert(adjustments).values(
                id=adjustment.id,
                user_id=adjustment.user_id,
                credits=adjustment.credits,
                reason=adjustment.reason,
                proposed_by=adjustment.proposed_by,
                proposed_at=adjustment.proposed_at,
                expires_at=adjustment.expires_at,
            )
        )

    async def get(self, adjustment_id: AdjustmentId) -> Adjustment | None:
        rows = await self._connection.execute(
            select(adjustments)
            .where(adjustments.c.id == adjustment_id, self._mine)
            .with_for_update()
        )
        row = rows.one_or_none()
        return None if row is None else _adjustment(row)

    async def decide(self, adjustment: Adjustment) -> None:
        await self._connection.execute(
            update(adjustments)
            .where(adjustments.c.id == adjustment.id, self._mine)
            .values(
                status=adjustment.status.value,
                decided_by=adjustment.decided_by,
                decided_at=adjustment.decided_at,
            )
        )


class PostgresPeopleOversight:
    """``PeopleOversight`` and ``AdjustmentOversight`` over the ``dispatch`` role's engine.

    The role reads no password's hash.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def people(self, query: PeopleQuery) -> Sequence[PersonSummary]:
        wanted = select(*_SEEN).order_by(users.c.id.desc()).limit(query.page.limit)
        if query.page.after is not None:
            wanted = wanted.where(users.c.id < query.page.after)
        if query.role is not None:
            wanted = wanted.where(users.c.role == query.role)
        if query.is_active is not None:
            wanted = wanted.where(users.c.is_active == query.is_active)
        if query.search:
            words = query.search.lower()
            wanted = wanted.where(
                or_(
                    users.c.email.contains(words, autoescape=True),
                    func.lower(users.c.name).contains(words, autoescape=True),
                )
            )
        return await self._read(wanted, _person)

    async def person(self, user_id: UserId) -> PersonSummary | None:
        found = await self._read(select(*_SEEN).where(users.c.id == user_id), _person)
        return found[0] if found else None

    async def adjustments(
        self, page: Page, status: AdjustmentStatus | None
    ) -> Sequence[Adjustment]:
        wanted = select(adjustments).order_by(adjustments.c.id.desc()).limit(page.limit)
        if page.after is not None:
            wanted = wanted.where(adjustments.c.id < page.after)
        if status is not None:
            wanted = wanted.where(adjustments.c.status == status)
        return await self._read(wanted, _adjustment)

    async def adjustment(self, adjustment_id: AdjustmentId) -> Adjustment | None:
        wanted = select(adjustments).where(adjustments.c.id == adjustment_id)
        found = await self._read(wanted, _adjustment)
        return found[0] if found else None

    async def _read(self, query: Select[Any], made: Callable[[Row[Any]], T]) -> Sequence[T]:
        return [made(row) for row in await rows_of(self._engine, query)]


def _person(row: Row[Any]) -> PersonSummary:
    return PersonSummary(
        id=UserId(row.id),
        email=row.email,
        name=row.name,
        role=Role(row.role),
        is_active=row.is_active,
        created_at=row.created_at,
    )


def _adjustment(row: Row[Any]) -> Adjustment:
    return Adjustment(
        id=AdjustmentId(row.id),
        user_id=UserId(row.user_id),
        credits=row.credits,
        reason=row.reason,
        proposed_by=UserId(row.proposed_by),
        proposed_at=row.proposed_at,
        expires_at=row.expires_at,
        status=AdjustmentStatus(row.status),
        decided_by=None if row.decided_by is None else UserId(row.decided_by),
        decided_at=row.decided_at,
    )
