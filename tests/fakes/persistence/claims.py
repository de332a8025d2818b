"""Claims on runs, in memory: every call is a transaction of its own, for any person."""

from collections.abc import Sequence
from dataclasses import replace

from application.ports.claims import Heartbeat, RunClaims
from domain.billing.plans import FREE
from domain.projects.run import MAX_STALLS, Claim, RunStatus
from domain.shared.ids import RunId, UserId
from tests.fakes.persistence.database import InMemoryDatabase, RunRow, Session


class InMemoryRunClaims(RunClaims):
    """Decides who works on which run, on the clock of the database."""

    def __init__(
        self, database: InMemoryDatabase, *, runs_per_user: int = 0, by_plan: bool = False
    ) -> None:
        self._database = database
        self._ceiling = runs_per_user
        self._by_plan = by_plan

    async def claim(self, run_id: RunId, lease_seconds: float) -> Claim | None:
        async with self._database.session(None) as session:
            row = session.tables.runs.get(run_id)
            if row is None or not row.claimable(session.now):
                return None
            if not self._has_room(session, row):
                session.tables.runs[run_id] = replace(row, due_at=session.now)
                return None
            run = replace(
                row.run,
                status=RunStatus.RUNNING,
                fence=row.run.fence + 1,
                attempts=row.run.attempts + 1,
                started_at=row.run.started_at or session.now,
            )
            until = session.after(lease_seconds)
            session.tables.runs[run_id] = replace(row, run=run, lease_until=until, due_at=until)
            return Claim(run=run, fence=run.fence, lease_seconds=lease_seconds)

    async def renew(self, run_id: RunId, fence: int, lease_seconds: float) -> Heartbeat | None:
        async with self._database.session(None) as session:
            row = _held(session, run_id, fence)
            if row is None:
                return None
            until = session.after(lease_seconds)
            session.tables.runs[run_id] = replace(row, lease_until=until, due_at=until)
            return Heartbeat(cancel_requested=row.run.cancel_requested)

    async def hand_back(
        self, run_id: RunId, fence: int, *, delay_seconds: float, refund: bool = True
    ) -> bool:
        async with self._database.session(None) as session:
            row = _held(session, run_id, fence)
            if row is None:
                return False
            # A step finished under this claim has forgotten it: nothing is left to refund.
            attempts = max(row.run.attempts - int(refund), 0)
            again = session.after(delay_seconds)
            session.tables.runs[run_id] = replace(
                row,
                run=replace(row.run, status=RunStatus.QUEUED, attempts=attempts),
                lease_until=None,
                not_before=again,
                due_at=again,
            )
            return True

    async def outlived(self, run_id: RunId, fence: int) -> bool:
        async with self._database.session(None) as session:
            row = session.tables.runs.get(run_id)
            if row is None or not row.run.live or row.stalls >= MAX_STALLS:
                return False
            if row.run.fence - row.run.attempts >= fence:
                return False
            run = replace(row.run, attempts=row.run.attempts - 1)
            session.tables.runs[run_id] = replace(row, run=run, stalls=row.stalls + 1)
            return True

    async def due(self, limit: int) -> Sequence[RunId]:
        async with self._database.session(None) as session:
            waiting = [
                row
                for row in session.tables.runs.values()
                if row.run.live and row.due_at <= session.now
            ]
            turns = self._turns(session, waiting)
            taken = sorted(turns, key=lambda turn: (turn[0], turn[1].due_at, turn[1].run.id))
            return [row.run.id for _, row in taken[:limit]]

    async def put_off(self, run_ids: Sequence[RunId], defer_seconds: float) -> Sequence[RunId]:
        async with self._database.session(None) as session:
            rows = session.tables.runs
            due = [
                run_id
                for run_id in run_ids
                if run_id in rows and rows[run_id].run.live and rows[run_id].due_at <= session.now
            ]
            for run_id in due:
                rows[run_id] = replace(rows[run_id], due_at=session.after(defer_seconds))
            return due

    async def depth(self) -> int:
        async with self._database.session(None) as session:
            return sum(row.claimable(session.now) for row in session.tables.runs.values())

    def _has_room(self, session: Session, row: RunRow) -> bool:
        held = sum(
            other.run.user_id == row.run.user_id
            and other.lease_until is not None
            and other.lease_until > session.now
            for other in session.tables.runs.values()
            if other.run.status is RunStatus.RUNNING
        )
        limit = self._limit(session, row.run.user_id)
        return not limit or row.run.cancel_requested or held < limit

    def _limit(self, session: Session, user_id: UserId) -> int:
        """How many runs the person may have at workers; 0 for any number."""
        if not self._by_plan:
            return self._ceiling
        tables = session.tables
        lasting = [
            tables.plans[row.plan_id].concurrent_runs
            for (user, _), row in tables.entitlements.items()
            if user == user_id and row.starts_at <= session.now < row.ends_at
        ]
        free = [plan for plan in tables.plans.values() if plan.code == FREE]
        newest = max(free, key=lambda plan: plan.version)
        allowed = max(lasting, default=newest.concurrent_runs)
        return min(allowed, self._ceiling) if self._ceiling else allowed

    def _turns(self, session: Session, waiting: list[RunRow]) -> list[tuple[int, RunRow]]:
        """Those with room, each with its place in its person's line."""
        turns = []
        for row in waiting:
            line = sorted(
                (other for other in waiting if other.run.user_id == row.run.user_id),
                key=lambda other: (not other.run.cancel_requested, other.due_at, other.run.id),
            )
            busy = sum(
                other.run.user_id == row.run.user_id
                and other.due_at > session.now >= other.not_before
                for other in session.tables.runs.values()
                if other.run.live
            )
            turn = line.index(row) + 1
            limit = self._limit(session, row.run.user_id)
            if not limit or row.run.cancel_requested or turn + busy <= limit:
                turns.append((turn, row))
        return turns


def _held(session: Session, run_id: RunId, fence: int) -> RunRow | None:
    row = session.tables.runs.get(run_id)
    if row is None or row.run.fence != fence or row.run.status is not RunStatus.RUNNING:
        return None
    return row
