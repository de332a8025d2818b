"""Hot reads see what a transaction of the same person would, and nothing of anybody else's."""

from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from application.ports.reads import HotReads
from domain.billing.ledger import Balance
from domain.projects.project import ProjectStatus
from domain.projects.run import RunStatus
from domain.shared.ids import ProjectId, RunId, UserId
from tests.contracts.keys_contract import keep_key, make_secret
from tests.contracts.samples import (
    keep_project,
    keep_run,
    keep_user,
    make_project,
    make_task,
    new_id,
)


class HotReadsContract:
    async def test_a_project_is_its_owners_alone(self, uow: UnitOfWork, reads: HotReads) -> None:
        project = await keep_project(uow, title="An “idea”; एक विचार")
        stranger = await keep_user(uow)
        assert await reads.project(project.user_id, project.id) == project
        assert await reads.project(stranger.id, project.id) is None
        assert await reads.project(project.user_id, ProjectId(new_id())) is None
        assert await reads.project_and_run(stranger.id, project.id) is None

    async def test_a_project_comes_with_its_newest_run(
        self, uow: UnitOfWork, reads: HotReads
    ) -> None:
        project = await keep_project(uow)
        assert await reads.project_and_run(project.user_id, project.id) == (project, None)
        await keep_run(uow, project, status=RunStatus.FAILED)
        newest = await keep_run(uow, project)
        async with uow.begin(project.user_id) as tx:
            same = (await tx.projects.get(project.id), await tx.runs.get(newest.id))
        assert await reads.project_and_run(project.user_id, project.id) == same

    async def test_projects_are_listed_as_in_a_transaction(
        self, uow: UnitOfWork, reads: HotReads
    ) -> None:
        owner = await keep_user(uow)
        await keep_project(uow)  # somebody else's
        made = [make_project(owner.id, title=f"Number {number}%_") for number in range(4)]
        made.append(make_project(owner.id, title="the LAST", status=ProjectStatus.COMPLETED))
        async with uow.begin(owner.id) as tx:
            for project in made:
                await tx.projects.add(project)
        newest = sorted(made, key=lambda project: project.id, reverse=True)
        for after in (None, newest[1].id):
            for status in (None, ProjectStatus.COMPLETED):
                for search in ("", "last", "NUMBER", "%", "_", "\\"):
                    page = Page(limit=3, after=after)
                    async with uow.begin(owner.id) as tx:
                        expected = await tx.projects.page(page, status=status, search=search)
                    found = await reads.projects(owner.id, page, status=status, search=search)
                    assert list(found) == list(expected)
        assert await reads.projects(UserId(new_id()), Page(limit=3), status=None, search="") == []

    async def test_a_run_and_its_tasks_are_its_owners_alone(
        self, uow: UnitOfWork, reads: HotReads
    ) -> None:
        run = await keep_run(uow)
        tasks = [make_task(run, step="idea"), make_task(run, step="srs")]
        async with uow.begin(run.user_id) as tx:
            for task in tasks:
                await tx.tasks.put(task)
            kept = await tx.runs.get(run.id)
        stranger = await keep_user(uow)
        assert await reads.run(run.user_id, run.id) == kept
        assert list(await reads.tasks_of_run(run.user_id, run.id)) == tasks
        assert await reads.run(stranger.id, run.id) is None
        assert await reads.tasks_of_run(stranger.id, run.id) == []
        assert await reads.run(run.user_id, RunId(new_id())) is None

    async def test_a_person_comes_with_their_balance(
        self, uow: UnitOfWork, reads: HotReads
    ) -> None:
        rich, poor = await keep_user(uow, credits=70), await keep_user(uow)
        assert await reads.user(rich.id) == (rich, Balance(available=70, reserved=0))
        assert await reads.user(poor.id) == (poor, Balance(available=0, reserved=0))
        assert await reads.user(UserId(new_id())) is None

    async def test_a_key_is_found_by_any_of_its_digests(
        self, uow: UnitOfWork, reads: HotReads
    ) -> None:
        key = await keep_key(uow, previous=make_secret())
        async with uow.begin(key.user_id) as tx:
            kept = await tx.keys.get(key.id)
        assert key.previous is not None
        assert await reads.presented_key([make_secret().digest, key.secret.digest]) == kept
        assert await reads.presented_key([key.previous.digest]) == kept
        assert await reads.presented_key([make_secret().digest]) is None
        # What one statement was shown, the next is not.
        assert await reads.presented_key([make_secret().digest]) is None
