"""An outage or a full rate parks runs; it burns neither their attempts nor their tries."""

import asyncio
from datetime import timedelta

import pytest

from application.operations.probes import ModelProbe
from application.ports.health import ProbeFailed
from application.ports.language_model import FailureKind, ModelCallFailed, ModelRequest
from application.ports.model_calls import OUTAGE
from application.ports.provider_gate import CircuitState
from application.runs.circuit_policy import (
    COUNTED,
    PROVIDER_CIRCUIT,
    RUN_FAILURES,
    RUN_OPEN_SECONDS,
    Pace,
    not_before,
)
from application.runs.retry_policy import RULES, next_delay
from domain.projects.run import RunStatus
from tests.fakes.language_model import Answer, answer, fail
from tests.unit.agents import samples
from tests.unit.runs.world import World, files_of, model, open_world


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries of a failed call wait no time."""
    monkeypatch.setattr(
        "application.runs.model_calls.next_delay",
        lambda failure, before: next_delay(failure, before, lambda low, _: low),
    )


async def outage(world: World) -> None:
    """Let runs find the provider away until its circuit opens."""
    for _ in range(PROVIDER_CIRCUIT.failures):
        run = await world.accepted()
        await world.worker()(run.id)
        if (await world.gate.circuit()).state is CircuitState.OPEN:
            return
    raise AssertionError("the circuit did not open")


def away(kind: FailureKind = FailureKind.OVERLOADED) -> ModelCallFailed:
    return fail(kind, retry_after=10)


@pytest.mark.parametrize("kind", sorted(COUNTED))
async def test_while_the_circuit_is_open_no_call_is_made(kind: FailureKind) -> None:
    world = await open_world(language_model=model(idea=away(kind)))
    await outage(world)
    calls = len(world.model.calls)
    run = await world.accepted()
    await world.worker()(run.id)
    parked = await world.run(run.id)
    assert len(world.model.calls) == calls
    assert (parked.status, parked.attempts) == (RunStatus.QUEUED, 0)
    assert not (await world.balance()).available < 0


async def test_a_long_outage_uses_no_try_up_and_the_run_goes_on_after_it() -> None:
    world = await open_world(language_model=model(idea=fail(FailureKind.TRANSIENT)))
    run = await world.accepted()
    for _ in range(4 * RULES[FailureKind.TRANSIENT].tries):
        await world.worker()(run.id)
        world.clock.move(timedelta(seconds=2 * PROVIDER_CIRCUIT.cap_seconds))
    waiting = await world.run(run.id)
    assert (waiting.status, waiting.attempts) == (RunStatus.QUEUED, 0)
    world.model.on("idea", answer(samples.brief()))
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    async with world.uow.begin(world.user_id) as tx:
        calls = await tx.calls.of_step(run.id, "idea")
    own = [call for call in calls if call.failure and not call.failure.startswith(OUTAGE)]
    assert len(own) < RULES[FailureKind.TRANSIENT].tries


async def test_one_probe_decides_for_all() -> None:
    world = await open_world(language_model=model(idea=away()))
    await outage(world)
    calls = len(world.model.calls)
    gate = asyncio.Event()
    world.model.on("idea", answer(samples.brief(), gate=gate))
    runs = [await world.accepted() for _ in range(3)]
    world.clock.move(timedelta(seconds=PROVIDER_CIRCUIT.cap_seconds))
    working = [asyncio.create_task(world.worker()(run.id)) for run in runs]
    await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
    while sum(not task.done() for task in working) > 1:
        await asyncio.sleep(0)
    assert len(world.model.calls) == calls + 1
    gate.set()
    await asyncio.gather(*working)
    assert (await world.gate.circuit()).state is CircuitState.CLOSED


async def test_a_run_that_keeps_failing_leaves_its_place_before_its_tries_end() -> None:
    world = await open_world(language_model=model(idea=fail(FailureKind.TRANSIENT)))
    run = await world.accepted()
    await world.worker()(run.id)
    assert len(world.model.calls) == RUN_FAILURES
    assert (await world.run(run.id)).status is RunStatus.QUEUED
    world.clock.move(timedelta(seconds=RUN_OPEN_SECONDS - 1))
    await world.worker()(run.id)
    assert len(world.model.calls) == RUN_FAILURES


async def test_a_question_the_provider_always_breaks_at_ends_while_others_are_answered() -> None:
    world = await open_world(language_model=model(srs=fail(FailureKind.TRANSIENT)))
    run = await world.accepted()
    for _ in range(5):
        await world.worker()(run.id)
        await world.gate.answered(0)
        world.clock.move(timedelta(seconds=60))
    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, "model_transient")


async def test_a_rejected_request_says_nothing_about_the_provider() -> None:
    world = await open_world(language_model=model(idea=fail(FailureKind.PERMANENT)))
    for _ in range(2 * PROVIDER_CIRCUIT.failures):
        await world.worker()((await world.accepted()).id)
    assert (await world.gate.circuit()).state is CircuitState.CLOSED


async def test_a_run_over_the_rate_is_parked_before_it_has_asked() -> None:
    world = await open_world(pace=Pace(requests_per_minute=1))
    run = await world.accepted()
    await world.worker()(run.id)
    parked = await world.run(run.id)
    assert len(world.model.calls) == 1
    assert (parked.status, parked.attempts) == (RunStatus.QUEUED, 0)
    for _ in range(12):
        world.clock.move(timedelta(seconds=80))
        await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED


async def test_the_health_check_tells_the_circuit() -> None:
    world = await open_world(language_model=model(idea=away()))
    probe = ModelProbe(world.model, world.clock, world.gate)
    assert await probe.check() == "Scripted, circuit closed"
    await outage(world)
    with pytest.raises(ProbeFailed, match=r"circuit open: next probe in \d+ s"):
        await probe.check()


def test_a_wait_is_never_shorter_than_it_must_be() -> None:
    assert [not_before(8, lambda low, _: low), not_before(8, lambda _, high: high)] == [8, 10]


async def test_a_parked_run_leaves_no_call_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.runs.write_codebase.BATCH_FILES", 1)
    gate = asyncio.Event()
    plays = iter([fail(FailureKind.RATE_LIMITED, retry_after=90)])

    def files(request: ModelRequest) -> Answer | ModelCallFailed:
        return next(plays, None) or answer(files_of(request.inputs["files"]), gate=gate)

    world = await open_world(language_model=model(code_files=files))
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    while len(world.model.asked("code.files")) < 2:
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not working.done()
    gate.set()
    await working
    assert world.model.in_flight == 0
    assert (await world.run(run.id)).status is RunStatus.QUEUED
