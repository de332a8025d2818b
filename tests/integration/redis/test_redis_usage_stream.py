"""The usage log's stream on a real server, and on one that loses its data or is away."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from adapters.redis import RedisUsageSink, RedisUsageStream
from application.ports.usage_log import UsageStream, UsageStreamAway
from tests.contracts.usage_log_contract import Consumer, UsageStreamContract, make_request
from tests.integration.redis.private_valkey import PrivateValkey

STALE_SECONDS = 2.0


class TestRedisUsageStream(UsageStreamContract):
    @pytest.fixture
    def sink(self, redis: Redis) -> RedisUsageSink:
        return RedisUsageSink(redis, 1_000)

    @pytest.fixture
    def narrow_sink(self, redis: Redis) -> RedisUsageSink:
        return RedisUsageSink(redis, 3)

    @pytest.fixture
    def consumer(self, redis: Redis) -> Consumer:
        return lambda: RedisUsageStream(redis, STALE_SECONDS)

    @pytest.fixture
    def died(self) -> Callable[[UsageStream], Awaitable[None]]:
        async def died(_: UsageStream) -> None:
            await asyncio.sleep(1.1 * STALE_SECONDS)

        return died

    @pytest.fixture
    def set_aside(self, redis: Redis) -> Callable[[], Awaitable[int]]:
        async def count() -> int:
            return int(await redis.xlen("usage:set-aside"))

        return count

    async def test_an_entry_that_cannot_be_read_is_taken_as_such(
        self, redis: Redis, consumer: Consumer
    ) -> None:
        await redis.xadd("usage:requests", {"r": b"\xc1 no row"})
        await redis.xadd("usage:requests", {"other": b"field"})
        one = consumer()
        taken = await one.take(10)
        assert [each.row for each in taken] == [None, None]
        await one.set_aside([each.entry for each in taken])
        [(_, fields), _] = await redis.xrange("usage:set-aside")
        assert fields[b"r"] == b"\xc1 no row"

    async def test_a_flushed_server_is_begun_with_anew(
        self, redis: Redis, sink: RedisUsageSink, consumer: Consumer
    ) -> None:
        one = consumer()
        assert await one.take(10) == []
        await redis.flushall()
        await sink.append([make_request()])
        assert len(await one.take(10)) == 1

    async def test_counters_do_not_stay(self, redis: Redis, sink: RedisUsageSink) -> None:
        await sink.append([make_request()])
        counters = await redis.keys("usage:live:*")
        assert len(counters) == 3
        for counter in counters:
            assert 0 < await redis.ttl(counter) <= 2 * 24 * 3600

    async def test_a_consumer_that_holds_something_is_not_forgotten(
        self, redis: Redis, sink: RedisUsageSink
    ) -> None:
        await sink.append([make_request()])
        idle, holding, live = (RedisUsageStream(redis, 3_600) for _ in range(3))
        assert len(await holding.take(10)) == 1
        assert await idle.take(10) == []
        await redis.xgroup_createconsumer("usage:requests", "dispatchers", "old")
        forget = redis.register_script(_forget_script())
        await asyncio.sleep(0.05)
        await forget(keys=["usage:requests"], args=["dispatchers", 20])
        left = await redis.xinfo_consumers("usage:requests", "dispatchers")
        assert [each["pending"] for each in left] == [1]
        assert await live.take(10) == []


def _forget_script() -> str:
    from adapters.redis import usage_stream

    return usage_stream._FORGET


async def test_a_server_that_is_away_says_so(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> None:
    client = connect(valkey.url)
    sink, stream = RedisUsageSink(client, 10), RedisUsageStream(client)
    await sink.append([make_request()])
    valkey.kill()
    with pytest.raises(UsageStreamAway):
        await sink.append([make_request()])
    with pytest.raises(UsageStreamAway):
        await stream.take(1)
    with pytest.raises(UsageStreamAway):
        await stream.backlog()
