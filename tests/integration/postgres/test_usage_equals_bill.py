"""Usage, ledger and journal on real PostgreSQL, settled by workers that compete."""

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.billing.export_usage import ExportUsage
from application.ports.model_calls import BorneBy, CallState, ModelCall
from application.ports.usage import UsageFilter, UsageGroup, UsageLine
from application.runs.settlement import settle_step
from domain.billing.days import Days, beginning_of, day_of
from domain.billing.ledger import Reservation
from domain.billing.usage import NO_USAGE, TokenUsage
from domain.identity.user import User
from domain.projects.run import Run, RunStatus
from domain.shared.ids import AgentTaskId, UserId
from tests.contracts.samples import keep_project, keep_run, keep_user, make_call, new_id
from tests.fakes.prices import FIRST_RATE, PUBLISHED

CREDITS = 10_000_000
STEPS = ("idea", "srs", "prd", "code", "verify")
BUCKETS = ("input", "output", "cache_write", "cache_write_1h", "cache_read")
EVERYTHING = UsageFilter()
NOW = beginning_of(date(2026, 11, 24))


def _random_usage(chance: random.Random) -> TokenUsage:
    return TokenUsage(**{bucket: chance.randrange(40_000) for bucket in BUCKETS})


def _concluded(call: ModelCall, chance: random.Random, n: int) -> ModelCall:
    """A call that was answered, failed, was lost, or is still open."""
    usage = _random_usage(chance)
    row = PUBLISHED.row("claude-sonnet-5-5", day_of(NOW), usage.prompt)
    answered = replace(
        call, model=row.model, usage=usage, cost_nano_usd=row.cost(usage), state=CallState.REPLIED
    )
    if n % 5 == 3:
        return replace(answered, state=CallState.FAILED, borne_by=BorneBy.HOUSE)
    return answered


async def _work(uow: PostgresUnitOfWork, run: Run, step: str, seed: int) -> None:
    """A step's calls, journalled and held for, then settled by three at once."""
    chance = random.Random(seed)
    calls = [
        make_call(
            run,
            step=step,
            request_hash=f"{n:064}",
            borne_by=BorneBy.HOUSE if n % 5 == 4 else BorneBy.USER,
        )
        for n in range(chance.randrange(1, 6))
    ]
    async with uow.begin(run.user_id) as tx:
        for call in calls:
            await tx.calls.add(call)
        await tx.ledger.reserve(
            Reservation(
                user_id=run.user_id,
                key=f"reserve:{new_id()}",
                run_id=run.id,
                step=step,
                credits=60_000,
            )
        )
    async with uow.begin(run.user_id) as tx:
        for n, call in enumerate(calls):
            if n != 2:  # the third stays an intent: its worker is gone
                await tx.calls.conclude(_concluded(call, chance, n))
    task_id, charged = AgentTaskId(new_id()), chance.random() < 0.8

    async def settle() -> None:
        async with uow.begin(run.user_id) as tx:
            await settle_step(tx, run, step, task_id, FIRST_RATE, charged=charged)

    # In the product the run's row is locked first, and a second settlement finds nothing.
    await settle()
    await asyncio.gather(settle(), settle())


@pytest.fixture(scope="module")
async def owner(app_engine: AsyncEngine) -> User:
    """Somebody with three projects, each executed several times, all at once."""
    uow = PostgresUnitOfWork(app_engine)
    owner = await keep_user(uow, credits=CREDITS)
    runs = []
    for _ in range(3):
        project = await keep_project(uow, owner)
        for _ in range(4):
            run = await keep_run(uow, project)
            runs.append(run)
            async with uow.begin(owner.id) as tx:
                await tx.runs.finish(run.id, RunStatus.SUCCEEDED)
    await asyncio.gather(
        *(
            _work(uow, run, step, seed=index * 10 + place)
            for index, run in enumerate(runs)
            for place, step in enumerate(STEPS)
        )
    )
    return owner


async def _row(engine: AsyncEngine, user_id: UserId, statement: str) -> Sequence[int]:
    async with engine.connect() as connection:
        await connection.execute(
            text("SELECT set_config('app.user_id', :id, true)"), {"id": str(user_id)}
        )
        rows = await connection.execute(text(statement), {"user": user_id})
        return [int(value or 0) for value in rows.one()]


async def _exported(
    uow: PostgresUnitOfWork, user_id: UserId, only: UsageFilter = EVERYTHING, batch: int = 7
) -> list[UsageLine]:
    batches = await ExportUsage(uow, batch=batch)(user_id, only)
    return [line async for lines in batches for line in lines]


async def test_the_export_equals_the_ledger_to_the_credit(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine, owner: User
) -> None:
    lines = await _exported(postgres_uow, owner.id)
    assert len({(line.step.run_id, line.step.step) for line in lines}) == len(lines) == 60
    [ledger] = await _row(
        app_engine,
        owner.id,
        "SELECT sum(p.amount) FROM journal e JOIN postings p ON p.entry_id = e.id"
        " WHERE e.user_id = :user AND e.kind = 'settle' AND p.account = 'revenue'",
    )
    charged = sum(line.step.credits for line in lines)
    assert charged == ledger > 0
    async with postgres_uow.begin(owner.id) as tx:
        balance = await tx.ledger.balance(owner.id)
        total = await tx.usage.total(EVERYTHING)
        grouped = [
            sum(
                group.credits
                for group in await tx.usage.sums(by, EVERYTHING, after=None, limit=1_000)
            )
            for by in UsageGroup
        ]
    assert (balance.available + charged, balance.reserved) == (CREDITS, 0)
    assert [total.credits, *grouped] == [charged] * (1 + len(UsageGroup))


async def test_every_line_equals_its_entry_in_the_ledger_and_has_its_moment(
    app_engine: AsyncEngine, owner: User
) -> None:
    [differing, lines] = await _row(
        app_engine,
        owner.id,
        "WITH ledger AS (SELECT e.run_id, e.step, e.at, sum(p.amount) AS credits"
        " FROM journal e JOIN postings p ON p.entry_id = e.id AND p.account = 'revenue'"
        " WHERE e.kind = 'settle' AND e.user_id = :user GROUP BY 1, 2, 3)"
        " SELECT count(*) FILTER (WHERE u.credits <> coalesce(l.credits, 0) OR u.at <> l.at),"
        " count(*) FROM usage u FULL JOIN ledger l USING (run_id, step)"
        " WHERE coalesce(u.user_id, :user) = :user",
    )
    assert (differing, lines) == (0, 60)


async def test_tokens_equal_the_journal_of_calls(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine, owner: User
) -> None:
    lines = await _exported(postgres_uow, owner.id)
    used = sum((line.step.usage for line in lines), NO_USAGE)
    journalled = await _row(
        app_engine,
        owner.id,
        "SELECT "
        + ", ".join(f"sum(c.{bucket}_tokens)" for bucket in BUCKETS)
        + ", sum(c.cost_nano_usd) FROM model_calls c JOIN usage u USING (run_id, step)"
        " WHERE c.user_id = :user AND u.charged AND c.borne_by = 'user'",
    )
    assert [getattr(used, bucket) for bucket in BUCKETS] == journalled[:5]
    assert sum(line.step.cost_nano_usd for line in lines) == journalled[5] > 0
    house = await _row(
        app_engine, owner.id, "SELECT sum(cost_nano_usd) FROM model_calls WHERE user_id = :user"
    )
    assert sum(line.step.house_nano_usd for line in lines) == house[0] - journalled[5] > 0


async def test_an_export_while_others_settle_has_every_line_once(
    postgres_uow: PostgresUnitOfWork, owner: User
) -> None:
    before = {
        (line.step.run_id, line.step.step) for line in await _exported(postgres_uow, owner.id)
    }
    runs = [await keep_run(postgres_uow, await keep_project(postgres_uow, owner)) for _ in range(6)]

    async def settling() -> None:
        for number, run in enumerate(runs):
            await _work(postgres_uow, run, "idea", seed=1_000 + number)

    working = asyncio.create_task(settling())
    while not working.done():
        places = [
            (line.step.run_id, line.step.step)
            for line in await _exported(postgres_uow, owner.id, batch=3)
        ]
        assert len(places) == len(set(places))
        assert before <= set(places)
    await working
    assert len(await _exported(postgres_uow, owner.id)) == len(before) + 6


@pytest.fixture
async def heavy(postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine) -> AsyncIterator[User]:
    """Somebody with 12,000 settled steps, spread around a midnight in India."""
    user = await keep_user(postgres_uow)
    async with app_engine.begin() as connection:
        await connection.execute(
            text("SELECT set_config('app.user_id', :id, true)"), {"id": str(user.id)}
        )
        await connection.execute(
            text(
                "INSERT INTO usage (user_id, run_id, step, project_id, mode, model, charged,"
                " input_tokens, credits, cost_nano_usd, paise_per_usd, at)"
                " SELECT :user, gen_random_uuid(), 'idea', gen_random_uuid(), 'developer', 'm',"
                " true, n, n, n, 9000,"
                " CAST(:midnight AS timestamptz) + (n - 6000) * interval '1 s'"
                " FROM generate_series(1, 12000) AS n"
            ),
            {"user": user.id, "midnight": NOW},
        )
    yield user


async def test_memory_does_not_grow_with_the_export(
    postgres_uow: PostgresUnitOfWork, heavy: User
) -> None:
    async def peak(only: UsageFilter) -> tuple[int, int]:
        lines = 0
        batches = await ExportUsage(postgres_uow, batch=200)(heavy.id, only)
        tracemalloc.start()
        async for batch in batches:
            lines += len(batch)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return lines, most

    await peak(UsageFilter(days=Days(first=day_of(NOW), last=day_of(NOW))))
    few, little = await peak(UsageFilter(days=Days(first=day_of(NOW) + timedelta(days=1))))
    assert (few, little < 2_000_000) == (0, True)
    half, of_half = await peak(UsageFilter(days=Days(first=day_of(NOW))))
    whole, of_whole = await peak(EVERYTHING)
    assert (half, whole) == (6_001, 12_000)
    assert of_whole < 1.3 * of_half


async def test_a_day_begins_at_midnight_in_india(
    postgres_uow: PostgresUnitOfWork, heavy: User
) -> None:
    async with postgres_uow.begin(heavy.id) as tx:
        today, yesterday = await tx.usage.sums(UsageGroup.DAY, EVERYTHING, after=None, limit=9)
    assert (today.key, yesterday.key) == ("2026-11-24", "2026-11-23")
    # Line n is n - 6,000 seconds from the midnight.
    assert today.credits == sum(range(6_000, 12_001))
    assert yesterday.credits == sum(range(1, 6_000))
