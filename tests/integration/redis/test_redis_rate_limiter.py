"""The shared limiter on a real server, and without one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from redis.asyncio import Redis

from adapters.redis import RedisRateLimiter
from application.ports.metrics import LimitMetrics
from application.ports.rate_limiter import Charge
from tests.contracts.rate_limiter_contract import (
    POLICIES,
    REQUESTS,
    RateLimiterContract,
    assert_as_in_the_textbook,
    policy,
)
from tests.fakes.metrics import RecordingLimitMetrics
from tests.integration.redis.private_valkey import PrivateValkey

TOLD_TIME = "local now, grace = tonumber(redis.call('GET', 'the-time')), 3600000\n"
"""In place of the server's clock: what a test has set. Keys outlive the test, for the server's
own time decides when they go."""


class Limiting(Protocol):
    """Makes a limiter that is closed after the test."""

    def __call__(
        self, redis: Redis, metrics: LimitMetrics | None = None, **more: Any
    ) -> RedisRateLimiter: ...


@pytest.fixture
async def limiting() -> AsyncIterator[Limiting]:
    async with AsyncExitStack() as opened:

        def made(
            redis: Redis, metrics: LimitMetrics | None = None, **more: Any
        ) -> RedisRateLimiter:
            limiter = RedisRateLimiter(redis, metrics or RecordingLimitMetrics(), **more)
            opened.push_async_callback(limiter.close)
            return limiter

        yield made


class TestRedisRateLimiter(RateLimiterContract):
    @pytest.fixture
    def limiter(self, redis: Redis, limiting: Limiting) -> RedisRateLimiter:
        return limiting(redis)

    async def test_processes_count_together(
        self, redis: Redis, limiter: RedisRateLimiter, limiting: Limiting
    ) -> None:
        other = limiting(redis)
        charge = Charge(policy=policy(100), caller="c")
        answers = await asyncio.gather(
            *(each.charge([charge]) for each in (limiter, other) for _ in range(80))
        )
        assert sum(answer.admitted for answer in answers) == 100

    async def test_an_empty_bucket_leaves_no_key(
        self, redis: Redis, limiter: RedisRateLimiter
    ) -> None:
        await limiter.charge([Charge(policy=policy(10, 100), caller="c")])
        [key] = await redis.keys()
        assert 0 < await redis.pttl(key) <= 10_000
        await limiter.charge([Charge(policy=policy(10, 100), caller="c", cost=-1)])
        assert await redis.keys() == []

    async def test_room_comes_back_with_the_servers_time(self, limiter: RedisRateLimiter) -> None:
        charge = Charge(policy=policy(2, 5), caller="c")
        assert [(await limiter.charge([charge])).admitted for _ in range(3)] == [True, True, False]
        await asyncio.sleep(2.6)
        assert [(await limiter.charge([charge])).admitted for _ in range(2)] == [True, False]


def test_the_script_answers_as_the_textbook(running_valkey: PrivateValkey) -> None:
    from adapters.redis import open_redis

    @settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
    @given(POLICIES, REQUESTS)
    def answers_as_the_textbook(policies, requests) -> None:
        async def compare() -> None:
            client = open_redis(running_valkey.url)
            try:
                await client.flushall()
                limiter = RedisRateLimiter(client, RecordingLimitMetrics(), clock=TOLD_TIME)

                async def set_time(ms: int) -> None:
                    await client.set("the-time", ms)

                try:
                    await assert_as_in_the_textbook(limiter, set_time, policies, requests)
                finally:
                    await limiter.close()
            finally:
                await client.aclose()

        asyncio.run(compare())

    answers_as_the_textbook()


async def test_a_servers_clock_set_back_drains_nothing(redis: Redis, limiting: Limiting) -> None:
    limiter = limiting(redis, clock=TOLD_TIME)
    charge, passed = Charge(policy=policy(1, 10), caller="c"), []
    for ms in (10_000, 5_000, 19_999, 20_000):
        await redis.set("the-time", ms)
        passed.append((await limiter.charge([charge])).admitted)
    assert passed == [True, False, False, True]


async def test_a_clock_that_was_far_ahead_holds_nobody_up_longer_than_a_window(
    redis: Redis, limiting: Limiting
) -> None:
    limiter = limiting(redis, clock=TOLD_TIME)
    charge, answers = Charge(policy=policy(1, 10), caller="c"), []
    for ms in (3_600_000, 1_000, 6_000, 10_999, 11_000):
        await redis.set("the-time", ms)
        answers.append(await limiter.charge([charge]))
    assert [each.admitted for each in answers] == [True, False, False, False, True]
    assert [each.standings[0].retry_seconds for each in answers[1:4]] == [10, 5, 1]


async def test_without_redis_a_process_grants_a_small_share(
    valkey: PrivateValkey, connect: Callable[[str], Redis], limiting: Limiting
) -> None:
    metrics = RecordingLimitMetrics()
    limiter = limiting(connect(valkey.url), metrics)
    full, fresh = policy(3), policy(50)
    for _ in range(4):
        await limiter.charge([Charge(policy=full, caller="c")])
    valkey.kill()
    granted = [await limiter.charge([Charge(policy=fresh, caller="d")]) for _ in range(200)]
    refused = [await limiter.charge([Charge(policy=full, caller="c")]) for _ in range(5)]
    assert sum(answer.admitted for answer in granted) == 5
    assert not any(answer.admitted for answer in refused)
    assert refused[0].violated[0].retry_seconds > 0
    assert metrics.states == [True]


async def test_when_redis_is_back_counts_are_shared_again(
    valkey: PrivateValkey, connect: Callable[[str], Redis], limiting: Limiting
) -> None:
    metrics, seconds = RecordingLimitMetrics(), [0.0]
    limiter = limiting(connect(valkey.url), metrics, seconds=lambda: seconds[0])
    charge = Charge(policy=policy(50), caller="c")
    valkey.kill()
    await limiter.charge([charge])
    valkey.start()
    seconds[0] += 1.1
    verdict = await limiter.charge([charge])
    assert verdict.standings[0].policy.quota == 50
    assert metrics.states == [True, False]


async def test_a_frozen_server_costs_one_request_its_wait_and_not_each(
    valkey: PrivateValkey, connect: Callable[[str], Redis], limiting: Limiting
) -> None:
    limiter = limiting(connect(valkey.url))
    charge = Charge(policy=policy(1_000), caller="c")
    await limiter.charge([charge])
    valkey.freeze()
    try:
        await limiter.charge([charge])
        async with asyncio.timeout(20):
            answers = [await limiter.charge([charge]) for _ in range(300)]
    finally:
        valkey.thaw()
    assert sum(answer.admitted for answer in answers) == 99
