"""The limiter of one process: GCRA's definition, in bounded memory."""

import asyncio

import pytest
from hypothesis import given

from application.keys.local_rate_limiter import LocalRateLimiter
from application.ports.rate_limiter import Charge
from tests.contracts.rate_limiter_contract import (
    POLICIES,
    REQUESTS,
    RateLimiterContract,
    assert_as_in_the_textbook,
    policy,
)


class Time:
    """Milliseconds that a test sets."""

    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        return self.ms

    async def set(self, ms: int) -> None:
        self.ms = ms


class TestLocalRateLimiter(RateLimiterContract):
    @pytest.fixture
    def limiter(self) -> LocalRateLimiter:
        return LocalRateLimiter(Time())


@given(POLICIES, REQUESTS)
def test_it_answers_as_the_textbook(policies, requests) -> None:
    time = Time()
    asyncio.run(assert_as_in_the_textbook(LocalRateLimiter(time), time.set, policies, requests))


def test_a_clock_set_back_drains_nothing() -> None:
    time = Time()
    time.ms = 10_000
    limiter, charge = LocalRateLimiter(time), Charge(policy=policy(1, 10), caller="c")
    assert limiter.charged([charge]).admitted
    time.ms = 5_000
    assert not limiter.charged([charge]).admitted
    time.ms = 19_999
    assert not limiter.charged([charge]).admitted
    time.ms = 20_000
    assert limiter.charged([charge]).admitted


def test_its_memory_is_bounded_and_forgets_who_asked_longest_ago() -> None:
    limiter = LocalRateLimiter(Time(), max_buckets=3)
    for caller in ("a", "b", "c", "a", "d"):
        limiter.charged([Charge(policy=policy(2), caller=caller)])
    left = {
        caller: limiter.charged([Charge(policy=policy(2), caller=caller, cost=0)])
        .standings[0]
        .remaining
        for caller in ("a", "b", "c", "d")
    }
    assert left == {"a": 0, "b": 2, "c": 1, "d": 1}
