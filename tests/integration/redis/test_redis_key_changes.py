"""News of keys over a real server, which is killed, frozen and brought back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from adapters.redis import RedisKeyChanges
from application.ports.keys import KeyChanges
from domain.shared.ids import UserId
from tests.contracts.keys_contract import KeyChangesContract
from tests.contracts.samples import new_id
from tests.integration.redis.private_valkey import PrivateValkey, eventually


@pytest.fixture
async def changes(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> AsyncIterator[RedisKeyChanges]:
    opened = RedisKeyChanges(connect(valkey.url))
    await opened.start()
    yield opened
    await opened.close()


async def until(changes: KeyChanges, heard: bool, seconds: float = 20.0) -> None:
    async def so() -> bool:
        return changes.heard is heard

    await eventually(so, seconds)


class TestRedisKeyChanges(KeyChangesContract):
    @pytest.fixture
    def interrupt(self, valkey: PrivateValkey) -> Callable[[], Awaitable[None]]:
        async def interrupt() -> None:
            valkey.kill()
            valkey.start()

        return interrupt

    async def test_other_processes_hear_it_too(
        self, changes: RedisKeyChanges, valkey: PrivateValkey, connect: Callable[[str], Redis]
    ) -> None:
        heard: list[UserId] = []
        changes.listen(heard.append, lambda: None)
        await until(changes, True)
        user_id = UserId(new_id())
        await RedisKeyChanges(connect(valkey.url)).announce(user_id)

        async def arrived() -> bool:
            return heard == [user_id]

        await eventually(arrived)

    async def test_a_killed_server_is_noticed_without_waiting_for_silence(
        self, changes: RedisKeyChanges, valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Silence alone would not be noticed for a minute.
        monkeypatch.setattr(changes._subscriber, "_quiet_seconds", 60.0)
        await until(changes, True)
        valkey.kill()
        await until(changes, False)

    async def test_a_silent_server_is_noticed_within_a_second(
        self, changes: RedisKeyChanges, valkey: PrivateValkey
    ) -> None:
        took = []
        while min(took, default=1) >= 1 and len(took) < 3:  # a busy machine may be late once
            await until(changes, True)
            valkey.freeze()
            began = time.monotonic()
            try:
                await until(changes, False)
            finally:
                valkey.thaw()
            took.append(time.monotonic() - began)
        assert min(took) < 1
        await until(changes, True)

    async def test_a_quiet_server_is_not_taken_for_a_lost_one(
        self, changes: RedisKeyChanges
    ) -> None:
        missed: list[bool] = []
        await until(changes, True)
        changes.listen(lambda _: None, lambda: missed.append(True))
        for _ in range(20):
            await asyncio.sleep(0.1)
            assert changes.heard
        assert not missed

    async def test_announcing_without_a_server_tells_this_process_alone(
        self, changes: RedisKeyChanges, valkey: PrivateValkey
    ) -> None:
        heard: list[UserId] = []
        changes.listen(heard.append, lambda: None)
        valkey.kill()
        user_id = UserId(new_id())
        await changes.announce(user_id)
        assert heard == [user_id]

    async def test_what_is_not_understood_makes_everything_be_read_anew(
        self,
        changes: RedisKeyChanges,
        redis: Redis,
        valkey: PrivateValkey,
        connect: Callable[[str], Redis],
    ) -> None:
        missed: list[bool] = []
        await until(changes, True)
        changes.listen(lambda _: None, lambda: missed.append(True))
        await connect(valkey.url).publish("api-keys", b"nonsense")

        async def told() -> bool:
            return bool(missed)

        await eventually(told)

    async def test_before_it_is_started_nothing_is_heard(self, redis: Redis) -> None:
        assert not RedisKeyChanges(redis).heard
