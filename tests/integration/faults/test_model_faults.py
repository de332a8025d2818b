"""A model provider that is away, slow, full, or talks nonsense."""

import asyncio

import pytest

from application.ports.language_model import FailureKind
from application.runs.retry_policy import RULES
from tests.integration.faults.exact import Undisturbed, assert_exact
from tests.integration.faults.stage import LEASE_SECONDS, Stage
from tests.servers.messages_api import Turn, overloaded, rate_limited


@pytest.mark.parametrize(
    "turn",
    [
        rate_limited(retry_after="1"),
        rate_limited(retry_after="6"),
        overloaded(),
        Turn(cut_after=1),
        Turn(cut_before_stop=True),
        Turn(malformed_after=1),
        Turn(text="The answer is of course 42."),
        Turn(text='{"title": 42}'),
    ],
    ids=[
        "full-for-a-second",
        "full-for-six",
        "overloaded",
        "cut-stream",
        "cut-at-the-end",
        "malformed-stream",
        "prose",
        "wrong-json",
    ],
)
async def test_a_fault_costs_one_more_call_and_the_person_nothing(
    stage: Stage, expected: Undisturbed, turn: Turn
) -> None:
    stage.model.script(turn)
    await stage.start("worker")
    case = await stage.execute()
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=1)


async def test_an_answer_slower_than_the_lease_is_waited_for(
    stage: Stage, expected: Undisturbed
) -> None:
    stage.model.script(Turn(delay=2 * LEASE_SECONDS))
    await stage.start("worker")
    case = await stage.execute()
    await case.finished()
    await assert_exact(stage, case, expected)
    resumed = "SELECT 1 FROM run_events WHERE run_id = $1 AND type = 'run.resumed'"
    assert not await stage.rows(resumed, case.run_id)


async def test_a_provider_that_is_away_for_a_moment_is_asked_again(
    stage: Stage, expected: Undisturbed
) -> None:
    await stage.start("worker")
    case = await stage.execute()
    await stage.until_calls(case, 2)
    await stage.model.__aexit__()
    await asyncio.sleep(0.5)
    await stage.model.__aenter__()
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=2)


async def test_a_provider_that_stays_away_parks_the_run_and_spends_none_of_its_attempts(
    stage: Stage, expected: Undisturbed
) -> None:
    await stage.start("worker")
    case = await stage.execute()
    await stage.until_event(case, "step.finished")
    under_way = await stage.in_flight(case)
    await stage.model.__aexit__()
    try:
        # More than the tries of a question: only parking keeps the run from ending here.
        await stage.until_failed_calls(case, RULES[FailureKind.TRANSIENT].tries + 1)
        (run,) = await stage.rows("SELECT status, attempts FROM runs WHERE id = $1", case.run_id)
        assert run["status"] in ("queued", "running")
        assert run["attempts"] <= 1
    finally:
        await stage.model.__aenter__()
    await case.finished()
    await assert_exact(stage, case, expected, more_calls=max(2, under_way))
