"""A worker that dies between any two commits costs time, and at most the calls under way."""

import asyncio
import signal

import pytest

from application.failpoints import Failpoint
from tests.integration.faults.exact import Undisturbed, assert_exact
from tests.integration.faults.stage import Stage

AT = [
    (Failpoint.AFTER_CLAIM, 1),
    (Failpoint.AFTER_OPEN, 1),
    (Failpoint.AFTER_STEP_BEGUN, 1),
    (Failpoint.AFTER_STEP_BEGUN, 3),
    (Failpoint.AFTER_INTENT, 1),
    (Failpoint.AFTER_INTENT, 5),
    (Failpoint.AFTER_REPLY, 2),
    (Failpoint.AFTER_REPLY, 4),
    (Failpoint.AFTER_JOURNAL, 1),
    (Failpoint.AFTER_JOURNAL, 5),
    (Failpoint.AFTER_OBJECTS, 2),
    (Failpoint.BEFORE_STEP_COMMIT, 1),
    (Failpoint.BEFORE_STEP_COMMIT, 4),
    (Failpoint.AFTER_STEP_COMMIT, 2),
    (Failpoint.AFTER_STEP_COMMIT, 5),
    (Failpoint.BEFORE_RUN_END, 1),
    (Failpoint.AFTER_RUN_END, 1),
]


@pytest.mark.parametrize(("failpoint", "nth"), AT, ids=[f"{at.value}-{nth}" for at, nth in AT])
async def test_another_worker_finishes_what_a_killed_one_began(
    stage: Stage, expected: Undisturbed, failpoint: Failpoint, nth: int
) -> None:
    doomed = await stage.start("worker", at=failpoint, nth=nth)
    case = await stage.execute()
    async with asyncio.timeout(60):
        assert await doomed.wait() == -signal.SIGKILL
    under_way = await stage.in_flight(case)
    await stage.start("worker")
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=under_way)
