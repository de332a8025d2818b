"""A run that did not succeed is retried as a new one; operators do it for anybody."""

import asyncio

import pytest

from application.operations.oversee_runs import ExamineRun, OverseeRuns, RetryAnyRun
from application.ports.language_model import FailureKind
from application.ports.paging import Page
from application.projects.retry_run import RetryRun
from domain.projects.agent_task import AgentTaskStatus
from domain.projects.run import Run, RunInProgress, RunStatus, RunSucceeded
from domain.shared.errors import NotFound
from domain.shared.events import EventType
from domain.shared.ids import RunId, UserId
from tests.contracts.samples import ORIGIN, new_id
from tests.fakes.language_model import answer, fail
from tests.fakes.persistence import InMemoryRunOversight
from tests.unit.agents import samples
from tests.unit.runs.world import World, model, open_world


def retry_of(world: World) -> RetryRun:
    return RetryRun(world.uow, world.queue, world.clock, world.ids)


async def failed_at_srs() -> tuple[World, Run]:
    world = await open_world(language_model=model(srs=fail(FailureKind.REFUSED)))
    run = await world.accepted()
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.FAILED
    return world, run


async def test_a_retry_is_a_new_run_that_makes_only_what_is_missing() -> None:
    world, run = await failed_at_srs()
    world.model.on("srs", answer(samples.requirements()))
    again = await retry_of(world)(world.user_id, run.id, origin=ORIGIN)
    assert (again.retry_of, again.status) == (run.id, RunStatus.QUEUED)
    assert world.queue.announced[-1] == again.id
    await world.worker()(again.id)
    assert (await world.run(again.id)).status is RunStatus.SUCCEEDED
    assert (await world.tasks(again.id))["idea"].status is AgentTaskStatus.REUSED
    assert len(world.model.asked("idea")) == 1
    assert (await world.run(run.id)).status is RunStatus.FAILED


async def test_a_cancelled_run_can_be_retried() -> None:
    world = await open_world()
    run = await world.accepted()
    await world.cancel(world.user_id, run.id)
    assert (await retry_of(world)(world.user_id, run.id, origin=ORIGIN)).retry_of == run.id


async def test_a_run_is_not_retried_while_one_is_live() -> None:
    world, run = await failed_at_srs()
    again = await retry_of(world)(world.user_id, run.id, origin=ORIGIN)
    for asked in (run, again):
        with pytest.raises(RunInProgress) as refused:
            await retry_of(world)(world.user_id, asked.id, origin=ORIGIN)
        assert refused.value.params["run_id"] == str(again.id)


async def test_a_run_that_succeeded_is_not_retried() -> None:
    world = await open_world()
    run = await world.accepted()
    await world.worker()(run.id)
    with pytest.raises(RunSucceeded):
        await retry_of(world)(world.user_id, run.id, origin=ORIGIN)


async def test_nobody_retries_anothers_run_by_themselves() -> None:
    world, run = await failed_at_srs()
    with pytest.raises(NotFound):
        await retry_of(world)(UserId(new_id()), run.id, origin=ORIGIN)


async def test_of_two_retries_at_once_one_is_accepted() -> None:
    world, run = await failed_at_srs()
    retry = retry_of(world)
    ends = await asyncio.gather(
        *(retry(world.user_id, run.id, origin=ORIGIN) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(end, Run) for end in ends) == 1
    assert sum(isinstance(end, RunInProgress) for end in ends) == 4


async def test_an_operator_finds_a_run_with_its_evidence_and_retries_it() -> None:
    world, run = await failed_at_srs()
    oversight = InMemoryRunOversight(world.database)
    [found] = await OverseeRuns(oversight)(RunStatus.FAILED, Page(limit=10))
    assert (found.id, found.error_code) == (run.id, "model_refused")
    evidence = await ExamineRun(oversight, world.uow)(run.id)
    assert {task.step for task in evidence.tasks} >= {"idea", "srs"}
    assert evidence.events[-1].type is EventType.RUN_FINISHED
    assert [call.failure for call in evidence.failures] == ["refused: scripted"]
    again = await RetryAnyRun(oversight, retry_of(world))(run.id, origin=ORIGIN)
    assert (again.retry_of, again.user_id) == (run.id, world.user_id)


async def test_an_operator_asking_for_no_run_is_told_so() -> None:
    world = await open_world()
    with pytest.raises(NotFound):
        await ExamineRun(InMemoryRunOversight(world.database), world.uow)(RunId(new_id()))
