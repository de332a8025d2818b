"""Redis, PostgreSQL and the object store go away in the middle of a run."""

import asyncio
import signal
import time

import pytest

from tests.integration.faults.exact import Undisturbed, assert_exact
from tests.integration.faults.stage import Stage, kill

OUTAGE_SECONDS = 20.0


async def test_redis_emptied_in_the_middle_is_not_even_noticed(
    stage: Stage, expected: Undisturbed
) -> None:
    await stage.start("worker")
    case = await stage.execute()
    await stage.until_calls(case, 2)
    await stage.redis("FLUSHALL")
    await case.finished()
    await assert_exact(stage, case, expected)


async def test_a_run_whose_hint_was_flushed_is_found_again(
    stage: Stage, expected: Undisturbed
) -> None:
    case = await stage.execute()
    await stage.redis("FLUSHALL")
    await stage.start("worker")
    await case.finished()
    await assert_exact(stage, case, expected)


async def test_redis_killed_in_the_middle_costs_no_call(
    stage: Stage, expected: Undisturbed
) -> None:
    await stage.start("worker")
    case = await stage.execute()
    await stage.until_calls(case, 2)
    await stage.kill_server("valkey")
    await case.finished()
    await assert_exact(stage, case, expected)


@pytest.mark.parametrize("calls", [1, 3, 6])
async def test_postgres_killed_in_the_middle_costs_at_most_the_calls_under_way(
    stage: Stage, expected: Undisturbed, calls: int
) -> None:
    await stage.start("worker")
    case = await stage.execute()
    await stage.until_calls(case, calls)
    await stage.kill_server("postgres")
    await case.finished()
    lost = await stage.lost(case)
    assert lost <= 4
    await assert_exact(stage, case, expected, more_calls=lost)


async def test_an_object_store_down_for_long_parks_the_run_and_buys_nothing_twice(
    stage: Stage, expected: Undisturbed
) -> None:
    await stage.start("worker")
    case = await stage.execute()
    await stage.until_calls(case, 1)
    store, back = stage.server("seaweedfs"), time.monotonic() + OUTAGE_SECONDS
    while time.monotonic() < back:
        kill(store)
        await asyncio.sleep(0.05)
    await case.finished()
    await assert_exact(stage, case, expected)


async def test_an_object_store_that_hangs_parks_the_run_and_buys_nothing_twice(
    stage: Stage, expected: Undisturbed
) -> None:
    await stage.start("worker")
    case = await stage.execute()
    await stage.until_calls(case, 2)
    store = stage.server("seaweedfs")
    kill(store, signal.SIGSTOP)
    try:
        await asyncio.sleep(OUTAGE_SECONDS)
    finally:
        kill(store, signal.SIGCONT)
    await case.finished()
    await assert_exact(stage, case, expected)
