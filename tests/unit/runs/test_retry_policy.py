"""Retries are bounded, jittered, and never sooner than the provider asked."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from application.ports.language_model import FailureKind, ModelCallFailed
from application.runs.retry_policy import RULES, next_delay

kinds = st.sampled_from(sorted(FailureKind))


def _most(_: float, high: float) -> float:
    return high


@given(kinds, st.integers(0, 30), st.none() | st.floats(0, 600))
def test_a_delay_keeps_to_its_cap_and_to_the_providers_wish(
    kind: FailureKind, before: int, wish: float | None
) -> None:
    delay = next_delay(ModelCallFailed(kind, "x", retry_after=wish), before)
    if delay is not None:
        assert delay >= (wish or 0)
        assert delay <= max(RULES[kind].cap_seconds, wish or 0)


@given(kinds)
def test_tries_come_to_an_end(kind: FailureKind) -> None:
    failure = ModelCallFailed(kind, "x")
    tries = [next_delay(failure, before) is not None for before in range(50)]
    assert sum(tries) == RULES[kind].tries
    assert tries == sorted(tries, reverse=True)


@given(st.sampled_from([FailureKind.TRANSIENT, FailureKind.OVERLOADED]))
def test_the_longest_wait_doubles_up_to_the_cap(kind: FailureKind) -> None:
    failure = ModelCallFailed(kind, "x")
    waits = [
        wait
        for before in range(RULES[kind].tries)
        if (wait := next_delay(failure, before, _most)) is not None
    ]
    for shorter, longer in pairwise(waits):
        assert longer == min(2 * shorter, RULES[kind].cap_seconds)
