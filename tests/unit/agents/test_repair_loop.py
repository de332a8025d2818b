"""The repair loop stops at success, at its last try, at the budget, or when stuck."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.budget import RepairDecision, RepairLoop, StopReason


def after(loop: RepairLoop, *signatures: str) -> RepairDecision:
    for signature in signatures:
        decision = loop.next(signature, 0, 100)
        loop = decision.loop
    return decision


def test_success_stops_it() -> None:
    assert RepairLoop().next(None, 10**9, 0).stop is StopReason.SUCCEEDED


def test_a_new_failure_is_repaired() -> None:
    decision = after(RepairLoop(), "a", "b")
    assert decision.repairs
    assert decision.loop.attempts == 2


@pytest.mark.parametrize("signatures", [("a", "a"), ("a", "b", "a")])
def test_a_failure_that_comes_back_stops_it(signatures: tuple[str, ...]) -> None:
    assert after(RepairLoop(), *signatures).stop is StopReason.SAME_FAILURE


def test_the_last_try_stops_it() -> None:
    assert after(RepairLoop(), "a", "b", "c", "d").repairs
    assert after(RepairLoop(), "a", "b", "c", "d", "e").stop is StopReason.ATTEMPTS_SPENT


def test_the_budget_stops_it() -> None:
    assert RepairLoop().next("a", 99, 100).repairs
    assert RepairLoop().next("a", 100, 100).stop is StopReason.BUDGET_SPENT


def test_the_code_comes_before_the_limits_as_a_reason() -> None:
    loop = after(RepairLoop(max_attempts=1), "a").loop
    assert loop.next("a", 100, 100).stop is StopReason.SAME_FAILURE


@pytest.mark.parametrize(("spent", "budget"), [(-1, 1), (1, -1)])
def test_money_is_not_negative(spent: int, budget: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        RepairLoop().next("a", spent, budget)


@given(st.lists(st.sampled_from("abcdefgh")), st.integers(0, 6))
def test_it_always_ends_within_its_tries(signatures: list[str], most: int) -> None:
    loop, repairs = RepairLoop(max_attempts=most), 0
    for signature in signatures:
        decision = loop.next(signature, 0, 1)
        if not decision.repairs:
            break
        loop, repairs = decision.loop, repairs + 1
    assert repairs <= most
    assert len(set(loop.signatures)) == len(loop.signatures)
