"""What is still to be deleted of those who left."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import rows_of
from adapters.postgres.tables import erasures
from application.ports.erasure import DueErasure
from domain.shared.ids import UserId


class PostgresErasures:
    """The ``Erasures`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    async def add(self) -> None:
        await self._connection.execute(
            upsert(erasures).values(user_id=self._user_id).on_conflict_do_nothing().inline()
        )


class PostgresErasureQueue:
    """The ``ErasureQueue`` over the ``dispatch`` role's engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, limit: int, lease: timedelta) -> Sequence[DueErasure]:
        due = (
            select(erasures.c.user_id)
            .where(erasures.c.due_at <= func.now())
            .order_by(erasures.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = await self._changed(
            update(erasures)
            .where(erasures.c.user_id.in_(due.scalar_subquery()))
            .values(due_at=func.now() + lease)
            .returning(
                erasures.c.user_id,
                erasures.c.attempts,
                (func.now() - erasures.c.asked_at).label("asked_for"),
            )
        )
        return [
            DueErasure(user_id=UserId(row.user_id), asked_for=row.asked_for, attempts=row.attempts)
            for row in rows
        ]

    async def go_on(self, user_id: UserId, wait: timedelta) -> None:
        await self._changed(
            update(erasures)
            .where(erasures.c.user_id == user_id)
            .values(due_at=func.now() + wait, attempts=0, error="")
        )

    async def put_off(self, user_id: UserId, wait: timedelta, error: str) -> None:
        await self._changed(
            update(erasures)
            .where(erasures.c.user_id == user_id)
            .values(due_at=func.now() + wait, attempts=erasures.c.attempts + 1, error=error[:500])
        )

    async def done(self, user_id: UserId) -> None:
        await self._changed(delete(erasures).where(erasures.c.user_id == user_id))

    async def _changed(self, statement: Any) -> Sequence[Row[Any]]:
        return await rows_of(self._engine, statement)
