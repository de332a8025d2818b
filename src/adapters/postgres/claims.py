"""Who works on which run: each call one statement, committed on its own, on database time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Executable, func, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import with_retries
from adapters.postgres.runs import run_of
from adapters.postgres.tables import runs
from application.ports.persistence import Heartbeat
from domain.projects.run import LIVE, Claim, RunStatus
from domain.shared.ids import RunId

_LIVE = tuple(sorted(LIVE))
_FREE = runs.c.lease_until.is_(None) | (runs.c.lease_until <= func.now())


class PostgresRunClaims:
    """The ``RunClaims`` over the ``dispatch`` role's engine, which must autocommit."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def claim(self, run_id: RunId, lease_seconds: float) -> Claim | None:
        until = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds)
        row = await self._one(
            update(runs)
            .where(
                runs.c.id == run_id,
                runs.c.status.in_(_LIVE),
                runs.c.not_before <= func.now(),
                _FREE,
            )
            .values(
                status=RunStatus.RUNNING,
                fence=runs.c.fence + 1,
                attempts=runs.c.attempts + 1,
                lease_until=until,
                due_at=until,
                started_at=func.coalesce(runs.c.started_at, func.now()),
            )
            .returning(*runs.c)
        )
        if row is None:
            return None
        return Claim(run=run_of(row), fence=row.fence, lease_seconds=lease_seconds)

    async def renew(self, run_id: RunId, fence: int, lease_seconds: float) -> Heartbeat | None:
        until = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds)
        row = await self._one(
            update(runs)
            .where(runs.c.id == run_id, runs.c.fence == fence, runs.c.status == RunStatus.RUNNING)
            .values(lease_until=until, due_at=until)
            .returning(runs.c.cancel_requested)
        )
        return None if row is None else Heartbeat(cancel_requested=row.cancel_requested)

    async def hand_back(
        self, run_id: RunId, fence: int, *, delay_seconds: float, refund: bool = True
    ) -> bool:
        at = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, delay_seconds)
        row = await self._one(
            update(runs)
            .where(runs.c.id == run_id, runs.c.fence == fence, runs.c.status == RunStatus.RUNNING)
            .values(
                status=RunStatus.QUEUED,
                lease_until=None,
                attempts=func.greatest(runs.c.attempts - int(refund), 0),
                not_before=at,
                due_at=at,
            )
            .returning(runs.c.id)
        )
        return row is not None

    async def due(self, limit: int, defer_seconds: float) -> Sequence[RunId]:
        taken = (
            select(runs.c.id)
            .where(runs.c.status.in_(_LIVE), runs.c.due_at <= func.now())
            .order_by(runs.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("taken")
        )
        rows = await self._all(
            update(runs)
            .where(runs.c.id.in_(select(taken.c.id)))
            .values(due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, defer_seconds))
            .returning(runs.c.id)
        )
        return [RunId(row.id) for row in rows]

    async def depth(self) -> int:
        rows = await self._all(
            select(func.count().label("waiting")).where(
                runs.c.status.in_(_LIVE),
                runs.c.not_before <= func.now(),
                _FREE,
            )
        )
        return int(rows[0].waiting)

    async def _one(self, statement: Executable) -> Row[Any] | None:
        rows = await self._all(statement)
        return rows[0] if rows else None

    async def _all(self, statement: Executable) -> Sequence[Row[Any]]:
        async def execute() -> Sequence[Row[Any]]:
            async with self._engine.connect() as connection:
                return (await connection.execute(statement)).all()

        return await with_retries(execute)
