"""Caps, the edge of the balance, debts, and what the house is ready to mend."""

import asyncio
from dataclasses import replace

import pytest

from application.ports.model_calls import BorneBy
from application.projects.retry_run import RetryRun
from application.runs import write_codebase
from application.runs.headroom import Headroom
from application.runs.mending_budget import MendingBudget
from domain.agents.artifacts import FileBatch, WrittenFile
from domain.billing.ledger import AccountKind, ClawBack, CreditsOwed
from domain.projects.agent_task import AgentTaskStatus
from domain.projects.run import MAX_CAP_CREDITS, RunStatus
from domain.shared.errors import InvalidValue
from domain.shared.events import EventType
from tests.contracts.samples import ORIGIN, make_grant
from tests.fakes.language_model import BOUND, PRICE, USAGE, answer
from tests.unit.agents import samples
from tests.unit.runs.world import (
    RATE,
    World,
    model,
    open_world,
    sandbox,
    unittest_run,
)

CALL = PRICE.cost(USAGE)
CREDITS = RATE.credits_for(CALL)
HELD = RATE.credits_for(PRICE.dearest_input * BOUND.prompt + PRICE.output * BOUND.output)


async def owe(world: World, credits: int) -> None:
    async with world.uow.begin(world.user_id) as tx:
        balance = await tx.ledger.balance(world.user_id)
        await tx.ledger.claw_back(
            ClawBack(user_id=world.user_id, key="refund", credits=balance.available + credits)
        )


@pytest.fixture
def one_file_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_codebase, "BATCH_FILES", 1)


# A cap


async def test_a_run_that_fits_its_cap_one_call_at_a_time_succeeds(one_file_a_batch: None) -> None:
    world = await open_world()
    run = await world.accepted(cap_credits=HELD + 10 * CREDITS)
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert ended.status is RunStatus.SUCCEEDED
    assert world.model.most_in_flight == 1
    charged = sum(task.credits for task in (await world.tasks(run.id)).values())
    assert 0 < ended.charged_credits == charged <= HELD + 10 * CREDITS


async def test_a_balance_that_fits_one_call_at_a_time_is_enough(one_file_a_batch: None) -> None:
    world = await open_world(credits=HELD + 10 * CREDITS)
    run = await world.accepted()
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert world.model.most_in_flight == 1


async def test_a_cap_reached_between_two_calls_of_a_step_ends_the_run_and_keeps_the_rest() -> None:
    world = await open_world()
    # Enough for the plan after three steps were paid; its files would need the plan's cost more.
    cap = 3 * CREDITS + HELD
    run = await world.accepted(cap_credits=cap)
    await world.worker()(run.id)
    ended, tasks = await world.run(run.id), await world.tasks(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, "cap_reached")
    assert "higher cap" in ended.error
    assert {name for name, task in tasks.items() if task.finished} == {"idea", "srs", "prd"}
    used = {name: RATE.credits_for(CALL) for name in ("idea", "srs", "prd", "code")}
    assert {name: task.credits for name, task in tasks.items()} == used
    assert ended.charged_credits == sum(used.values()) <= cap
    balance = await world.balance()
    assert balance.reserved == 0
    async with world.uow.begin(world.user_id) as tx:
        assert await tx.documents.latest(run.project_id)


async def test_a_cap_below_one_call_ends_the_run_before_anything_is_bought() -> None:
    world = await open_world()
    run = await world.accepted(cap_credits=HELD - 1)
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert (ended.error_code, ended.charged_credits) == ("cap_reached", 0)
    assert not world.model.calls


async def test_a_retry_with_a_higher_cap_goes_on_from_what_is_finished() -> None:
    world = await open_world()
    run = await world.accepted(cap_credits=3 * CREDITS + HELD)
    await world.worker()(run.id)
    retry = RetryRun(world.uow, world.queue, world.clock, world.ids)
    again = await retry(world.user_id, run.id, origin=ORIGIN, cap_credits=50_000)
    assert again.cap_credits == 50_000
    await world.worker()(again.id)
    assert (await world.run(again.id)).status is RunStatus.SUCCEEDED
    assert (await world.tasks(again.id))["srs"].status is AgentTaskStatus.REUSED


async def test_what_was_paid_before_the_cap_is_neither_asked_nor_paid_again() -> None:
    world = await open_world()
    run = await world.accepted(cap_credits=3 * CREDITS + HELD)
    await world.worker()(run.id)
    retry = RetryRun(world.uow, world.queue, world.clock, world.ids)
    # A second time too, so that an answer is handed on from run to run.
    too_little = await retry(world.user_id, run.id, origin=ORIGIN, cap_credits=HELD - CREDITS)
    await world.worker()(too_little.id)
    assert (await world.run(too_little.id)).error_code == "cap_reached"
    again = await retry(world.user_id, too_little.id, origin=ORIGIN, cap_credits=50_000)
    await world.worker()(again.id)
    assert (await world.run(again.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("code.plan")) == 1
    assert (await world.tasks(again.id))["code"].credits == CREDITS
    charged = [(await world.run(each.id)).charged_credits for each in (run, too_little, again)]
    assert charged == [4 * CREDITS, 0, CREDITS]


async def test_answers_of_a_step_that_failed_by_itself_are_asked_for_again() -> None:
    world = await open_world(language_model=model(srs=[answer("no json"), answer("no json")]))
    run = await world.accepted()
    await world.worker()(run.id)
    assert (await world.run(run.id)).error_code == "unreadable_reply"
    world.model.on("srs", answer(samples.requirements()))
    again = await RetryRun(world.uow, world.queue, world.clock, world.ids)(
        world.user_id, run.id, origin=ORIGIN
    )
    await world.worker()(again.id)
    assert (await world.run(again.id)).status is RunStatus.SUCCEEDED


async def test_a_retry_keeps_the_cap_unless_another_is_given() -> None:
    world = await open_world()
    run = await world.accepted(cap_credits=5)
    await world.worker()(run.id)
    retry = RetryRun(world.uow, world.queue, world.clock, world.ids)
    assert (await retry(world.user_id, run.id, origin=ORIGIN)).cap_credits == 5


@pytest.mark.parametrize("cap", [0, -1, MAX_CAP_CREDITS + 1])
async def test_a_cap_that_no_run_can_have_is_refused_by_name(cap: int) -> None:
    world = await open_world()
    with pytest.raises(InvalidValue) as refusal:
        await world.accepted(cap_credits=cap)
    assert refusal.value.field == "cap_credits"


async def test_a_runs_log_tells_its_cap_at_both_ends() -> None:
    world = await open_world()
    run = await world.accepted(cap_credits=20_000)
    await world.worker()(run.id)
    events = await world.events(run.id)
    caps = [event.data["cap_credits"] for event in (events[0], events[-1])]
    assert (events[-1].type, caps) == (EventType.RUN_FINISHED, [20_000, 20_000])


# A debt


async def test_who_owes_begins_nothing_new_and_is_told_what_to_do() -> None:
    world = await open_world()
    await owe(world, 40)
    with pytest.raises(CreditsOwed, match="Top up at least 40 credits") as refusal:
        await world.accepted()
    assert refusal.value.params == {"owed": 40}


async def test_what_was_accepted_before_the_debt_still_ends_in_order() -> None:
    world = await open_world()
    run = await world.accepted()
    await owe(world, 40)
    async with world.uow.begin(world.user_id) as tx:
        await tx.ledger.grant(make_grant(world.user_id, 50_040))
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED


async def test_who_has_paid_may_begin_again() -> None:
    world = await open_world()
    await owe(world, 40)
    async with world.uow.begin(world.user_id) as tx:
        await tx.ledger.grant(make_grant(world.user_id, 40))
    assert (await world.accepted()).status is RunStatus.QUEUED


# What the house mends


def faulty_then_mended() -> dict[str, object]:
    """A first answer that review sends back, then a good one."""
    vague = replace(samples.requirements(), functional=())
    return {"srs": [answer(vague), answer(samples.requirements())]}


async def test_a_review_retry_is_on_the_houses_account_for_that() -> None:
    world = await open_world(language_model=model(**faulty_then_mended()))
    run = await world.accepted()
    await world.worker()(run.id)
    house = world.database.tables.house
    assert house[AccountKind.HOUSE_REVIEW] == -CREDITS
    assert (await world.tasks(run.id))["srs"].credits == CREDITS


async def test_a_repair_is_on_the_houses_account_for_that() -> None:
    mended = samples.codebase().files[1].content + "\n# mended\n"
    world = await open_world(
        language_model=model(
            repair=answer(FileBatch(files=(WrittenFile(path="store.py", content=mended),)))
        ),
        box=sandbox(
            unittest_run("test_borrow", failed={"test_add": "AssertionError: 0 != 1"}),
            unittest_run("test_borrow", "test_add"),
        ),
    )
    run = await world.accepted()
    await world.worker()(run.id)
    assert world.database.tables.house[AccountKind.HOUSE_REPAIR] == -CREDITS


@pytest.mark.parametrize("which", ["run_credits", "day_credits"])
async def test_past_its_budget_the_house_mends_nothing_and_nobody_is_charged(which: str) -> None:
    world = await open_world(language_model=model(**faulty_then_mended()))
    world.mending = replace(world.mending, **{which: HELD - 1})
    run = await world.accepted()
    await world.worker()(run.id)
    task = (await world.tasks(run.id))["srs"]
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("srs")) == 1
    assert task.findings
    assert (task.credits, task.house_nano_usd) == (CREDITS, 0)


async def test_past_its_budget_the_house_repairs_nothing_and_says_so() -> None:
    world = await open_world(
        box=sandbox(unittest_run("test_borrow", failed={"test_add": "AssertionError: 0 != 1"}))
    )
    world.mending = MendingBudget(run_credits=0, day_credits=0)
    run = await world.accepted()
    await world.worker()(run.id)
    assert not world.model.asked("repair")
    assert (await world.tasks(run.id))["verify"].summary.startswith("Failed at test")
    async with world.uow.begin(world.user_id) as tx:
        assert not [
            call
            for call in await tx.calls.of_step(run.id, "verify")
            if call.borne_by is BorneBy.HOUSE
        ]


async def test_a_day_counts_all_runs_of_a_person() -> None:
    world = await open_world(language_model=model(**faulty_then_mended()))
    run = await world.accepted()
    await world.worker()(run.id)
    budget = MendingBudget(run_credits=HELD, day_credits=CREDITS + HELD - 1)
    world.mending = budget
    world.model.on("srs", faulty_then_mended()["srs"])  # type: ignore[arg-type]  # as above
    project = await world.project("A library of tools, where members borrow and pay fines.")
    other = await world.execute(project)
    await world.worker()(other.id)
    house = world.database.tables.house
    assert house[AccountKind.HOUSE_REVIEW] == -CREDITS


# Waiting for room


async def test_one_that_waits_goes_on_when_anything_is_freed() -> None:
    room = Headroom()
    with room.step("srs"), room.step("prd"), room.asking("srs"), room.asking("prd"):
        waiting = asyncio.create_task(room.wait("srs", room.mark()))
        await asyncio.sleep(0)
        assert not waiting.done()
        room.freed()
        assert await waiting


async def test_what_was_freed_while_one_looked_is_not_missed() -> None:
    room = Headroom()
    with room.step("srs"), room.asking("srs"):
        since = room.mark()
        room.freed()
        assert await room.wait("srs", since)


async def test_nobody_waits_for_those_who_all_wait_themselves() -> None:
    room = Headroom()
    with room.step("srs"), room.step("prd"), room.asking("prd"), room.asking("srs"):
        first = asyncio.create_task(room.wait("srs", room.mark()))
        await asyncio.sleep(0)
        assert not await room.wait("prd", room.mark())
        first.cancel()


async def test_one_alone_waits_for_nothing() -> None:
    room = Headroom()
    with room.step("srs"), room.asking("srs"):
        assert not await room.wait("srs", room.mark())
