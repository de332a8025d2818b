"""What every ``ProjectRepository`` keeps."""

from dataclasses import replace

import pytest

from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from domain.agents.artifacts import Mode
from domain.projects.project import Project, ProjectStatus
from domain.shared.events import EventType
from domain.shared.ids import ProjectId
from tests.contracts.samples import (
    all_at_once,
    ids,
    intrude,
    keep_project,
    keep_run,
    keep_user,
    make_call,
    make_document,
    make_grant,
    make_project,
    make_task,
    new_id,
)


async def titles_found(uow: UnitOfWork, titles: list[str], search: str) -> list[str]:
    """Which of the titles a search finds, oldest first."""
    owner = await keep_user(uow)
    async with uow.begin(owner.id) as tx:
        for title in titles:
            await tx.projects.add(make_project(owner.id, title=title))
        found = await tx.projects.page(Page(limit=100), status=None, search=search)
    return [project.title for project in reversed(found)]


class ProjectsContract:
    async def test_a_project_comes_back_as_kept(self, uow: UnitOfWork) -> None:
        project = await keep_project(
            uow, title="पुस्तकालय", idea="Line one\n\tline two", mode=Mode.STUDENT, progress=41
        )
        async with uow.begin(project.user_id) as tx:
            assert await tx.projects.get(project.id) == project

    async def test_an_unknown_project_is_none(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            assert await tx.projects.get(ProjectId(new_id())) is None

    async def test_a_saved_change_is_kept(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        changed = replace(
            project,
            title="Lending library",
            idea="Members borrow tools instead of books.",
            status=ProjectStatus.RUNNING,
            progress=36,
        )
        async with uow.begin(project.user_id) as tx:
            await tx.projects.save(changed)
        async with uow.begin(project.user_id) as tx:
            assert await tx.projects.get(project.id) == changed

    async def test_a_locked_project_makes_other_writers_wait(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)

        async def add_one() -> None:
            async with uow.begin(project.user_id) as tx:
                current = await tx.projects.get(project.id, lock=True)
                assert current is not None
                await tx.projects.save(replace(current, progress=current.progress + 1))

        await all_at_once(15, add_one)
        async with uow.begin(project.user_id) as tx:
            stored = await tx.projects.get(project.id)
        assert stored is not None
        assert stored.progress == 15

    async def test_a_listing_is_newest_first(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        made = [await keep_project(uow, owner) for _ in range(5)]
        async with uow.begin(owner.id) as tx:
            found = await tx.projects.page(Page(limit=10), status=None, search="")
        assert list(found) == made[::-1]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    async def test_pages_are_complete_and_without_repeats(
        self, uow: UnitOfWork, limit: int
    ) -> None:
        owner = await keep_user(uow)
        made = [await keep_project(uow, owner) for _ in range(7)]
        seen: list[Project] = []
        async with uow.begin(owner.id) as tx:
            for _ in made:
                after = seen[-1].id if seen else None
                page = Page(limit=limit, after=after)
                seen.extend(await tx.projects.page(page, status=None, search=""))
        assert seen == made[::-1]

    async def test_a_next_page_does_not_move_when_something_newer_comes(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        made = [await keep_project(uow, owner) for _ in range(4)]
        await keep_project(uow, owner)
        async with uow.begin(owner.id) as tx:
            page = await tx.projects.page(Page(limit=2, after=made[2].id), status=None, search="")
        assert ids(page) == [made[1].id, made[0].id]

    async def test_a_next_page_starts_after_a_project_that_was_deleted(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        made = [await keep_project(uow, owner) for _ in range(3)]
        async with uow.begin(owner.id) as tx:
            await tx.projects.delete(made[1].id)
            page = await tx.projects.page(Page(limit=5, after=made[1].id), status=None, search="")
        assert ids(page) == [made[0].id]

    async def test_a_listing_of_one_status_has_no_other(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        for status in ProjectStatus:
            await keep_project(uow, owner, status=status)
        async with uow.begin(owner.id) as tx:
            found = await tx.projects.page(Page(limit=10), status=ProjectStatus.FAILED, search="")
        assert [project.status for project in found] == [ProjectStatus.FAILED]

    async def test_status_and_search_narrow_together(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        wanted = await keep_project(uow, owner, title="Clinic", status=ProjectStatus.COMPLETED)
        await keep_project(uow, owner, title="Clinic", status=ProjectStatus.DRAFT)
        await keep_project(uow, owner, title="Canteen", status=ProjectStatus.COMPLETED)
        async with uow.begin(owner.id) as tx:
            found = await tx.projects.page(
                Page(limit=10), status=ProjectStatus.COMPLETED, search="clinic"
            )
        assert ids(found) == [wanted.id]

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            ("LIBRARY", ["College library"]),
            ("ege lib", ["College library"]),
            ("पुस्त", ["पुस्तकालय"]),
            ("épicerie", ["ÉPICERIE"]),
            ("", ["College library", "Clinic", "पुस्तकालय", "ÉPICERIE"]),
            ("hostel", []),
        ],
    )
    async def test_a_search_finds_a_part_of_the_title_in_any_case(
        self, uow: UnitOfWork, search: str, found: list[str]
    ) -> None:
        titles = ["College library", "Clinic", "पुस्तकालय", "ÉPICERIE"]
        assert await titles_found(uow, titles, search) == found

    @pytest.mark.parametrize("sign", ["%", "_", "\\", "/", "'", "*", "(", ".", "^"])
    async def test_a_search_takes_signs_literally(self, uow: UnitOfWork, sign: str) -> None:
        titles = [f"half {sign} half", "half x half"]
        assert await titles_found(uow, titles, f"f {sign} h") == titles[:1]

    async def test_a_deleted_project_is_gone(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        async with uow.begin(project.user_id) as tx:
            await tx.projects.delete(project.id)
        async with uow.begin(project.user_id) as tx:
            assert await tx.projects.get(project.id) is None

    async def test_a_deleted_project_takes_runs_events_tasks_and_documents_along(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        document = make_document(run)
        async with uow.begin(run.user_id) as tx:
            await tx.runs.append_event(run.id, EventType.RUN_QUEUED, {})
            await tx.tasks.put(make_task(run))
            await tx.documents.add([document])
        async with uow.begin(run.user_id) as tx:
            await tx.projects.delete(run.project_id)
        async with uow.begin(run.user_id) as tx:
            left = [
                await tx.runs.get(run.id),
                await tx.documents.get(document.id),
                *await tx.runs.events(run.id, 0, 10),
                *await tx.tasks.of_run(run.id),
            ]
        assert left == [None, None]

    async def test_a_deleted_project_leaves_model_calls_and_ledger(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            await tx.calls.add(make_call(run))
            await tx.ledger.grant(make_grant(run.user_id, 70))
        async with uow.begin(run.user_id) as tx:
            await tx.projects.delete(run.project_id)
        async with uow.begin(run.user_id) as tx:
            assert len(await tx.calls.of_step(run.id, "idea")) == 1
            assert (await tx.ledger.balance(run.user_id)).available == 70

    async def test_a_deleted_project_leaves_its_neighbour_whole(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        neighbour = await keep_run(uow, await keep_project(uow, owner))
        doomed = await keep_run(uow, await keep_project(uow, owner))
        async with uow.begin(owner.id) as tx:
            await tx.tasks.put(make_task(neighbour))
            await tx.projects.delete(doomed.project_id)
        async with uow.begin(owner.id) as tx:
            assert len(await tx.tasks.of_run(neighbour.id)) == 1

    async def test_a_stranger_cannot_change_a_project(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        stranger = await keep_user(uow)
        await intrude(
            uow, stranger.id, lambda tx: tx.projects.save(replace(project, title="Mine now"))
        )
        async with uow.begin(project.user_id) as tx:
            assert await tx.projects.get(project.id) == project

    async def test_a_stranger_cannot_take_a_project_over(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        stranger = await keep_user(uow)
        await intrude(
            uow, stranger.id, lambda tx: tx.projects.save(replace(project, user_id=stranger.id))
        )
        async with uow.begin(project.user_id) as tx:
            assert await tx.projects.get(project.id) == project

    async def test_a_stranger_cannot_delete_a_project(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        stranger = await keep_user(uow)
        await intrude(uow, stranger.id, lambda tx: tx.projects.delete(project.id))
        async with uow.begin(project.user_id) as tx:
            assert await tx.projects.get(project.id) == project
