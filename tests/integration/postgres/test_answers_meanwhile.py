"""A zombie's answer that is recorded at the very moment somebody gives its call up.

The record is made and not yet committed when the other looks: the row is locked, and what
is read without that lock is the past.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.claims import PostgresRunClaims
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemClock, UuidMaker
from application.billing.price_book import PriceBook
from application.ports.language_model import StopReason
from application.ports.ledger import EntryQuery
from application.ports.model_calls import BorneBy, CallState, ModelCall
from application.runs.settlement import record_calls, settle_step
from domain.billing.ledger import AccountKind
from domain.projects.run import Run, RunStatus
from domain.shared.ids import AgentTaskId
from tests.contracts.samples import (
    SHORT_LEASE,
    keep_project,
    keep_run,
    keep_user,
    make_call,
    make_reservation,
    new_id,
)
from tests.fakes.language_model import PRICE, USAGE, answer
from tests.fakes.prices import FIRST_RATE
from tests.unit.agents import samples
from tests.unit.runs.world import GRANT, World, model, open_world

T = TypeVar("T")


async def meanwhile(
    uow: PostgresUnitOfWork, engine: AsyncEngine, call: ModelCall, act: Callable[[], Awaitable[T]]
) -> T:
    """Act while the call's answer is recorded; the record is committed once that is waited for."""
    replied = replied_to(call)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group, uow.begin(call.user_id) as tx:
        await record_calls(tx, [replied], FIRST_RATE)
        acting = group.create_task(_awaited(act))
        while not acting.done() and not await _somebody_waits(engine):
            await asyncio.sleep(0.005)
    return acting.result()


def replied_to(call: ModelCall) -> ModelCall:
    """The call with an answer."""
    return replace(
        call,
        state=CallState.REPLIED,
        model=PRICE.model,
        text=msgspec.json.encode(samples.brief()).decode(),
        stop=StopReason.COMPLETE,
        usage=USAGE,
        cost_nano_usd=PRICE.cost(USAGE),
    )


async def _awaited(act: Callable[[], Awaitable[T]]) -> T:
    return await act()


async def _somebody_waits(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        waiting = await connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    return bool(waiting)


async def the_call(uow: PostgresUnitOfWork, run: Run) -> ModelCall:
    """The only call of the run's first step."""
    async with uow.begin(run.user_id) as tx:
        (call,) = await tx.calls.of_step(run.id, "idea")
    return call


async def price_of(world: World, run: Run, call: ModelCall) -> int:
    """A call's credits at the rate the run was accepted at: others add rates to this database."""
    return (await PriceBook(world.uow, world.clock).rate(run.created_at)).credits_for(
        call.cost_nano_usd
    )


async def test_a_step_is_charged_what_its_journal_says(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine
) -> None:
    owner = await keep_user(postgres_uow, credits=GRANT)
    run = await keep_run(postgres_uow, await keep_project(postgres_uow, owner))
    call = make_call(run, held=1_000)
    async with postgres_uow.begin(run.user_id) as tx:
        await tx.calls.add(call)
        await tx.ledger.reserve(make_reservation(run, 1_000))

    async def settle() -> int:
        async with postgres_uow.begin(run.user_id) as tx:
            _, credits = await settle_step(
                tx, run, "idea", AgentTaskId(new_id()), FIRST_RATE, charged=True
            )
        return credits

    charged = await meanwhile(postgres_uow, app_engine, call, settle)
    kept = await the_call(postgres_uow, run)
    assert (kept.state, kept.borne_by) == (CallState.REPLIED, BorneBy.USER)
    assert charged == FIRST_RATE.credits_for(kept.cost_nano_usd) > 0


@pytest.fixture
async def lost(postgres_uow: PostgresUnitOfWork) -> tuple[Run, ModelCall]:
    """A run whose step was begun anew: its first call is given up for lost."""
    owner = await keep_user(postgres_uow, credits=GRANT)
    run = await keep_run(postgres_uow, await keep_project(postgres_uow, owner))
    call = make_call(run)
    async with postgres_uow.begin(run.user_id) as tx:
        await tx.calls.add(call)
        await tx.calls.give_up(run.id, "idea")
    return run, call


async def settled(uow: PostgresUnitOfWork, run: Run) -> None:
    """Settle the run's first step."""
    async with uow.begin(run.user_id) as tx:
        await settle_step(tx, run, "idea", AgentTaskId(new_id()), FIRST_RATE, charged=True)


async def borne(uow: PostgresUnitOfWork, run: Run) -> int:
    """What the house bears of the run for what a crash lost."""
    async with uow.begin(run.user_id) as tx:
        entries = await tx.ledger.entries(EntryQuery(limit=100, run_id=run.id))
    return -sum(entry.sums.get(AccountKind.HOUSE_CRASH, 0) for entry in entries)


COST = FIRST_RATE.credits_for(PRICE.cost(USAGE))


async def test_a_late_answer_that_is_recorded_before_the_account_is_booked_with_it(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine, lost: tuple[Run, ModelCall]
) -> None:
    run, call = lost
    # The settlement waits for the account, and then reads what was recorded under its lock.
    await meanwhile(postgres_uow, app_engine, call, lambda: settled(postgres_uow, run))
    assert await borne(postgres_uow, run) == COST > 0


async def test_a_late_answer_that_is_recorded_after_the_account_is_booked_by_itself(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine, lost: tuple[Run, ModelCall]
) -> None:
    run, call = lost

    async def answered() -> None:
        async with postgres_uow.begin(run.user_id) as tx:
            await record_calls(tx, [replied_to(call)], FIRST_RATE)

    async with (
        asyncio.timeout(20),
        asyncio.TaskGroup() as group,
        postgres_uow.begin(run.user_id) as tx,
    ):
        await settle_step(tx, run, "idea", AgentTaskId(new_id()), FIRST_RATE, charged=True)
        # It looks for the settlement only once that is committed.
        answering = group.create_task(answered())
        while not answering.done() and not await _somebody_waits(app_engine):
            await asyncio.sleep(0.005)
    assert await borne(postgres_uow, run) == COST > 0
    await answered()
    assert await borne(postgres_uow, run) == COST


async def test_an_answer_to_a_call_that_its_steps_settlement_gives_up_is_booked_after_it(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine
) -> None:
    owner = await keep_user(postgres_uow, credits=GRANT)
    run = await keep_run(postgres_uow, await keep_project(postgres_uow, owner))
    call = make_call(run)
    async with postgres_uow.begin(run.user_id) as tx:
        await tx.calls.add(call)

    async def answered() -> None:
        async with postgres_uow.begin(run.user_id) as tx:
            await record_calls(tx, [replied_to(call)], FIRST_RATE)

    async with (
        asyncio.timeout(20),
        asyncio.TaskGroup() as group,
        postgres_uow.begin(run.user_id) as tx,
    ):
        await settle_step(tx, run, "idea", AgentTaskId(new_id()), FIRST_RATE, charged=True)
        answering = group.create_task(answered())
        while not answering.done() and not await _somebody_waits(app_engine):
            await asyncio.sleep(0.005)
    assert await borne(postgres_uow, run) == COST


async def test_many_late_answers_and_their_settlements_at_once_are_booked_once_each(
    postgres_uow: PostgresUnitOfWork,
) -> None:
    owner = await keep_user(postgres_uow, credits=GRANT)
    project = await keep_project(postgres_uow, owner)
    for _ in range(10):
        run = await keep_run(postgres_uow, project)
        calls = [make_call(run, request_hash=f"{number:064}") for number in range(4)]
        async with postgres_uow.begin(run.user_id) as tx:
            for call in calls:
                await tx.calls.add(call)
            # Two are lost by now; two are, or are not, by the settlement.
            for call in calls[:2]:
                await tx.calls.give_up(run.id, "idea", call.request_hash)

        async def answered(call: ModelCall) -> None:
            async with postgres_uow.begin(call.user_id) as tx:
                await record_calls(tx, [replied_to(call)], FIRST_RATE)

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for act in random.sample([*calls, None], 5):
                group.create_task(settled(postgres_uow, run) if act is None else answered(act))
        async with postgres_uow.begin(run.user_id) as tx:
            kept = await tx.calls.of_step(run.id, "idea")
            await tx.runs.finish(run.id, RunStatus.FAILED)
        houses = [call for call in kept if call.borne_by is BorneBy.HOUSE]
        assert len(houses) >= 2
        # Rounded up for each that was booked by itself, and once for the others.
        exact = FIRST_RATE.credits_for(sum(call.cost_nano_usd for call in houses))
        assert exact <= await borne(postgres_uow, run) <= exact + len(houses)


@pytest.fixture
async def world(
    postgres_uow: PostgresUnitOfWork, postgres_claims: PostgresRunClaims
) -> AsyncIterator[World]:
    """A platform whose database is real; its model never ends its first answer."""
    owner = await keep_user(postgres_uow, credits=GRANT)
    never = asyncio.Event()
    scripted = model(idea=[answer(samples.brief(), gate=never), answer(samples.brief())])
    world = replace(
        await open_world(language_model=scripted),
        clock=SystemClock(),
        ids=UuidMaker(),
        uow=postgres_uow,
        claims=postgres_claims,
        user_id=owner.id,
    )
    yield world


async def overtaken(world: World) -> tuple[Run, "asyncio.Task[None]"]:
    """A run whose worker waits for an answer past its lease, and that worker."""
    run = await world.accepted()
    zombie = asyncio.create_task(world.worker(lease=SHORT_LEASE, heartbeat=1_000)(run.id))
    async with asyncio.timeout(20):
        while world.model.in_flight == 0:
            await asyncio.sleep(0.005)
    await asyncio.sleep(2 * SHORT_LEASE)
    return run, zombie


async def test_an_answer_is_not_asked_for_again(
    world: World, postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine
) -> None:
    run, zombie = await overtaken(world)
    call = await the_call(postgres_uow, run)
    await meanwhile(postgres_uow, app_engine, call, lambda: world.worker()(run.id))
    zombie.cancel()
    await asyncio.wait({zombie})
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("idea")) == 1
    kept = await the_call(postgres_uow, run)
    assert (kept.state, kept.borne_by) == (CallState.REPLIED, BorneBy.USER)
    assert (await world.tasks(run.id))["idea"].credits == await price_of(world, run, kept)


async def test_a_cancelled_run_is_charged_what_its_journal_says(
    world: World, postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine
) -> None:
    run, zombie = await overtaken(world)
    await world.cancel(world.user_id, run.id)
    call = await the_call(postgres_uow, run)
    await meanwhile(postgres_uow, app_engine, call, lambda: world.worker()(run.id))
    zombie.cancel()
    await asyncio.wait({zombie})
    assert (await world.run(run.id)).status is RunStatus.CANCELLED
    kept = await the_call(postgres_uow, run)
    assert (kept.state, kept.borne_by) == (CallState.REPLIED, BorneBy.USER)
    charged = await price_of(world, run, kept)
    assert (await world.tasks(run.id))["idea"].credits == charged > 0
    assert (await world.balance()).available == GRANT - charged
