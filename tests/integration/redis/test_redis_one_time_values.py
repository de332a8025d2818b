"""Values taken once, on a real server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from adapters.redis import RedisOneTimeValues
from application.ports.identity_provider import ValuesUnavailable
from tests.contracts.one_time_contract import NOTE, Note, OneTimeValuesContract
from tests.integration.redis.private_valkey import PrivateValkey, eventually


class TestRedisOneTimeValues(OneTimeValuesContract):
    @pytest.fixture
    def values(self, redis: Redis) -> RedisOneTimeValues[Note]:
        return RedisOneTimeValues(redis, "note", Note)

    @pytest.fixture
    def let_pass(self, redis: Redis) -> Callable[[int], Awaitable[None]]:
        async def nothing_is_left() -> bool:
            return int(await redis.dbsize()) == 0

        async def let_pass(seconds: int) -> None:
            await eventually(nothing_is_left, seconds + 5)

        return let_pass

    async def test_the_server_never_learns_a_token(
        self, redis: Redis, values: RedisOneTimeValues[Note]
    ) -> None:
        token = await values.keep(NOTE, 30)
        [key] = await redis.keys()
        assert token.encode() not in key
        assert token.encode() not in await redis.get(key)
        assert 0 < await redis.ttl(key) <= 30

    async def test_a_token_has_256_random_bits(self, values: RedisOneTimeValues[Note]) -> None:
        assert len(await values.keep(NOTE, 30)) == 43  # 32 bytes in base64url

    async def test_one_kinds_token_gets_nothing_of_anothers(
        self, redis: Redis, values: RedisOneTimeValues[Note]
    ) -> None:
        token = await values.keep(NOTE, 30)
        assert await RedisOneTimeValues(redis, "other", Note).take(token) is None
        assert await values.take(token) == NOTE

    async def test_of_twenty_processes_exactly_one_takes_it(
        self,
        running_valkey: PrivateValkey,
        values: RedisOneTimeValues[Note],
        connect: Callable[[str], Redis],
    ) -> None:
        token = await values.keep(NOTE, 30)
        clients = [connect(running_valkey.url) for _ in range(20)]
        await asyncio.gather(*(client.ping() for client in clients))
        taken = await asyncio.gather(
            *(RedisOneTimeValues(client, "note", Note).take(token) for client in clients)
        )
        assert [value for value in taken if value is not None] == [NOTE]


async def test_without_a_server_they_are_unavailable_in_bounded_time(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> None:
    values = RedisOneTimeValues(connect(valkey.url), "note", Note)
    token = await values.keep(NOTE, 30)
    valkey.kill()
    async with asyncio.timeout(30):
        for attempt in (values.take(token), values.look(token), values.keep(NOTE, 30)):
            with pytest.raises(ValuesUnavailable):
                await attempt
