"""Runs and their event logs, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from application.ports.paging import Page
from application.ports.persistence import LeaseLost
from application.ports.projects import RunRepository
from domain.projects.run import TERMINAL, Run, RunInProgress, RunNotLive, RunStatus
from domain.shared.errors import NotFound
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import ProjectId, RunId
from tests.fakes.persistence.database import RunRow, Session, TransactionRefused


class InMemoryRuns(RunRepository):
    """The runs of the session's person.

    Locks need no code here: the whole block holds the database's lock.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, run: Run) -> None:
        self._session.require_own(run.user_id)
        tables = self._session.tables
        project = tables.projects.get(run.project_id)
        if project is None or project.user_id != run.user_id or run.id in tables.runs:
            raise self._session.refused(TransactionRefused("no such project, or the id is taken"))
        other = await self.live(run.project_id)
        if run.live and other is not None:
            raise RunInProgress("The project has a run in progress.", run_id=str(other.id))
        fresh = replace(
            run,
            attempts=0,
            fence=0,
            cancel_requested=False,
            event_seq=0,
            error_code="",
            error="",
            started_at=None,
            finished_at=None,
        )
        now = self._session.now
        tables.runs[run.id] = RunRow(run=fresh, due_at=now, not_before=now)

    async def get(self, run_id: RunId) -> Run | None:
        row = self._row(run_id)
        return row.run if row else None

    async def live(self, project_id: ProjectId) -> Run | None:
        return next((run for run in self._of(project_id) if run.live), None)

    async def live_ids(self) -> Sequence[RunId]:
        tenant = self._session.tenant
        rows = self._session.tables.runs.values()
        return sorted(row.run.id for row in rows if row.run.live and row.run.user_id == tenant)

    async def live_count(self) -> int:
        tenant = self._session.tenant
        rows = self._session.tables.runs.values()
        return sum(row.run.live and row.run.user_id == tenant for row in rows)

    async def of_project(self, project_id: ProjectId, page: Page) -> Sequence[Run]:
        found = [run for run in self._of(project_id) if page.after is None or run.id < page.after]
        return sorted(found, key=lambda run: run.id, reverse=True)[: page.limit]

    async def lock(self, run_id: RunId, fence: int) -> Run:
        run = await self.get(run_id)
        if run is None or run.fence != fence or run.status is not RunStatus.RUNNING:
            raise LeaseLost(f"the claim {fence} on run {run_id} no longer holds")
        return run

    async def set_progress(self, run_id: RunId, progress: int) -> None:
        if not 0 <= progress <= 100:
            raise self._session.refused(TransactionRefused("progress is 0 to 100"))
        row = self._row(run_id)
        if row is not None:
            self._put(replace(row, stalls=0, run=replace(row.run, progress=progress, attempts=0)))

    async def finish(
        self, run_id: RunId, status: RunStatus, *, error_code: str = "", error: str = ""
    ) -> None:
        if status not in TERMINAL:
            raise ValueError(f"a run does not finish as {status}")
        row = self._row(run_id)
        if row is None or not row.run.live:
            raise LeaseLost(f"the run {run_id} has ended, or there is none")
        finished = replace(
            row.run,
            status=status,
            error_code=error_code,
            error=error,
            finished_at=self._session.now,
        )
        self._put(replace(row, run=finished, lease_until=None))

    async def request_cancel(self, run_id: RunId) -> Run:
        row = self._row(run_id)
        if row is None:
            raise NotFound("run", run_id)
        if not row.run.live:
            raise RunNotLive("The run has ended already.", run_status=row.run.status.value)
        asked = replace(row.run, cancel_requested=True)
        now = self._session.after(0)
        waits = row.lease_until is None
        self._put(
            replace(
                row,
                run=asked,
                due_at=now if waits else row.due_at,
                not_before=min(row.not_before, now),
            )
        )
        return asked

    async def append_event(
        self, run_id: RunId, type_: EventType, data: Mapping[str, object]
    ) -> RunEvent:
        row = self._row(run_id)
        if row is None:
            raise NotFound("run", run_id)
        seq = row.run.event_seq + 1
        self._put(replace(row, run=replace(row.run, event_seq=seq)))
        kept = msgspec.json.decode(msgspec.json.encode(data))
        event = RunEvent(run_id=run_id, seq=seq, type=type_, data=kept, at=self._session.now)
        self._session.tables.events[run_id, seq] = event
        return event

    async def events(self, run_id: RunId, after: int, limit: int) -> Sequence[RunEvent]:
        row = self._row(run_id)
        if row is None:
            return []
        numbers = range(max(after, 0) + 1, row.run.event_seq + 1)[:limit]
        return [self._session.tables.events[run_id, seq] for seq in numbers]

    def _of(self, project_id: ProjectId) -> list[Run]:
        tenant = self._session.tenant
        runs = (row.run for row in self._session.tables.runs.values())
        return [run for run in runs if run.project_id == project_id and run.user_id == tenant]

    def _row(self, run_id: RunId) -> RunRow | None:
        row = self._session.tables.runs.get(run_id)
        return row if row and row.run.user_id == self._session.tenant else None

    def _put(self, row: RunRow) -> None:
        self._session.tables.runs[row.run.id] = row
