"""What every ``AgentTaskRepository`` keeps."""

from dataclasses import replace

import pytest

from application.ports.persistence import UnitOfWork
from domain.agents.findings import error, warning
from domain.billing.usage import NO_USAGE, TokenUsage
from domain.projects.agent_task import AgentTask, AgentTaskStatus
from domain.projects.run import Run, RunStatus
from tests.contracts.samples import (
    ids,
    intrude,
    keep_project,
    keep_run,
    keep_user,
    make_task,
)


async def put(uow: UnitOfWork, *tasks: AgentTask) -> None:
    """Keep tasks of one person."""
    async with uow.begin(tasks[0].user_id) as tx:
        for task in tasks:
            await tx.tasks.put(task)


async def of_run(uow: UnitOfWork, run: Run) -> list[AgentTask]:
    """The run's tasks."""
    async with uow.begin(run.user_id) as tx:
        return list(await tx.tasks.of_run(run.id))


async def checkpoint(uow: UnitOfWork, run: Run, input_hash: str) -> AgentTask | None:
    """The checkpoint of the run's project on these inputs."""
    async with uow.begin(run.user_id) as tx:
        return await tx.tasks.checkpoint(run.project_id, input_hash)


class AgentTasksContract:
    async def test_a_task_comes_back_as_put(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        task = make_task(
            run,
            attempt=3,
            findings=(
                error("vague", "FR-1", "Say how fast."),
                warning("thin", "FR-2", "Two “checks” would do; एक नहीं."),
            ),
            usage=TokenUsage(input=1, output=2, cache_write=3, cache_read=4),
            cost_nano_usd=9_000_000_000_000,
            error_code="model_refused",
            error="It declined.",
            summary="14 files",
        )
        await put(uow, task)
        assert await of_run(uow, run) == [task]

    async def test_a_task_not_begun_comes_back_as_put(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        task = make_task(
            run,
            status=AgentTaskStatus.PENDING,
            output=None,
            usage=NO_USAGE,
            started_at=None,
            finished_at=None,
        )
        await put(uow, task)
        assert await of_run(uow, run) == [task]

    async def test_a_task_put_again_stands_in_place_of_the_first(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        begun = make_task(run, status=AgentTaskStatus.RUNNING, output=None, finished_at=None)
        done = make_task(run, id=begun.id, started_at=begun.started_at)
        await put(uow, begun)
        await put(uow, done)
        assert await of_run(uow, run) == [done]

    async def test_a_step_begun_anew_keeps_the_id_of_its_task(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        first = make_task(run, status=AgentTaskStatus.FAILED)
        again = make_task(run, attempt=2)
        await put(uow, first)
        await put(uow, again)
        assert await of_run(uow, run) == [replace(again, id=first.id)]

    async def test_tasks_come_in_the_order_they_were_begun(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        tasks = [make_task(run, step=step) for step in ("verify", "idea", "srs")]
        await put(uow, *tasks)
        assert await of_run(uow, run) == tasks

    async def test_a_change_does_not_move_a_task_in_the_order(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        tasks = [make_task(run, step=step) for step in ("idea", "srs", "prd")]
        await put(uow, *tasks)
        await put(uow, replace(tasks[0], attempt=2))
        assert ids(await of_run(uow, run)) == ids(tasks)

    async def test_two_runs_have_a_task_each_for_the_same_step(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        one, two = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(2)]
        first, second = make_task(one), make_task(two)
        await put(uow, first, second)
        assert (await of_run(uow, one), await of_run(uow, two)) == ([first], [second])

    async def test_a_checkpoint_is_a_task_that_succeeded_on_the_same_inputs(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        task = make_task(run)
        await put(uow, task)
        assert await checkpoint(uow, run, task.input_hash) == task

    async def test_a_checkpoint_of_an_earlier_run_serves_a_later_one(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        earlier = await keep_run(uow, project, status=RunStatus.FAILED)
        task = make_task(earlier)
        await put(uow, task)
        later = await keep_run(uow, project)
        assert await checkpoint(uow, later, task.input_hash) == task

    async def test_other_inputs_have_no_checkpoint(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        await put(uow, make_task(run))
        assert await checkpoint(uow, run, "0" * 64) is None

    @pytest.mark.parametrize("status", sorted(set(AgentTaskStatus) - {AgentTaskStatus.SUCCEEDED}))
    async def test_a_task_that_did_not_itself_succeed_is_no_checkpoint(
        self, uow: UnitOfWork, status: AgentTaskStatus
    ) -> None:
        run = await keep_run(uow)
        task = make_task(run, status=status)
        await put(uow, task)
        assert await checkpoint(uow, run, task.input_hash) is None

    async def test_of_two_checkpoints_the_newer_counts(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        older, newer = [
            make_task(await keep_run(uow, project, status=RunStatus.SUCCEEDED), input_hash="d")
            for _ in range(2)
        ]
        await put(uow, newer, older)
        run = await keep_run(uow, project)
        assert await checkpoint(uow, run, "d") == newer

    async def test_a_checkpoint_stays_in_its_project(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        one, two = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(2)]
        task = make_task(one)
        await put(uow, task)
        assert await checkpoint(uow, two, task.input_hash) is None

    async def test_a_checkpoint_is_not_a_strangers(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        task = make_task(run)
        await put(uow, task)
        assert await checkpoint(uow, replace(run, user_id=stranger.id), task.input_hash) is None

    async def test_a_stranger_cannot_change_a_task(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        task = make_task(run)
        await put(uow, task)
        stolen = replace(task, user_id=stranger.id, credits=0)
        await intrude(uow, stranger.id, lambda tx: tx.tasks.put(stolen))
        assert await of_run(uow, run) == [task]

    async def test_a_stranger_cannot_take_the_place_of_a_task(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        squatter = make_task(run, user_id=stranger.id)
        await intrude(uow, stranger.id, lambda tx: tx.tasks.put(squatter))
        task = make_task(run)
        await put(uow, task)
        assert await of_run(uow, run) == [task]
