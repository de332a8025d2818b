"""What comes late, or stops half-way, leaves nothing open behind."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from application.ports.language_model import FailureKind
from application.ports.model_calls import CUT_OFF, BorneBy, CallState
from application.runs import run_graph
from domain.agents.pipelines import Step
from domain.billing.ledger import AccountKind
from domain.projects.agent_task import AgentTask, AgentTaskStatus
from domain.projects.run import MAX_CLAIMS, MAX_STALLS, Run, RunStatus
from domain.shared.events import EventType
from tests.fakes.language_model import answer, fail
from tests.unit.agents import samples
from tests.unit.runs.simulation import Fault, Faults, connected
from tests.unit.runs.world import GRANT, RATE, World, files_of, model, open_world


async def test_a_run_whose_worker_died_after_a_step_failed_only_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await open_world(language_model=model(idea=fail(FailureKind.REFUSED)))
    run = await world.accepted()
    process, connection = connected(world, Faults())
    conclude = run_graph.RunGraph._fail

    async def and_die(
        graph: run_graph.RunGraph, step: Step, task: AgentTask, code: str, message: str
    ) -> AgentTask:
        failed = await conclude(graph, step, task, code, message)
        connection.cut = True
        return failed

    monkeypatch.setattr(run_graph.RunGraph, "_fail", and_die)
    await process.worker()(run.id)
    assert (await world.run(run.id)).live
    world.clock.move(timedelta(seconds=31))
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.FAILED
    ends = [e for e in await world.events(run.id) if e.type is EventType.STEP_FINISHED]
    assert len(ends) == 1
    assert (await world.balance()).available == GRANT


async def test_a_worker_that_lost_its_lease_holds_no_more_credits() -> None:
    gate = asyncio.Event()
    plays = [answer("no json", gate=gate), fail(FailureKind.REFUSED)]
    world = await open_world(language_model=model(idea=plays))
    run = await world.accepted()
    zombie = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    world.clock.move(timedelta(seconds=31))
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.FAILED
    # Its answer cannot be read, so it would ask again.
    gate.set()
    await zombie
    assert len(world.model.asked("idea")) == 2
    balance = await world.balance()
    assert (balance.available, balance.reserved) == (GRANT, 0)


async def test_a_worker_that_lost_its_lease_gives_up_no_call_of_the_next() -> None:
    plan, files = asyncio.Event(), asyncio.Event()
    world = await open_world(
        language_model=model(
            code_plan=[answer(samples.plan(), gate=plan), answer(samples.plan())],
            code_files=lambda request: answer(files_of(request.inputs["files"]), gate=files),
        )
    )
    run = await world.accepted()
    zombie = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while not world.model.asked("code.plan"):
        await asyncio.sleep(0)
    world.clock.move(timedelta(seconds=31))
    heir = asyncio.create_task(world.worker()(run.id))
    while not world.model.asked("code.files"):
        await asyncio.sleep(0)
    # With its plan, it has the question that the other is asking.
    plan.set()
    await zombie
    files.set()
    await heir
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("code.files")) == 1
    async with world.uow.begin(world.user_id) as tx:
        calls = await tx.calls.of_step(run.id, "code")
    late, *good = [(call.state, call.borne_by) for call in calls]
    assert late == (CallState.REPLIED, BorneBy.HOUSE)
    assert good == [(CallState.REPLIED, BorneBy.USER)] * 2


async def test_an_answer_after_the_account_is_the_houses() -> None:
    gate = asyncio.Event()
    world = await open_world(language_model=model(idea=answer(samples.brief(), gate=gate)))
    run = await world.accepted()
    zombie = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    await world.cancel(world.user_id, run.id)
    world.clock.move(timedelta(seconds=31))
    await world.worker()(run.id)
    gate.set()
    await zombie
    async with world.uow.begin(world.user_id) as tx:
        (call,) = await tx.calls.of_step(run.id, "idea")
    assert (call.state, call.borne_by) == (CallState.REPLIED, BorneBy.HOUSE)
    assert (await world.balance()).available == GRANT
    assert world.database.tables.house == {
        AccountKind.HOUSE_CRASH: -RATE.credits_for(call.cost_nano_usd),
        AccountKind.REVENUE: RATE.credits_for(call.cost_nano_usd),
        AccountKind.GRANTS: -GRANT,
    }


async def test_what_a_zombies_call_had_come_to_is_booked_when_it_is_cut_off_after_the_account() -> (
    None
):
    plays = [answer(samples.brief(), gate=asyncio.Event()), answer(samples.brief())]
    world = await open_world(language_model=model(idea=plays))
    run = await world.accepted()
    zombie = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.clock.move(timedelta(seconds=31))
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert AccountKind.HOUSE_CRASH not in world.database.tables.house
    zombie.cancel()
    await asyncio.wait({zombie})
    async with world.uow.begin(world.user_id) as tx:
        cut, _ = await tx.calls.of_step(run.id, "idea")
    assert (cut.state, cut.failure, cut.borne_by) == (CallState.FAILED, CUT_OFF, BorneBy.HOUSE)
    borne = -world.database.tables.house[AccountKind.HOUSE_CRASH]
    assert borne == RATE.credits_for(cut.cost_nano_usd) > 0


async def test_what_comes_late_and_before_the_account_is_booked_once() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    plays = [answer(samples.brief(), gate=first), answer(samples.brief(), gate=second)]
    world = await open_world(language_model=model(idea=plays))
    run = await world.accepted()
    zombie = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    world.clock.move(timedelta(seconds=31))
    heir = asyncio.create_task(world.worker()(run.id))
    while world.model.in_flight == 1:
        await asyncio.sleep(0)
    first.set()
    await zombie
    assert AccountKind.HOUSE_CRASH not in world.database.tables.house
    second.set()
    await heir
    async with world.uow.begin(world.user_id) as tx:
        late, _ = await tx.calls.of_step(run.id, "idea")
    borne = -world.database.tables.house[AccountKind.HOUSE_CRASH]
    assert borne == RATE.credits_for(late.cost_nano_usd) > 0


async def test_cancelling_a_run_parked_before_any_call_closes_its_step() -> None:
    world = await open_world(language_model=model(srs=fail(FailureKind.REFUSED)))
    project = await world.project()
    await world.worker()((await world.execute(project)).id)
    run = await world.execute(project)
    world.store.fail_next(1)
    await world.worker()(run.id)
    assert (await world.tasks(run.id))["srs"].status is AgentTaskStatus.RUNNING
    await world.cancel(world.user_id, run.id)
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.CANCELLED
    assert (await world.tasks(run.id))["srs"].status is AgentTaskStatus.CANCELLED


async def stalled(world: World, run: Run) -> None:
    """A worker that stands still past its lease while a model answers, and sees it."""
    worker = asyncio.create_task(world.worker(lease=0.02, heartbeat=0.05)(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    world.clock.move(timedelta(seconds=1))
    heir = await world.claims.claim(run.id, 1)
    assert heir is not None
    await worker
    world.clock.move(timedelta(seconds=2))


async def test_a_lease_that_is_over_and_nobodys_is_taken_up_again() -> None:
    gate = asyncio.Event()
    world = await open_world(language_model=model(idea=answer(samples.brief(), gate=gate)))
    run = await world.accepted()
    # It comes to its first beat only after its lease.
    worker = asyncio.create_task(world.worker(lease=0.02, heartbeat=0.05)(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    world.clock.move(timedelta(seconds=1))
    asyncio.get_running_loop().call_later(0.2, gate.set)
    await worker
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("idea")) == 1
    resumed = [e for e in await world.events(run.id) if e.type is EventType.RUN_RESUMED]
    assert not resumed


async def test_a_process_does_not_take_a_run_from_itself() -> None:
    gate = asyncio.Event()
    world = await open_world(language_model=model(idea=answer(samples.brief(), gate=gate)))
    run = await world.accepted()
    execute = world.worker(heartbeat=1000)
    worker = asyncio.create_task(execute(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    world.clock.move(timedelta(seconds=31))
    await execute(run.id)
    assert not worker.done()
    gate.set()
    await worker
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("idea")) == 1
    # It forgets the run with its claim.
    again = await world.accepted()
    await execute(again.id)
    assert (await world.run(again.id)).status is RunStatus.SUCCEEDED


async def test_leases_lost_to_workers_that_live_are_no_attempts_and_those_of_dead_ones_are() -> (
    None
):
    never = asyncio.Event()
    world = await open_world(language_model=model(idea=answer(samples.brief(), gate=never)))
    run = await world.accepted()
    for times in range(1, MAX_CLAIMS):
        await stalled(world, run)
        # The heir of each is never heard of again.
        assert (await world.run(run.id)).attempts == times
    assert (await world.run(run.id)).live


async def test_a_run_that_its_workers_always_stand_still_over_comes_to_an_end() -> None:
    world = await open_world()
    run = await world.accepted()
    for _ in range(MAX_STALLS + MAX_CLAIMS):
        claim = await world.claims.claim(run.id, 1)
        assert claim is not None
        await world.claims.outlived(run.id, claim.fence)
        world.clock.move(timedelta(seconds=2))
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.DEAD


async def test_a_worker_whose_database_went_away_takes_its_attempt_back_if_it_can() -> None:
    world = await open_world()
    run = await world.accepted()
    faults = Faults([Fault.BEGIN])
    process, _ = connected(world, faults)
    process = replace(process, claims=world.claims)
    await process.worker()(run.id)
    assert not faults.coming
    kept = await world.run(run.id)
    assert (kept.status, kept.attempts) == (RunStatus.RUNNING, 0)
