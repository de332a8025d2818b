"""Known places, on a real server."""

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from adapters.redis import RedisKnownPlaces
from application.ports.known_places import REMEMBERED
from tests.contracts.known_places_contract import ASHA, HERE, KnownPlacesContract


class TestRedisKnownPlaces(KnownPlacesContract):
    @pytest.fixture
    def places(self, redis: Redis) -> RedisKnownPlaces:
        return RedisKnownPlaces(redis)

    @pytest.fixture
    def forget_by_age(self, redis: Redis) -> Callable[[], Awaitable[None]]:
        async def forget_by_age() -> None:
            (key,) = await redis.keys()
            left = await redis.ttl(key)
            assert REMEMBERED.total_seconds() - 60 < left <= REMEMBERED.total_seconds()
            await redis.pexpire(key, 0)  # so much for waiting

        return forget_by_age

    async def test_the_server_learns_neither_account_nor_place(
        self, redis: Redis, places: RedisKnownPlaces
    ) -> None:
        await places.note(ASHA, HERE)
        (key,) = await redis.keys()
        assert ASHA.encode() not in key
        assert HERE.encode() not in key


async def test_nothing_is_known_while_the_server_is_away() -> None:
    away = Redis.from_url("redis://127.0.0.1:1/0")
    places = RedisKnownPlaces(away)
    await places.note(ASHA, HERE)
    assert not await places.knows(ASHA, HERE)
    await away.aclose()
