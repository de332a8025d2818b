"""Who works on which run: each call committed on its own, on database time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Text,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import with_retries
from adapters.postgres.runs import run_of
from adapters.postgres.tables import runs
from application.ports.persistence import Heartbeat, RunUnreadable
from domain.projects.run import LIVE, Claim, RunStatus
from domain.shared.ids import ProjectId, RunId, UserId

_LIVE = tuple(sorted(LIVE))
_CLAIMS_OF_A_PERSON = 0x6262
"""Keeps the hashes of people's ids apart from other advisory locks of the database."""

_FREE = runs.c.lease_until.is_(None) | (runs.c.lease_until <= func.now())


class PostgresRunClaims:
    """The ``RunClaims`` over the ``dispatch`` role's engine.

    ``runs_per_user`` is how many runs of one person may be held at once; 0 for any number.
    """

    def __init__(self, engine: AsyncEngine, *, runs_per_user: int = 0) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._transactions = engine
        self._limit = runs_per_user

    async def claim(self, run_id: RunId, lease_seconds: float) -> Claim | None:
        row = await with_retries(lambda: self._claimed(run_id, lease_seconds))
        if row is None:
            return None
        try:
            run = run_of(row)
        except ValueError as error:
            raise RunUnreadable(
                RunId(row.id),
                ProjectId(row.project_id),
                UserId(row.user_id),
                fence=row.fence,
                attempts=row.attempts,
                reason=str(error),
            ) from error
        return Claim(run=run, fence=row.fence, lease_seconds=lease_seconds)

    async def _claimed(self, run_id: RunId, lease_seconds: float) -> Row[Any] | None:
        # The moment of each statement, not of the transaction: it may have waited between.
        now = func.statement_timestamp()
        until = now + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds)
        # Whoever holds the row's lock is at work on it. Waiting for it would be worse than no
        # claim: the lease would be counted from before the wait, and be over at its end.
        mine = (
            select(runs.c.id)
            .where(runs.c.id == run_id)
            .with_for_update(skip_locked=True)
            .cte("mine")
        )
        claimable = and_(
            runs.c.id == mine.c.id,
            runs.c.status.in_(_LIVE),
            runs.c.not_before <= now,
            runs.c.lease_until.is_(None) | (runs.c.lease_until <= now),
        )
        async with self._transactions.begin() as connection:
            if self._limit:
                # One claim of a person after another: two that count at the same time
                # would both find room for themselves.
                await connection.execute(
                    select(
                        func.pg_advisory_xact_lock(
                            func.hashtextextended(cast(runs.c.user_id, Text), _CLAIMS_OF_A_PERSON)
                        )
                    ).where(runs.c.id == run_id)
                )
            rows = await connection.execute(
                update(runs)
                .where(claimable, self._has_room(now))
                .values(
                    status=RunStatus.RUNNING,
                    fence=runs.c.fence + 1,
                    attempts=runs.c.attempts + 1,
                    lease_until=until,
                    due_at=until,
                    started_at=func.coalesce(runs.c.started_at, now),
                )
                .returning(*runs.c)
            )
            row = rows.one_or_none()
            if row is None and self._limit:
                # Only the limit can be in the way of a claimable one. Its turn comes with
                # the room, not when the hint that has just been used up would be repeated.
                await connection.execute(update(runs).where(claimable).values(due_at=now))
        return row

    def _has_room(self, now: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the person of the row has room for one more run at a worker."""
        if not self._limit:
            return literal(True)
        others = runs.alias("others")
        held = (
            select(func.count())
            .where(
                others.c.user_id == runs.c.user_id,
                others.c.status == RunStatus.RUNNING,
                others.c.lease_until > now,
            )
            .scalar_subquery()
        )
        return or_(runs.c.cancel_requested, held < self._limit)

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
        now = func.now()
        waiting = (
            select(
                runs.c.id,
                func.row_number()
                .over(
                    partition_by=runs.c.user_id,
                    order_by=(runs.c.cancel_requested.desc(), runs.c.due_at, runs.c.id),
                )
                .label("turn"),
            )
            .where(runs.c.status.in_(_LIVE), runs.c.due_at <= now)
            .cte("waiting")
        )
        # Held by a worker, or announced to one: a hint is on its way until it is repeated.
        busy = (
            select(runs.c.user_id, func.count().label("runs"))
            .where(runs.c.status.in_(_LIVE), runs.c.due_at > now, runs.c.not_before <= now)
            .group_by(runs.c.user_id)
            .cte("busy")
        )
        room = (
            or_(
                runs.c.cancel_requested,
                waiting.c.turn + func.coalesce(busy.c.runs, 0) <= self._limit,
            )
            if self._limit
            else literal(True)
        )
        taken = (
            select(runs.c.id, waiting.c.turn, runs.c.due_at)
            .join(waiting, waiting.c.id == runs.c.id)
            .outerjoin(busy, busy.c.user_id == runs.c.user_id)
            # Asked of the locked row again: another dispatcher may have been there.
            .where(runs.c.status.in_(_LIVE), runs.c.due_at <= now, room)
            .order_by(waiting.c.turn, runs.c.due_at, runs.c.id)
            .limit(limit)
            .with_for_update(of=runs, skip_locked=True)
            .cte("taken")
        )
        rows = await self._all(
            update(runs)
            .where(runs.c.id == taken.c.id)
            .values(due_at=now + func.make_interval(0, 0, 0, 0, 0, 0, defer_seconds))
            .returning(runs.c.id, taken.c.turn, taken.c.due_at.label("since"))
        )
        return [RunId(row.id) for row in sorted(rows, key=lambda row: (row.turn, row.since))]

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
