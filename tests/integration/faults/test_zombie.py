"""A worker that stands still past its lease, and then goes on as if nothing had been."""

import signal

import pytest

from application.failpoints import Failpoint
from tests.integration.faults.exact import Undisturbed, assert_exact
from tests.integration.faults.nursery import Forked
from tests.integration.faults.stage import Case, Stage, kill, until


async def _until_it_knows(zombie: Forked) -> None:
    async def knows() -> bool:
        log = zombie.log_file.read_text()
        return "lease lost" in log or "leaving the run to its lease" in log

    await until(knows)


async def _overtaken(stage: Stage, case: Case) -> int:
    """Have another worker take the run; how many calls the zombie left open."""
    under_way = await stage.in_flight(case)
    await stage.start("worker")
    await stage.until_event(case, "run.resumed")
    return under_way


@pytest.mark.parametrize("until_the_end", [False, True], ids=["meanwhile", "afterwards"])
async def test_a_zombie_with_an_answer_on_its_way_changes_nothing(
    stage: Stage, expected: Undisturbed, until_the_end: bool
) -> None:
    zombie = await stage.open_worker()
    case = await stage.execute()
    await stage.until_calls(case, 2)
    kill(zombie, signal.SIGSTOP)
    under_way = await _overtaken(stage, case)
    if until_the_end:
        await case.finished()
    kill(zombie, signal.SIGCONT)
    await _until_it_knows(zombie)
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=under_way)


@pytest.mark.parametrize(
    ("failpoint", "nth"), [(Failpoint.AFTER_OBJECTS, 2), (Failpoint.AFTER_STEP_COMMIT, 1)]
)
async def test_a_zombie_that_is_about_to_commit_or_has_changes_nothing(
    stage: Stage, expected: Undisturbed, failpoint: Failpoint, nth: int
) -> None:
    zombie = await stage.start("worker", at=failpoint, nth=nth, how="stop")
    case = await stage.execute()
    await stage.until_event(case, "step.started")
    under_way = await _overtaken(stage, case)
    kill(zombie, signal.SIGCONT)
    await _until_it_knows(zombie)
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=max(under_way, await stage.lost(case)))


async def test_a_zombie_in_an_open_transaction_does_not_hold_the_run_for_ever(
    stage: Stage, expected: Undisturbed
) -> None:
    zombie = await stage.start("worker", at=Failpoint.BEFORE_STEP_COMMIT, nth=2, how="stop")
    case = await stage.execute()
    await stage.until_event(case, "step.finished")
    under_way = await _overtaken(stage, case)
    kill(zombie, signal.SIGCONT)
    await _until_it_knows(zombie)
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=max(under_way, await stage.lost(case)))
