"""Who works on which run: each call committed on its own, on database time."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Uuid,
    and_,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import rows_of, with_retries
from adapters.postgres.locks import Kind, lock_of
from adapters.postgres.runs import run_of
from adapters.postgres.tables import entitlements, plans, runs
from application.ports.claims import Heartbeat, RunUnreadable
from domain.billing.plans import FREE
from domain.projects.run import LIVE, MAX_STALLS, Claim, RunStatus
from domain.shared.ids import ProjectId, RunId, UserId

_LIVE = tuple(sorted(LIVE))

_OLDEST = (runs.c.due_at, runs.c.id)
_FREE = runs.c.lease_until.is_(None) | (runs.c.lease_until <= func.now())


class PostgresRunClaims:
    """The ``RunClaims`` over the ``dispatch`` role's engine.

    ``runs_per_user`` is how many runs of one person may be held at once; 0 for any number.
    ``by_plan`` holds everybody to their plan besides, or to Free's newest version.
    """

    def __init__(
        self, engine: AsyncEngine, *, runs_per_user: int = 0, by_plan: bool = False
    ) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._transactions = engine
        self._ceiling = runs_per_user
        self._by_plan = by_plan
        self._limited = by_plan or bool(runs_per_user)

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
            if self._limited:
                # One claim of a person after another: two that count at the same time
                # would both find room for themselves.
                lock = lock_of(Kind.CLAIMS_OF_A_PERSON, runs.c.user_id)
                await connection.execute(select(lock).where(runs.c.id == run_id))
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
            if row is None and self._limited:
                # Only the limit can be in the way of a claimable one. Its turn comes with
                # the room, not when the hint that has just been used up would be repeated.
                await connection.execute(update(runs).where(claimable).values(due_at=now))
        return row

    def _has_room(self, now: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the person of the row has room for one more run at a worker."""
        if not self._limited:
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
        return or_(runs.c.cancel_requested, held < self._allowed(runs.c.user_id, now))

    def _allowed(self, user_id: ColumnElement[Any], now: ColumnElement[Any]) -> ColumnElement[Any]:
        """How many runs the person of the row may have at workers: one expression a row."""
        if not self._by_plan:
            return literal(self._ceiling)
        by_plan = func.coalesce(
            select(func.max(plans.c.concurrent_runs))
            .join_from(entitlements, plans, plans.c.id == entitlements.c.plan_id)
            .where(
                entitlements.c.user_id == user_id,
                entitlements.c.starts_at <= now,
                entitlements.c.ends_at > now,
            )
            .correlate_except(entitlements, plans)
            .scalar_subquery(),
            select(plans.c.concurrent_runs)
            .where(plans.c.code == FREE)
            .order_by(plans.c.version.desc())
            .limit(1)
            .scalar_subquery(),
        )
        return func.least(by_plan, self._ceiling) if self._ceiling else by_plan

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

    async def outlived(self, run_id: RunId, fence: int) -> bool:
        # The last claims are what is counted: as many fences back as there are attempts. A
        # hand-back among them makes that too few, and an attempt too many is the safe mistake.
        row = await self._one(
            update(runs)
            .where(
                runs.c.id == run_id,
                runs.c.status.in_(_LIVE),
                runs.c.fence - runs.c.attempts < fence,
                runs.c.stalls < MAX_STALLS,
            )
            .values(attempts=runs.c.attempts - 1, stalls=runs.c.stalls + 1)
            .returning(runs.c.id)
        )
        return row is not None

    async def due(self, limit: int) -> Sequence[RunId]:
        now = func.now()
        mine: Mapping[str, Any] = {"partition_by": runs.c.user_id}
        waits = runs.c.due_at <= now
        # One pass over what is live, in one order, without a join: there is no plan of it whose
        # work grows faster than its rows, whatever the database knows of the table. Those that
        # wait come first of each person's, so their place is their turn; the rest are held by a
        # worker, or announced to one: a hint is on its way until it is repeated.
        turns = (
            select(
                runs.c.id,
                runs.c.user_id,
                runs.c.due_at,
                runs.c.cancel_requested,
                waits.label("waits"),
                func.row_number()
                .over(
                    order_by=(waits.desc(), runs.c.cancel_requested.desc(), *_OLDEST),
                    **mine,
                )
                .label("turn"),
                func.count().filter(not_(waits)).over(**mine).label("busy"),
            )
            .where(runs.c.status.in_(_LIVE), waits | (runs.c.not_before <= now))
            .cte("turns")
        )
        room: ColumnElement[bool] = literal(True)
        if self._limited:
            room = turns.c.turn + turns.c.busy <= self._allowed(turns.c.user_id, now)
            if self._by_plan:
                # Nobody's plan is asked for about a place that no plan has room for.
                most = select(func.max(plans.c.concurrent_runs)).scalar_subquery()
                room = and_(turns.c.turn <= most, room)
        rows = await self._all(
            select(turns.c.id)
            .where(turns.c.waits, or_(turns.c.cancel_requested, room))
            .order_by(turns.c.turn, turns.c.due_at, turns.c.id)
            .limit(limit)
        )
        return [RunId(row.id) for row in rows]

    async def put_off(self, run_ids: Sequence[RunId], defer_seconds: float) -> Sequence[RunId]:
        now = func.now()
        # Asked of the locked row: another dispatcher may have been there. Within CASE, so that
        # no index of what is due is taken, which would lead to all that is, for each batch.
        still = case((runs.c.status.in_(_LIVE), runs.c.due_at <= now), else_=False)
        due = (
            select(runs.c.id)
            .where(runs.c.id == func.any(literal(list(run_ids), ARRAY(Uuid))), still)
            .with_for_update(skip_locked=True)
        )
        rows = await self._all(
            update(runs)
            .where(runs.c.id == func.any(func.array(due.scalar_subquery())))
            .values(due_at=now + func.make_interval(0, 0, 0, 0, 0, 0, defer_seconds))
            .returning(runs.c.id)
        )
        taken = {row.id for row in rows}
        return [run_id for run_id in run_ids if run_id in taken]

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
        return await rows_of(self._engine, statement)
