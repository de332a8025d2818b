"""What every ``RunRepository`` keeps: one live run a project, states, and a whole log."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from application.ports.claims import RunClaims
from application.ports.paging import Page
from application.ports.persistence import LeaseLost, UnitOfWork
from domain.projects.run import LIVE, TERMINAL, Run, RunInProgress, RunNotLive, RunStatus
from domain.shared.errors import NotFound
from domain.shared.events import EventType
from domain.shared.ids import RunId
from tests.contracts.samples import (
    all_at_once,
    ids,
    intrude,
    keep_project,
    keep_run,
    keep_user,
    make_project,
    make_run,
    new_id,
    reread,
    take,
)

ENDS = sorted(TERMINAL)


async def append(uow: UnitOfWork, run: Run, times: int = 1) -> list[int]:
    """Append entries in one block; their numbers."""
    async with uow.begin(run.user_id) as tx:
        return [
            (await tx.runs.append_event(run.id, EventType.STEP_STARTED, {"number": number})).seq
            for number in range(times)
        ]


async def end(uow: UnitOfWork, run: Run, status: RunStatus = RunStatus.FAILED) -> None:
    """Finish a live run."""
    async with uow.begin(run.user_id) as tx:
        await tx.runs.finish(run.id, status, error_code="model_refused", error="It declined.")


class RunsContract:
    async def test_live_runs_are_counted_over_a_persons_projects(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        ended, *_ = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(3)]
        await keep_run(uow)
        async with uow.begin(owner.id) as tx:
            await tx.runs.finish(ended.id, RunStatus.FAILED)
            assert await tx.runs.live_count() == 2

    async def test_a_run_comes_back_as_kept(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow, reuse=False, retry_of=RunId(new_id()), pipeline_version=7)
        assert await reread(uow, run) == run

    async def test_an_unknown_run_is_none(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            assert await tx.runs.get(RunId(new_id())) is None

    async def test_a_second_live_run_is_refused_with_the_id_of_the_first(
        self, uow: UnitOfWork
    ) -> None:
        project = await keep_project(uow)
        first = await keep_run(uow, project)
        with pytest.raises(RunInProgress) as refused:
            await keep_run(uow, project)
        assert str(refused.value.params["run_id"]) == str(first.id)

    async def test_a_run_that_is_claimed_is_in_progress_too(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        project = await keep_project(uow)
        await take(claims, await keep_run(uow, project))
        with pytest.raises(RunInProgress):
            await keep_run(uow, project)

    async def test_of_many_runs_at_once_one_project_gets_one(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)

        async def start() -> bool:
            try:
                await keep_run(uow, project)
            except RunInProgress:
                return False
            return True

        assert sum(await all_at_once(10, start)) == 1

    @pytest.mark.parametrize("status", ENDS)
    async def test_after_a_run_has_ended_the_next_may_begin(
        self, uow: UnitOfWork, status: RunStatus
    ) -> None:
        project = await keep_project(uow)
        await end(uow, await keep_run(uow, project), status)
        following = await keep_run(uow, project)
        assert await reread(uow, following) == following

    async def test_two_projects_run_side_by_side(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        runs = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(2)]
        assert [(await reread(uow, run)).live for run in runs] == [True, True]

    @pytest.mark.parametrize("status", sorted(LIVE))
    async def test_the_live_run_of_a_project_is_found(
        self, uow: UnitOfWork, claims: RunClaims, status: RunStatus
    ) -> None:
        project = await keep_project(uow)
        await end(uow, await keep_run(uow, project))
        run = await keep_run(uow, project)
        if status is RunStatus.RUNNING:
            await take(claims, run)
        async with uow.begin(project.user_id) as tx:
            live = await tx.runs.live(project.id)
        assert live is not None
        assert (live.id, live.status) == (run.id, status)

    async def test_a_project_whose_runs_have_ended_has_no_live_one(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        await end(uow, await keep_run(uow, project))
        async with uow.begin(project.user_id) as tx:
            assert await tx.runs.live(project.id) is None

    @pytest.mark.parametrize("limit", [1, 2, 5])
    async def test_pages_of_runs_are_newest_first_and_complete(
        self, uow: UnitOfWork, limit: int
    ) -> None:
        project = await keep_project(uow)
        made = []
        for _ in range(5):
            run = await keep_run(uow, project)
            await end(uow, run)
            made.append(run.id)
        seen: list[UUID] = []
        async with uow.begin(project.user_id) as tx:
            for _ in made:
                page = Page(limit=limit, after=seen[-1] if seen else None)
                seen.extend(ids(await tx.runs.of_project(project.id, page)))
        assert seen == made[::-1]

    async def test_a_projects_runs_are_not_its_neighbours(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        project, neighbour = [await keep_project(uow, owner) for _ in range(2)]
        await keep_run(uow, neighbour)
        async with uow.begin(owner.id) as tx:
            assert list(await tx.runs.of_project(project.id, Page(limit=5))) == []

    # The lock of a commit

    async def test_the_holder_of_the_claim_gets_the_lock(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            assert await tx.runs.lock(claim.run.id, claim.fence) == claim.run

    @pytest.mark.parametrize("off_by", [-1, 1])
    async def test_another_fence_does_not_lock(
        self, uow: UnitOfWork, claims: RunClaims, off_by: int
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        with pytest.raises(LeaseLost):
            async with uow.begin(claim.run.user_id) as tx:
                await tx.runs.lock(claim.run.id, claim.fence + off_by)

    async def test_a_run_nobody_has_claimed_cannot_be_locked(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        with pytest.raises(LeaseLost):
            async with uow.begin(run.user_id) as tx:
                await tx.runs.lock(run.id, 0)

    @pytest.mark.parametrize("status", ENDS)
    async def test_a_run_that_has_ended_cannot_be_locked(
        self, uow: UnitOfWork, claims: RunClaims, status: RunStatus
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await end(uow, claim.run, status)
        with pytest.raises(LeaseLost):
            async with uow.begin(claim.run.user_id) as tx:
                await tx.runs.lock(claim.run.id, claim.fence)

    async def test_a_run_that_was_deleted_cannot_be_locked(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            await tx.projects.delete(claim.run.project_id)
        with pytest.raises(LeaseLost):
            async with uow.begin(claim.run.user_id) as tx:
                await tx.runs.lock(claim.run.id, claim.fence)

    async def test_commits_under_the_lock_come_one_after_another(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))

        async def count_one_up() -> None:
            async with uow.begin(claim.run.user_id) as tx:
                run = await tx.runs.lock(claim.run.id, claim.fence)
                await tx.runs.set_progress(run.id, run.progress + 1)

        await all_at_once(15, count_one_up)
        assert (await reread(uow, claim.run)).progress == 15

    # Progress and end

    async def test_progress_is_kept(self, uow: UnitOfWork, claims: RunClaims) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            await tx.runs.set_progress(claim.run.id, 63)
        assert (await reread(uow, claim.run)).progress == 63

    async def test_progress_forgets_the_claims_before_it(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            await tx.runs.set_progress(claim.run.id, 9)
        assert (await reread(uow, claim.run)).attempts == 0

    async def test_progress_keeps_the_claim(self, uow: UnitOfWork, claims: RunClaims) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            await tx.runs.set_progress(claim.run.id, 9)
        async with uow.begin(claim.run.user_id) as tx:
            assert (await tx.runs.lock(claim.run.id, claim.fence)).fence == claim.fence

    @pytest.mark.parametrize("status", ENDS)
    async def test_an_end_is_kept_with_its_reason_and_moment(
        self, uow: UnitOfWork, claims: RunClaims, status: RunStatus
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await end(uow, claim.run, status)
        ended = await reread(uow, claim.run)
        assert ended == replace(
            claim.run,
            status=status,
            error_code="model_refused",
            error="It declined.",
            finished_at=ended.finished_at,
        )
        assert ended.finished_at is not None
        assert claim.run.started_at is not None
        assert timedelta() <= ended.finished_at - claim.run.started_at < timedelta(minutes=5)

    async def test_a_run_nobody_has_claimed_can_be_ended(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        await end(uow, run, RunStatus.CANCELLED)
        assert (await reread(uow, run)).status is RunStatus.CANCELLED

    @pytest.mark.parametrize("first", ENDS)
    @pytest.mark.parametrize("second", ENDS)
    async def test_an_end_absorbs_every_other(
        self, uow: UnitOfWork, first: RunStatus, second: RunStatus
    ) -> None:
        run = await keep_run(uow)
        await end(uow, run, first)
        with pytest.raises(LeaseLost):
            await end(uow, run, second)
        assert (await reread(uow, run)).status is first

    async def test_of_many_ends_at_once_one_counts(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)

        async def try_to_end() -> bool:
            try:
                await end(uow, run)
            except LeaseLost:
                return False
            return True

        assert sum(await all_at_once(10, try_to_end)) == 1

    # The wish to cancel

    async def test_a_wish_to_cancel_is_kept_and_the_run_stays_live(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            asked = await tx.runs.request_cancel(claim.run.id)
        assert asked == replace(claim.run, cancel_requested=True)
        assert await reread(uow, claim.run) == asked

    async def test_a_wish_to_cancel_leaves_a_queued_run_for_a_worker_to_end(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            await tx.runs.request_cancel(run.id)
        assert (await take(claims, run)).run.cancel_requested

    async def test_a_wish_to_cancel_asked_again_changes_nothing(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            once = await tx.runs.request_cancel(run.id)
        async with uow.begin(run.user_id) as tx:
            assert await tx.runs.request_cancel(run.id) == once

    @pytest.mark.parametrize("status", ENDS)
    async def test_a_run_that_has_ended_cannot_be_cancelled(
        self, uow: UnitOfWork, status: RunStatus
    ) -> None:
        run = await keep_run(uow)
        await end(uow, run, status)
        with pytest.raises(RunNotLive):
            async with uow.begin(run.user_id) as tx:
                await tx.runs.request_cancel(run.id)

    async def test_an_unknown_run_cannot_be_cancelled(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        with pytest.raises(NotFound):
            async with uow.begin(owner.id) as tx:
                await tx.runs.request_cancel(RunId(new_id()))

    # The event log

    async def test_entries_are_numbered_from_one_without_gap(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        assert await append(uow, run, 3) + await append(uow, run, 2) == [1, 2, 3, 4, 5]

    async def test_the_run_knows_its_last_number(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        await append(uow, run, 3)
        assert (await reread(uow, run)).event_seq == 3

    async def test_entries_appended_at_once_leave_no_gap(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))

        async def append_under_lock() -> int:
            async with uow.begin(claim.run.user_id) as tx:
                await tx.runs.lock(claim.run.id, claim.fence)
                appended = await tx.runs.append_event(claim.run.id, EventType.STEP_FINISHED, {})
                return appended.seq

        numbers = await all_at_once(25, append_under_lock)
        assert sorted(numbers) == list(range(1, 26))

    async def test_entries_of_a_block_that_raised_leave_no_gap(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        with pytest.raises(ZeroDivisionError):
            async with uow.begin(run.user_id) as tx:
                await tx.runs.append_event(run.id, EventType.STEP_STARTED, {})
                raise ZeroDivisionError
        assert await append(uow, run) == [1]

    async def test_an_entry_comes_back_as_appended(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        data = {"step": "idea", "title": "आशा", "progress": 9, "usage": {"input": [1, 2.5, None]}}
        async with uow.begin(run.user_id) as tx:
            appended = await tx.runs.append_event(run.id, EventType.STEP_FINISHED, data)
        async with uow.begin(run.user_id) as tx:
            [event] = await tx.runs.events(run.id, 0, 10)
        assert (event.run_id, event.seq, event.type) == (run.id, 1, EventType.STEP_FINISHED)
        assert event.data == data
        assert event == appended
        assert event.at.utcoffset() == timedelta()

    @pytest.mark.parametrize(
        ("after", "limit", "numbers"),
        [(0, 10, [1, 2, 3, 4, 5]), (3, 10, [4, 5]), (1, 2, [2, 3]), (5, 10, []), (99, 10, [])],
    )
    async def test_a_log_is_read_in_order_from_after_a_number(
        self, uow: UnitOfWork, after: int, limit: int, numbers: list[int]
    ) -> None:
        run = await keep_run(uow)
        await append(uow, run, 5)
        async with uow.begin(run.user_id) as tx:
            found = await tx.runs.events(run.id, after, limit)
        assert [event.seq for event in found] == numbers

    async def test_every_run_has_a_log_of_its_own(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        one, two = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(2)]
        await append(uow, one, 3)
        assert await append(uow, two) == [1]

    # Strangers

    async def test_a_stranger_cannot_ask_for_a_runs_end(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        with pytest.raises(NotFound):
            async with uow.begin(stranger.id) as tx:
                await tx.runs.request_cancel(run.id)
        assert await reread(uow, run) == run

    async def test_a_stranger_who_knows_the_fence_cannot_lock(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        stranger = await keep_user(uow)
        with pytest.raises(LeaseLost):
            async with uow.begin(stranger.id) as tx:
                await tx.runs.lock(claim.run.id, claim.fence)

    async def test_a_stranger_cannot_end_a_run(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        await intrude(uow, stranger.id, lambda tx: tx.runs.finish(run.id, RunStatus.CANCELLED))
        assert await reread(uow, run) == run

    async def test_a_stranger_cannot_set_a_runs_progress(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        await intrude(uow, stranger.id, lambda tx: tx.runs.set_progress(run.id, 77))
        assert await reread(uow, run) == run

    async def test_a_stranger_cannot_keep_a_project_busy_with_a_run_of_theirs(
        self, uow: UnitOfWork
    ) -> None:
        project = await keep_project(uow)
        stranger = await keep_user(uow)
        squatter = make_run(make_project(stranger.id), project_id=project.id)
        await intrude(uow, stranger.id, lambda tx: tx.runs.add(squatter))
        run = await keep_run(uow, project)
        assert await reread(uow, run) == run
