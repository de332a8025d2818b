"""What a worker does with a run: from the claim to one of its ends."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from application.ports.language_model import FailureKind, StopReason
from application.ports.model_calls import BorneBy, CallState
from application.projects.create_project import CreateProject, NewProject
from domain.agents.artifacts import FileBatch, Mode, WrittenFile
from domain.agents.pipelines import DEVELOPER, DocumentType
from domain.projects.agent_task import AgentTaskStatus
from domain.projects.project import ProjectStatus
from domain.projects.run import MAX_CLAIMS, RunStatus
from domain.shared.errors import InvalidValue
from domain.shared.events import EventType
from tests.fakes.language_model import PRICE, USAGE, answer, fail
from tests.unit.agents import samples
from tests.unit.runs.world import (
    GRANT,
    RATE,
    World,
    exited,
    model,
    open_world,
    sandbox,
    unittest_run,
)

CALL_COST = PRICE.cost(USAGE)


async def test_a_run_finishes_every_step_and_says_so() -> None:
    world = await open_world()
    run = await world.accepted()
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert (ended.status, ended.progress) == (RunStatus.SUCCEEDED, 100)
    tasks = await world.tasks(run.id)
    assert {name: task.status for name, task in tasks.items()} == {
        step.name: AgentTaskStatus.SUCCEEDED for step in DEVELOPER.steps
    }
    assert tasks["verify"].summary == "Verified: built, started, 2 of 2 tests passed"


async def test_the_log_has_no_gap_and_tells_each_step_once() -> None:
    world = await open_world()
    run = await world.accepted()
    await world.worker()(run.id)
    events = await world.events(run.id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[0].type is EventType.RUN_QUEUED
    assert events[-1].type is EventType.RUN_FINISHED
    for kind in (EventType.STEP_STARTED, EventType.STEP_FINISHED):
        steps = [event.data["step"] for event in events if event.type is kind]
        assert sorted(map(str, steps)) == sorted(step.name for step in DEVELOPER.steps)


async def test_steps_that_do_not_need_each_other_are_worked_on_at_once() -> None:
    gate = asyncio.Event()
    world = await open_world(
        language_model=model(
            srs=answer(samples.requirements(), gate=gate),
            prd=answer(samples.product(), gate=gate),
        )
    )
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    while world.model.in_flight < 2:
        await asyncio.sleep(0)
    gate.set()
    await working
    assert world.model.most_in_flight == 2


async def test_a_step_is_charged_once_for_what_its_calls_cost() -> None:
    world = await open_world()
    run = await world.accepted()
    await world.worker()(run.id)
    tasks = await world.tasks(run.id)
    expected = {"idea": 1, "srs": 1, "prd": 1, "code": 2, "verify": 0}
    for step, calls in expected.items():
        assert tasks[step].cost_nano_usd == calls * CALL_COST
        assert tasks[step].credits == RATE.credits_for(calls * CALL_COST)
    balance = await world.balance()
    assert balance.reserved == 0
    assert balance.available == GRANT - sum(task.credits for task in tasks.values())


async def test_a_run_without_credits_fails_openly_and_holds_nothing() -> None:
    world = await open_world(credits=10)
    run = await world.accepted()
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, "insufficient_credits")
    assert not world.model.calls
    balance = await world.balance()
    assert (balance.available, balance.reserved) == (10, 0)


async def test_a_run_already_claimed_is_left_alone() -> None:
    world = await open_world()
    run = await world.accepted()
    assert await world.claims.claim(run.id, 60) is not None
    await world.worker()(run.id)
    assert not world.model.calls


async def test_a_worker_killed_after_a_step_leaves_it_done_for_the_next() -> None:
    stuck = asyncio.Event()
    world = await open_world(language_model=model(srs=[answer(samples.requirements(), gate=stuck)]))
    run = await world.accepted()
    working = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while len(world.model.asked("srs")) == 0 or "idea" not in await world.tasks(run.id):
        await asyncio.sleep(0)
    await _kill(world, working)
    world.clock.move(timedelta(seconds=31))
    world.model.on("srs", answer(samples.requirements()))
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("idea")) == 1
    balance = await world.balance()
    tasks = await world.tasks(run.id)
    assert balance.reserved == 0
    assert balance.available == GRANT - sum(task.credits for task in tasks.values())


async def test_a_reply_that_arrived_before_the_kill_is_not_bought_again() -> None:
    world = await open_world()
    run = await world.accepted()
    world.store.fail_next(1)
    await world.worker()(run.id)
    # The store was away after the first step's reply: the run was parked, the reply kept.
    assert (await world.run(run.id)).status is RunStatus.QUEUED
    world.clock.move(timedelta(seconds=60))
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("idea")) == 1


async def test_an_intent_without_a_reply_is_the_houses_and_holds_no_more_than_once() -> None:
    stuck = asyncio.Event()
    world = await open_world(language_model=model(idea=[answer(samples.brief(), gate=stuck)]))
    run = await world.accepted()
    working = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    held = (await world.balance()).reserved
    await _kill(world, working)
    world.clock.move(timedelta(seconds=31))
    again = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while len(world.model.asked("idea")) == 1:
        await asyncio.sleep(0)
    assert (await world.balance()).reserved == held
    stuck.set()
    await again
    async with world.uow.begin(world.user_id) as tx:
        calls = await tx.calls.of_step(run.id, "idea")
    assert [(call.state, call.borne_by) for call in calls] == [
        (CallState.LOST, BorneBy.HOUSE),
        (CallState.REPLIED, BorneBy.USER),
    ]


async def test_a_run_that_keeps_losing_its_worker_is_set_aside_as_dead() -> None:
    world = await open_world()
    run = await world.accepted()
    for _ in range(MAX_CLAIMS):
        assert await world.claims.claim(run.id, 1) is not None
        world.clock.move(timedelta(seconds=2))
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.DEAD, "worker_lost")
    assert not world.model.calls


async def test_cancelling_stops_a_call_under_way_and_keeps_what_is_finished() -> None:
    never = asyncio.Event()
    world = await open_world(language_model=model(srs=answer(samples.requirements(), gate=never)))
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    while not world.model.asked("srs"):
        await asyncio.sleep(0)
    await world.cancel(world.user_id, run.id)
    await asyncio.wait_for(working, 5)
    assert world.model.cancelled >= 1
    assert (await world.run(run.id)).status is RunStatus.CANCELLED
    tasks = await world.tasks(run.id)
    assert tasks["idea"].status is AgentTaskStatus.SUCCEEDED
    assert tasks["srs"].status is AgentTaskStatus.CANCELLED
    assert (await world.balance()).reserved == 0


async def test_a_waiting_run_is_cancelled_at_once() -> None:
    world = await open_world()
    run = await world.accepted()
    assert (await world.cancel(world.user_id, run.id)).status is RunStatus.CANCELLED
    await world.worker()(run.id)
    assert not world.model.calls
    async with world.uow.begin(world.user_id) as tx:
        project = await tx.projects.get(run.project_id)
    assert project is not None
    assert project.status is ProjectStatus.CANCELLED


async def test_a_parked_run_is_cancelled_without_waiting_for_its_time() -> None:
    world = await open_world(
        language_model=model(idea=fail(FailureKind.RATE_LIMITED, retry_after=3_600))
    )
    run = await world.accepted()
    await world.worker()(run.id)
    assert (await world.balance()).reserved > 0
    await world.cancel(world.user_id, run.id)
    assert world.queue.announced[-1] == run.id
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.CANCELLED
    assert (await world.balance()).available == GRANT


async def test_a_worker_told_to_shut_down_hands_the_run_back_with_its_attempt() -> None:
    never = asyncio.Event()
    world = await open_world(language_model=model(idea=answer(samples.brief(), gate=never)))
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    handed = await world.run(run.id)
    assert (handed.status, handed.attempts) == (RunStatus.QUEUED, 0)
    assert await world.claims.claim(run.id, 10) is not None


async def test_a_zombie_changes_nothing() -> None:
    gate = asyncio.Event()
    world = await open_world(language_model=model(idea=[answer(samples.brief(), gate=gate)]))
    run = await world.accepted()
    zombie = asyncio.create_task(world.worker(heartbeat=1000)(run.id))
    while world.model.in_flight == 0:
        await asyncio.sleep(0)
    world.clock.move(timedelta(seconds=31))
    world.model.on("idea", answer(samples.brief()))
    await world.worker()(run.id)
    before = await world.events(run.id)
    gate.set()
    await zombie
    assert await world.events(run.id) == before
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED


async def test_a_transient_failure_is_tried_again_at_the_houses_cost() -> None:
    world = await open_world(
        language_model=model(
            idea=[fail(FailureKind.TRANSIENT, usage=USAGE), answer(samples.brief())]
        )
    )
    run = await world.accepted()
    await world.worker()(run.id)
    task = (await world.tasks(run.id))["idea"]
    assert task.status is AgentTaskStatus.SUCCEEDED
    assert (task.cost_nano_usd, task.house_nano_usd) == (CALL_COST, CALL_COST)


async def test_a_long_rate_limit_parks_the_run_and_spends_no_attempt() -> None:
    world = await open_world(
        language_model=model(
            idea=[fail(FailureKind.RATE_LIMITED, retry_after=90), answer(samples.brief())]
        )
    )
    run = await world.accepted()
    await world.worker()(run.id)
    parked = await world.run(run.id)
    assert (parked.status, parked.attempts) == (RunStatus.QUEUED, 0)
    world.clock.move(timedelta(seconds=80))
    await world.worker()(run.id)
    assert len(world.model.calls) == 1
    world.clock.move(timedelta(seconds=11))
    assert await world.dispatcher() == 1
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("kind", [FailureKind.REFUSED, FailureKind.TOO_LONG, FailureKind.PERMANENT])
async def test_a_failure_for_good_ends_the_run_and_charges_nothing(kind: FailureKind) -> None:
    world = await open_world(language_model=model(idea=fail(kind)))
    run = await world.accepted()
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, f"model_{kind.value}")
    assert (await world.balance()).available == GRANT


async def test_a_reply_cut_at_its_limit_is_continued() -> None:
    text = _json(samples.brief())
    parts = [
        answer(text[:50], stop=StopReason.TRUNCATED),
        answer(text[50:90], stop=StopReason.TRUNCATED),
        answer(text[90:]),
    ]
    world = await open_world(language_model=model(idea=parts))
    run = await world.accepted()
    await world.worker()(run.id)
    task = (await world.tasks(run.id))["idea"]
    assert task.status is AgentTaskStatus.SUCCEEDED
    assert task.cost_nano_usd == 3 * CALL_COST
    assert [len(call.so_far) for call in world.model.calls[:3]] == [0, 1, 2]


async def test_an_artifact_with_errors_goes_back_once_on_the_house() -> None:
    good = samples.requirements()
    bad = replace(good, functional=(replace(good.functional[0], statement="It is fast."),))
    world = await open_world(language_model=model(srs=[answer(bad), answer(good)]))
    run = await world.accepted()
    await world.worker()(run.id)
    first, second = world.model.asked("srs")
    assert not first.findings
    assert second.findings
    assert second.previous == _json(bad)
    task = (await world.tasks(run.id))["srs"]
    assert (task.cost_nano_usd, task.house_nano_usd) == (CALL_COST, CALL_COST)


async def test_what_still_has_errors_is_accepted_with_its_findings() -> None:
    good = samples.requirements()
    bad = replace(good, functional=(replace(good.functional[0], statement="It is fast."),))
    world = await open_world(language_model=model(srs=answer(bad)))
    run = await world.accepted()
    await world.worker()(run.id)
    task = (await world.tasks(run.id))["srs"]
    assert task.status is AgentTaskStatus.SUCCEEDED
    assert task.findings


async def test_replies_that_are_not_json_twice_end_the_run() -> None:
    world = await open_world(language_model=model(idea=answer("no json")))
    run = await world.accepted()
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, "unreadable_reply")
    assert (await world.balance()).available == GRANT


async def test_executing_again_with_nothing_changed_reuses_every_step() -> None:
    world = await open_world()
    project = await world.project()
    first = await world.execute(project)
    await world.worker()(first.id)
    calls = len(world.model.calls)
    second = await world.execute(project)
    await world.worker()(second.id)
    assert len(world.model.calls) == calls
    tasks = await world.tasks(second.id)
    assert {task.status for task in tasks.values()} == {AgentTaskStatus.REUSED}
    assert all(task.credits == 0 for task in tasks.values())


async def test_executing_afresh_makes_every_step_anew() -> None:
    world = await open_world()
    project = await world.project()
    await world.worker()((await world.execute(project)).id)
    calls = len(world.model.calls)
    await world.worker()((await world.execute(project, reuse=False)).id)
    assert len(world.model.calls) == 2 * calls


async def test_new_instructions_make_their_step_and_what_reads_it_anew() -> None:
    world = await open_world()
    project = await world.project()
    await world.worker()((await world.execute(project)).id)
    world.model.versions["prd"] = "another wording"
    world.model.on("prd", answer(replace(samples.product(), vision="Another vision.")))
    run = await world.execute(project)
    await world.worker()(run.id)
    statuses = {name: task.status for name, task in (await world.tasks(run.id)).items()}
    assert statuses["idea"] is statuses["srs"] is AgentTaskStatus.REUSED
    assert statuses["prd"] is statuses["code"] is AgentTaskStatus.SUCCEEDED


async def test_a_document_made_again_gets_the_next_version() -> None:
    world = await open_world()
    project = await world.project()
    await world.worker()((await world.execute(project)).id)
    await world.worker()((await world.execute(project, reuse=False)).id)
    async with world.uow.begin(world.user_id) as tx:
        documents = await tx.documents.latest(project.id)
    assert {document.version for document in documents} == {2}
    assert {document.type for document in documents} == set(DocumentType)


async def test_a_repair_that_helps_is_delivered_and_not_charged() -> None:
    mended = samples.codebase().files[1].content + "\n# mended\n"
    batch = FileBatch(files=(WrittenFile(path="store.py", content=mended),))
    world = await open_world(
        language_model=model(repair=answer(batch)),
        box=sandbox(
            unittest_run("test_borrow", failed={"test_add": "AssertionError: 0 != 1"}),
            unittest_run("test_borrow", "test_add"),
        ),
    )
    run = await world.accepted()
    await world.worker()(run.id)
    task = (await world.tasks(run.id))["verify"]
    assert task.summary.startswith("Verified")
    assert (task.credits, task.house_nano_usd) == (0, CALL_COST)
    async with world.uow.begin(world.user_id) as tx:
        (manifest,) = await tx.documents.latest(run.project_id, type_=DocumentType.CODEBASE)
    assert manifest.version == 2
    assert manifest.step == "verify"


async def test_repairing_stops_when_the_failure_no_longer_changes() -> None:
    failing = unittest_run(failed={"test_add": "AssertionError: 0 != 1"})
    numbers = iter(range(100))

    def useless(request: object) -> object:
        text = samples.codebase().files[1].content + f"\n# try {next(numbers)}\n"
        return answer(FileBatch(files=(WrittenFile(path="store.py", content=text),)))

    world = await open_world(language_model=model(repair=useless), box=sandbox(failing))
    run = await world.accepted()
    await world.worker()(run.id)
    assert len(world.model.asked("repair")) == 1
    task = (await world.tasks(run.id))["verify"]
    assert task.summary == "Failed at test, 0 of 1 tests passed; repair stopped: same failure"
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED


async def test_without_a_sandbox_nothing_is_run_and_the_report_says_so() -> None:
    box = sandbox()
    box.available = False
    world = await open_world(box=box)
    run = await world.accepted()
    await world.worker()(run.id)
    assert not box.runs
    task = (await world.tasks(run.id))["verify"]
    assert task.summary.startswith("Not verified: no sandbox")


async def test_tests_count_only_when_the_harness_recorded_them() -> None:
    forged = exited(0, "OK\nRan 99 tests")
    world = await open_world(box=sandbox(forged))
    run = await world.accepted()
    await world.worker()(run.id)
    assert (await world.tasks(run.id))["verify"].summary.startswith("Failed at test")


async def test_an_unsafe_plan_is_rejected_whole() -> None:
    plan = samples.plan()
    bad = replace(plan, files=(*plan.files, samples.planned("../../etc/cron.d/x", (), ())))
    world = await open_world(language_model=model(code_plan=answer(bad)))
    run = await world.accepted()
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, "unsafe_paths")


async def test_a_mode_without_a_pipeline_is_refused_by_name() -> None:
    world = await open_world()
    create = CreateProject(world.uow, world.clock, world.ids)
    with pytest.raises(InvalidValue, match="student is not offered"):
        await create(
            NewProject(user_id=world.user_id, idea="A long enough idea.", mode=Mode.STUDENT)
        )


async def _kill(world: World, working: "asyncio.Task[None]") -> None:
    """End a worker the way SIGKILL does: nothing that it does on its way out has an effect."""
    world.database.fail_next(1_000)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    world.database.fail_next(0)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
