"""Runs: where each state may go."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.agents.artifacts import Mode
from domain.projects.run import LIVE, NEXT, TERMINAL, Run, RunStatus
from domain.shared.ids import ProjectId, RunId, UserId


def run(status: RunStatus) -> Run:
    """A run of which only the status matters."""
    return Run(
        id=RunId(UUID(int=1)),
        project_id=ProjectId(UUID(int=2)),
        user_id=UserId(UUID(int=3)),
        mode=Mode.DEVELOPER,
        pipeline_version=1,
        status=status,
        progress=0,
        reuse=True,
        retry_of=None,
        attempts=0,
        fence=0,
        cancel_requested=False,
        event_seq=0,
        error_code="",
        error="",
        created_at=datetime(2026, 11, 2, tzinfo=UTC),
        started_at=None,
        finished_at=None,
    )


def reachable(status: RunStatus) -> set[RunStatus]:
    """Every state that can come after this one."""
    seen: set[RunStatus] = set()
    frontier = [status]
    while frontier:
        for following in NEXT[frontier.pop()] - seen:
            seen.add(following)
            frontier.append(following)
    return seen


def test_every_state_is_live_or_terminal() -> None:
    assert {status for status in RunStatus if (status in LIVE) != (status in TERMINAL)} == set(
        RunStatus
    )


@pytest.mark.parametrize("status", RunStatus)
def test_every_state_says_where_it_may_go(status: RunStatus) -> None:
    assert status in NEXT


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_nothing_leaves_a_terminal_state(status: RunStatus) -> None:
    assert NEXT[status] == frozenset()


@pytest.mark.parametrize("status", sorted(LIVE))
def test_every_live_state_reaches_every_end(status: RunStatus) -> None:
    assert reachable(status) >= TERMINAL


@pytest.mark.parametrize("status", RunStatus)
def test_no_state_goes_to_itself(status: RunStatus) -> None:
    assert status not in NEXT[status]


def test_a_queued_run_neither_succeeds_nor_fails_unclaimed() -> None:
    assert NEXT[RunStatus.QUEUED].isdisjoint({RunStatus.SUCCEEDED, RunStatus.FAILED})


@pytest.mark.parametrize("status", RunStatus)
def test_a_run_is_live_while_something_may_still_happen(status: RunStatus) -> None:
    assert run(status).live is bool(NEXT[status])
