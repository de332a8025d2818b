"""The account of usage, the run's steps, the ledger and the journal of calls say the same."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from application.billing.price_book import PriceBook
from application.billing.set_prices import AddExchangeRate, NewExchangeRate
from application.ports.language_model import FailureKind, StopReason
from application.ports.model_calls import BorneBy
from application.ports.usage import SettledStep, UsageFilter
from application.runs.show_run import ShowRun
from domain.billing.ledger import AccountKind
from domain.billing.pricing import UnknownPrice
from domain.billing.usage import NO_USAGE, TokenUsage
from domain.projects.agent_task import AgentTaskStatus
from domain.projects.run import Run, RunStatus
from tests.contracts.samples import ORIGIN
from tests.fakes.language_model import PRICE, Play, answer, fail
from tests.fakes.persistence import InMemoryHotReads
from tests.unit.agents import samples
from tests.unit.runs.world import GRANT, RATE, World, model, open_world

CACHED = TokenUsage(input=10, output=20, cache_write=300, cache_read=4_000, cache_write_1h=50)


async def settled(world: World) -> list[SettledStep]:
    async with world.uow.begin(world.user_id) as tx:
        return [line.step for line in await tx.usage.lines(UsageFilter(), after=None, limit=1_000)]


def charged_by_ledger(world: World) -> Counter[tuple[object, str]]:
    """What the journal of the ledger took from the person, by run and step."""
    charged: Counter[tuple[object, str]] = Counter()
    for entry in world.database.tables.entries.values():
        if entry.kind == "settle":
            charged[entry.run_id, entry.step] += sum(
                posting.amount
                for posting in entry.postings
                if posting.account is AccountKind.REVENUE
            )
    return charged


async def assert_usage_is_the_bill(world: World, run: Run) -> Sequence[SettledStep]:
    """To the credit and to the token."""
    steps = [step for step in await settled(world) if step.run_id == run.id]
    tasks = await world.tasks(run.id)
    ledger = charged_by_ledger(world)
    assert {step.step for step in steps} == {
        name for name, task in tasks.items() if task.status is not AgentTaskStatus.REUSED
    }
    for step in steps:
        task = tasks[step.step]
        assert step.credits == task.credits == ledger[run.id, step.step]
        assert (step.cost_nano_usd, step.usage) == (task.cost_nano_usd, task.usage)
        assert step.house_nano_usd == task.house_nano_usd
        assert step.credits == RATE.credits_for(step.cost_nano_usd)
        assert step.paise_per_usd == RATE.paise_per_usd
        calls = [
            call
            for call in world.database.tables.calls.values()
            if (call.run_id, call.step) == (run.id, step.step)
        ]
        mine = [call for call in calls if call.borne_by is BorneBy.USER and step.charged]
        assert step.usage == sum((call.usage for call in mine), NO_USAGE)
        assert step.cost_nano_usd == sum(call.cost_nano_usd for call in mine)
        assert step.cost_nano_usd + step.house_nano_usd == sum(c.cost_nano_usd for c in calls)
    balance = await world.balance()
    assert balance.available + sum(ledger.values()) == GRANT
    return steps


async def test_a_run_that_succeeds() -> None:
    plays: dict[str, Play | Sequence[Play]] = {
        "idea": [
            fail(FailureKind.TRANSIENT, usage=TokenUsage(input=70, output=9)),
            answer(samples.brief(), usage=CACHED),
        ],
    }
    world = await open_world(language_model=model(**plays))
    run = await world.accepted()
    await world.worker()(run.id)

    steps = await assert_usage_is_the_bill(world, run)

    idea = next(step for step in steps if step.step == "idea")
    assert (idea.usage, idea.cost_nano_usd) == (CACHED, PRICE.cost(CACHED))
    assert idea.house_nano_usd == 70 * PRICE.input + 9 * PRICE.output
    show = ShowRun(InMemoryHotReads(world.uow), PriceBook(world.uow, world.clock))
    account = await show(world.user_id, run.id)
    assert sum(task.credits for task in account.tasks) == sum(step.credits for step in steps) > 0
    assert account.rate == RATE


async def test_a_run_that_fails() -> None:
    world = await open_world(language_model=model(srs=answer("", stop=StopReason.REFUSED)))
    run = await world.accepted()
    await world.worker()(run.id)

    steps = await assert_usage_is_the_bill(world, run)

    assert (await world.run(run.id)).status is RunStatus.FAILED
    refused = next(step for step in steps if step.step == "srs")
    assert (refused.charged, refused.credits, refused.usage) == (False, 0, NO_USAGE)
    assert refused.house_nano_usd > 0


async def test_a_run_that_is_cancelled_in_the_middle_of_a_call() -> None:
    world = await open_world(
        language_model=model(srs=answer(samples.requirements(), gate=asyncio.Event()))
    )
    run = await world.accepted()
    working = asyncio.create_task(world.worker()(run.id))
    async with asyncio.timeout(5):
        while (await world.tasks(run.id)).get("prd", None) is None or world.model.in_flight != 1:
            await asyncio.sleep(0.01)
        await world.cancel(world.user_id, run.id)
        await working

    steps = await assert_usage_is_the_bill(world, run)

    cut = next(step for step in steps if step.step == "srs")
    assert cut.charged
    assert cut.credits > 0


async def test_a_run_that_reuses_everything_settles_nothing() -> None:
    world = await open_world()
    project = await world.project()
    first = await world.execute(project)
    await world.worker()(first.id)
    before = await settled(world)
    again = await world.execute(project)
    await world.worker()(again.id)

    assert await assert_usage_is_the_bill(world, again) == []
    assert await settled(world) == before


async def test_a_run_keeps_the_rate_it_was_accepted_at() -> None:
    world = await open_world()
    early, late = await world.accepted(), await world.project()
    add = AddExchangeRate(world.uow, world.clock, world.ids)
    await add(
        NewExchangeRate(
            origin=ORIGIN,
            user_id=world.user_id,
            paise_per_usd=18_000,
            source="a crash of the rupee",
        )
    )
    world.clock.move(timedelta(minutes=2))
    after = await world.execute(late)
    for run in (early, after):
        await world.worker()(run.id)

    await assert_usage_is_the_bill_at(world, early, 9_000)
    await assert_usage_is_the_bill_at(world, after, 18_000)


async def assert_usage_is_the_bill_at(world: World, run: Run, paise: int) -> None:
    steps = [step for step in await settled(world) if step.run_id == run.id]
    assert {step.paise_per_usd for step in steps} == {paise}
    for step in steps:
        assert step.credits == -(-step.cost_nano_usd * paise // 10**9)


@pytest.mark.parametrize("step", ["idea", "srs"])
async def test_a_model_without_a_price_is_not_called_and_the_run_says_so(step: str) -> None:
    world = await open_world()
    bound = world.model.upper_bound

    async def unpriced(request, so_far):  # type: ignore[no-untyped-def]  # as the port's
        if request.instructions == step:
            raise UnknownPrice("The model scripted-1 has no price.")
        return await bound(request, so_far)

    world.model.upper_bound = unpriced  # type: ignore[method-assign]  # one price goes missing
    run = await world.accepted()
    await world.worker()(run.id)

    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, "unknown_price")
    assert not world.model.asked(step)
    await assert_usage_is_the_bill(world, run)
