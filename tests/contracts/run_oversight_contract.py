"""What every ``RunOversight`` shows: rows of everybody's runs."""

from application.ports.claims import RunOversight
from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from domain.projects.run import RunStatus
from domain.shared.ids import RunId
from tests.contracts.samples import ids, keep_project, keep_run, keep_user, new_id


class RunOversightContract:
    async def test_runs_of_a_status_are_listed_newest_first_whoever_they_are_of(
        self, uow: UnitOfWork, oversight: RunOversight
    ) -> None:
        older, newer, queued = [await keep_run(uow) for _ in range(3)]
        for run in (older, newer):
            async with uow.begin(run.user_id) as tx:
                await tx.runs.finish(
                    run.id, RunStatus.DEAD, error_code="worker_lost", error="Lost."
                )
        found = await oversight.of_status(RunStatus.DEAD, Page(limit=2))
        assert ids(found) == [newer.id, older.id]
        assert (found[0].error_code, found[0].user_id) == ("worker_lost", newer.user_id)
        rest = await oversight.of_status(RunStatus.DEAD, Page(limit=100, after=newer.id))
        assert rest[0].id == older.id
        assert queued.id not in ids(rest)

    async def test_somebodys_runs_are_listed_newest_first_of_any_status_or_of_one(
        self, uow: UnitOfWork, oversight: RunOversight
    ) -> None:
        owner = await keep_user(uow)
        older, newer = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(2)]
        await keep_run(uow)
        async with uow.begin(owner.id) as tx:
            await tx.runs.finish(older.id, RunStatus.DEAD, error_code="worker_lost", error="Lost.")
        page = Page(limit=10)
        assert ids(await oversight.of_person(owner.id, None, page)) == [newer.id, older.id]
        assert ids(await oversight.of_person(owner.id, RunStatus.DEAD, page)) == [older.id]
        rest = Page(limit=10, after=newer.id)
        assert ids(await oversight.of_person(owner.id, None, rest)) == [older.id]

    async def test_a_run_is_found_whoever_it_is_of(
        self, uow: UnitOfWork, oversight: RunOversight
    ) -> None:
        run = await keep_run(uow)
        seen = await oversight.get(run.id)
        assert seen is not None
        assert (seen.user_id, seen.mode, seen.status) == (run.user_id, "developer", "queued")
        assert await oversight.get(RunId(new_id())) is None
