"""Who pays for a call that is cut off, and what stays when a run is cancelled."""

import asyncio
from dataclasses import replace

import pytest

from application.ports.language_model import StopReason
from application.ports.model_calls import CUT_OFF, BorneBy, CallState, ModelCall
from application.projects.read_documents import DownloadDocument
from application.runs.cancellation import stop
from domain.projects.agent_task import AgentTaskStatus
from domain.projects.run import Run, RunStatus
from tests.fakes.language_model import PRICE, USAGE, answer
from tests.unit.agents import samples
from tests.unit.runs.simulation import SimulatedLoop
from tests.unit.runs.world import GRANT, RATE, World, model, open_world

STREAMED = replace(USAGE, output=500)
"""What a held call of the script has come to: its prompt, and its last progress."""

CUT_COST = PRICE.cost(STREAMED)


async def streaming(world: World, step: str) -> None:
    """Wait until the step's call has streamed what it will."""
    async with asyncio.timeout(5):
        while not world.model.asked(step) or world.model.in_flight == 0:
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)


async def calls_of(world: World, run: Run, step: str) -> list[ModelCall]:
    async with world.uow.begin(world.user_id) as tx:
        return list(await tx.calls.of_step(run.id, step))


async def held_at_idea() -> tuple[World, Run]:
    """A world with a run whose first call hangs after it has streamed."""
    world = await open_world(
        language_model=model(idea=answer(samples.brief(), gate=asyncio.Event()))
    )
    return world, await world.accepted()


async def test_the_person_pays_for_what_a_call_they_cancelled_has_used() -> None:
    world, run = await held_at_idea()
    working = asyncio.create_task(world.worker()(run.id))
    await streaming(world, "idea")
    await world.cancel(world.user_id, run.id)
    await asyncio.wait_for(working, 5)
    [call] = await calls_of(world, run, "idea")
    assert (call.state, call.failure, call.estimated) == (CallState.FAILED, CUT_OFF, True)
    assert (call.borne_by, call.usage, call.model) == (BorneBy.USER, STREAMED, PRICE.model)
    task = (await world.tasks(run.id))["idea"]
    assert (task.status, task.cost_nano_usd) == (AgentTaskStatus.CANCELLED, CUT_COST)
    balance = await world.balance()
    assert (balance.available, balance.reserved) == (GRANT - RATE.credits_for(CUT_COST), 0)


async def test_a_call_cut_before_it_said_anything_costs_nothing() -> None:
    world = await open_world(language_model=model(idea=answer(samples.brief(), delay=1_000)))
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    await streaming(world, "idea")
    await world.cancel(world.user_id, run.id)
    await asyncio.wait_for(working, 5)
    [call] = await calls_of(world, run, "idea")
    assert (call.failure, call.cost_nano_usd) == (CUT_OFF, 0)
    assert (await world.balance()).available == GRANT


async def test_whole_replies_of_a_cancelled_step_are_paid_beside_the_cut_one() -> None:
    text = '{"half":'
    never = asyncio.Event()
    parts = [answer(text, stop=StopReason.TRUNCATED), answer("", gate=never)]
    world = await open_world(language_model=model(idea=parts))
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    while len(world.model.asked("idea")) < 2:
        await asyncio.sleep(0)
    await streaming(world, "idea")
    await world.cancel(world.user_id, run.id)
    await asyncio.wait_for(working, 5)
    task = (await world.tasks(run.id))["idea"]
    assert task.cost_nano_usd == PRICE.cost(USAGE) + CUT_COST


async def test_a_call_cut_by_a_shutdown_is_the_houses_and_no_try() -> None:
    world, run = await held_at_idea()
    working = asyncio.create_task(world.worker()(run.id))
    await streaming(world, "idea")
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    [call] = await calls_of(world, run, "idea")
    assert (call.failure, call.borne_by) == (CUT_OFF, BorneBy.HOUSE)
    assert call.cost_nano_usd == CUT_COST
    world.model.on("idea", answer(samples.brief()))
    await world.worker()(run.id)
    task = (await world.tasks(run.id))["idea"]
    assert (task.cost_nano_usd, task.house_nano_usd) == (PRICE.cost(USAGE), CUT_COST)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED


async def test_a_call_cut_by_a_lost_lease_is_the_houses() -> None:
    world, run = await held_at_idea()
    working = asyncio.create_task(world.worker()(run.id))
    await streaming(world, "idea")
    claim = world.database.tables.runs[run.id]
    world.database.tables.runs[run.id] = replace(
        claim, run=replace(claim.run, fence=claim.run.fence + 1)
    )
    await asyncio.wait_for(working, 5)
    [call] = await calls_of(world, run, "idea")
    assert (call.failure, call.borne_by) == (CUT_OFF, BorneBy.HOUSE)


async def test_repairs_that_are_cut_stay_the_houses() -> None:
    world = await open_world(
        language_model=model(srs=[answer("no json"), answer("", gate=asyncio.Event())])
    )
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    while len(world.model.asked("srs")) < 2:
        await asyncio.sleep(0)
    await streaming(world, "srs")
    await world.cancel(world.user_id, run.id)
    await asyncio.wait_for(working, 5)
    task = (await world.tasks(run.id))["srs"]
    assert (task.cost_nano_usd, task.house_nano_usd) == (PRICE.cost(USAGE), CUT_COST)


def test_a_running_run_ends_within_two_seconds_of_the_wish() -> None:
    async def wished() -> None:
        world, run = await held_at_idea()
        working = asyncio.create_task(world.worker(heartbeat=1.0)(run.id))
        await streaming(world, "idea")
        await world.cancel(world.user_id, run.id)
        await asyncio.wait_for(working, 2)
        assert (await world.run(run.id)).status is RunStatus.CANCELLED

    with asyncio.Runner(loop_factory=SimulatedLoop) as time_is_ours:
        time_is_ours.run(wished())


async def test_what_was_finished_before_the_cancellation_can_be_downloaded() -> None:
    world = await open_world(
        language_model=model(srs=answer(samples.requirements(), gate=asyncio.Event()))
    )
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    await streaming(world, "srs")
    await world.cancel(world.user_id, run.id)
    await asyncio.wait_for(working, 5)
    async with world.uow.begin(world.user_id) as tx:
        documents = await tx.documents.of_step(run.id, "idea")
    assert documents
    download = DownloadDocument(world.uow, world.store, world.clock)
    for document in documents:
        _, chunks = await download(world.user_id, document.id)
        assert sum([len(chunk) async for chunk in chunks]) == document.size


async def test_an_intent_nobody_answered_is_given_up_when_its_run_is_cancelled() -> None:
    world, run = await held_at_idea()
    working = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    await streaming(world, "idea")
    world.database.fail_next(1_000)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    world.database.fail_next(0)
    row = world.database.tables.runs[run.id]
    world.database.tables.runs[run.id] = replace(row, lease_until=None)
    await world.cancel(world.user_id, run.id)
    await world.worker()(run.id)
    [call] = await calls_of(world, run, "idea")
    assert (call.state, call.borne_by) == (CallState.LOST, BorneBy.HOUSE)
    assert (await world.balance()).available == GRANT


async def test_stopping_goes_on_when_it_is_itself_stopped() -> None:
    allowed = asyncio.Event()

    async def reluctant() -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            await allowed.wait()

    task = asyncio.create_task(reluctant())
    await asyncio.sleep(0)
    stopping = asyncio.create_task(stop(task))
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.sleep(0)
    assert not stopping.done()
    allowed.set()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert task.done()
