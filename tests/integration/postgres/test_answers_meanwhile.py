"""A zombie's answer that is recorded at the very moment somebody gives its call up.

The record is made and not yet committed when the other looks: the row is locked, and what
is read without that lock is the past.
"""

import asyncio
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
from application.ports.language_model import StopReason
from application.ports.persistence import BorneBy, CallState, ModelCall
from application.runs.settlement import settle_step
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
    replied = replace(
        call,
        state=CallState.REPLIED,
        model=PRICE.model,
        text=msgspec.json.encode(samples.brief()).decode(),
        stop=StopReason.COMPLETE,
        usage=USAGE,
        cost_nano_usd=PRICE.cost(USAGE),
    )
    async with asyncio.timeout(20), asyncio.TaskGroup() as group, uow.begin(call.user_id) as tx:
        await tx.calls.conclude(replied)
        acting = group.create_task(_awaited(act))
        while not acting.done() and not await _somebody_waits(engine):
            await asyncio.sleep(0.005)
    return acting.result()


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
    assert (await world.tasks(run.id))["idea"].credits == FIRST_RATE.credits_for(kept.cost_nano_usd)


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
    charged = FIRST_RATE.credits_for(kept.cost_nano_usd)
    assert (await world.tasks(run.id))["idea"].credits == charged > 0
    assert (await world.balance()).available == GRANT - charged
