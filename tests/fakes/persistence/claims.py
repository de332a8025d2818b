"""Claims on runs, in memory: every call is a transaction of its own, for any person."""

from collections.abc import Sequence
from dataclasses import replace

from application.ports.persistence import Heartbeat, RunClaims
from domain.projects.run import Claim, RunStatus
from domain.shared.ids import RunId
from tests.fakes.persistence.database import InMemoryDatabase, RunRow, Session


class InMemoryRunClaims(RunClaims):
    """Decides who works on which run, on the clock of the database."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def claim(self, run_id: RunId, lease_seconds: float) -> Claim | None:
        async with self._database.session(None) as session:
            row = session.tables.runs.get(run_id)
            if row is None or not row.claimable(session.now):
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

    async def due(self, limit: int, defer_seconds: float) -> Sequence[RunId]:
        async with self._database.session(None) as session:
            waiting = [
                row
                for row in session.tables.runs.values()
                if row.run.live and row.due_at <= session.now
            ]
            taken = sorted(waiting, key=lambda row: (row.due_at, row.run.id))[:limit]
            for row in taken:
                put_off = replace(row, due_at=session.after(defer_seconds))
                session.tables.runs[row.run.id] = put_off
            return [row.run.id for row in taken]

    async def depth(self) -> int:
        async with self._database.session(None) as session:
            return sum(row.claimable(session.now) for row in session.tables.runs.values())


def _held(session: Session, run_id: RunId, fence: int) -> RunRow | None:
    row = session.tables.runs.get(run_id)
    if row is None or row.run.fence != fence or row.run.status is not RunStatus.RUNNING:
        return None
    return row
