"""Everybody's runs, in memory."""

from collections.abc import Callable, Sequence

from application.ports.claims import RunOversight, RunSummary
from application.ports.paging import Page
from domain.projects.run import Run, RunStatus
from domain.shared.ids import RunId, UserId
from tests.fakes.persistence.database import InMemoryDatabase


class InMemoryRunOversight(RunOversight):
    """Reads the rows of every person."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def of_status(self, status: RunStatus, page: Page) -> Sequence[RunSummary]:
        return self._page(lambda run: run.status is status, page)

    async def of_person(
        self, user_id: UserId, status: RunStatus | None, page: Page
    ) -> Sequence[RunSummary]:
        return self._page(lambda run: run.user_id == user_id and status in (None, run.status), page)

    def _page(self, fits: Callable[[Run], bool], page: Page) -> Sequence[RunSummary]:
        runs = [row.run for row in self._database.tables.runs.values()]
        found = [run for run in runs if fits(run) and (page.after is None or run.id < page.after)]
        found.sort(key=lambda run: run.id, reverse=True)
        return [_summary(run) for run in found[: page.limit]]

    async def get(self, run_id: RunId) -> RunSummary | None:
        row = self._database.tables.runs.get(run_id)
        return _summary(row.run) if row else None


def _summary(run: Run) -> RunSummary:
    return RunSummary(
        id=run.id,
        project_id=run.project_id,
        user_id=run.user_id,
        mode=run.mode.value,
        status=run.status.value,
        progress=run.progress,
        attempts=run.attempts,
        retry_of=run.retry_of,
        event_seq=run.event_seq,
        error_code=run.error_code,
        error=run.error,
        created_at=run.created_at,
        finished_at=run.finished_at,
    )
