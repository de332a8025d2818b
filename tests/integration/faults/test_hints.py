"""Hints that are lost, or that come again and again: the row is the job."""

import asyncio
import signal
from collections import Counter
from uuid import UUID

import pytest

from adapters.dramatiq import DramatiqJobQueue, open_broker
from application.failpoints import Failpoint
from domain.shared.ids import RunId
from tests.integration.faults.exact import Undisturbed, assert_exact
from tests.integration.faults.stage import Stage


@pytest.mark.parametrize("failpoint", [Failpoint.DUE_BEFORE_SEND, Failpoint.DUE_AFTER_SEND])
async def test_a_dispatcher_killed_around_sending_loses_no_run(
    stage: Stage, expected: Undisturbed, failpoint: Failpoint
) -> None:
    await stage.end(*stage.running("dispatcher"))
    case = await stage.execute()
    await stage.redis("FLUSHALL")
    doomed = await stage.start("dispatcher", at=failpoint)
    async with asyncio.timeout(30):
        assert await doomed.wait() == -signal.SIGKILL
    await stage.start("dispatcher")
    await stage.start("worker")
    await case.finished()
    await assert_exact(stage, case, expected)


async def test_ten_deliveries_to_two_workers_are_one_run(
    stage: Stage, expected: Undisturbed
) -> None:
    # Leases that no busy machine lets run out: nothing but the hints may hand the run over.
    for _ in range(2):
        await stage.open_worker(LEASE_SECONDS="60")
    case = await stage.execute()
    queue = DramatiqJobQueue(open_broker(stage.environment["REDIS_URL"]))
    for _ in range(10):
        await queue.announce_run(RunId(UUID(case.run_id)))
    await stage.until_event(case, "step.finished")
    for _ in range(10):
        await queue.announce_run(RunId(UUID(case.run_id)))
    await case.finished()
    await queue.announce_run(RunId(UUID(case.run_id)))
    await assert_exact(stage, case, expected)
    events = await stage.rows("SELECT type FROM run_events WHERE run_id = $1", case.run_id)
    begun = Counter(event["type"] for event in events)
    assert (begun["run.started"], begun["run.resumed"]) == (1, 0)
