"""Workers that are told to stop, and workers whose clocks are wrong."""

import asyncio
import signal
import time

from application.failpoints import Failpoint
from tests.integration.faults.exact import Undisturbed, assert_exact
from tests.integration.faults.stage import Stage, kill
from tests.servers.messages_api import Turn

DAY = 86_400.0
HAND_OVER_SECONDS = 5.0


async def test_a_rolling_restart_delays_the_run_by_seconds_each_time(
    stage: Stage, expected: Undisturbed
) -> None:
    stage.model.script(*[Turn(delay=1.0)] * 5)
    first = await stage.open_worker()
    case = await stage.execute()
    await stage.until_calls(case, 2)
    second = await stage.open_worker()
    under_way, resumed = 0, 0
    for leaving in (first, second):
        under_way += await stage.in_flight(case)
        told = time.monotonic()
        kill(leaving, signal.SIGTERM)
        resumed = await stage.until_event(case, "run.resumed", after=resumed)
        assert time.monotonic() - told <= HAND_OVER_SECONDS
        async with asyncio.timeout(30):
            assert await leaving.wait() == 0
        await stage.open_worker()
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=under_way)
    (run,) = await stage.rows("SELECT attempts FROM runs WHERE id = $1", case.run_id)
    assert run["attempts"] == 0


async def test_clocks_two_days_apart_make_no_difference(
    stage: Stage, expected: Undisturbed
) -> None:
    early = await stage.start("worker", at=Failpoint.AFTER_JOURNAL, nth=3, skew=DAY)
    case = await stage.execute()
    async with asyncio.timeout(60):
        assert await early.wait() == -signal.SIGKILL
    under_way = await stage.in_flight(case)
    await stage.start("worker", skew=-DAY)
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=under_way)
