"""Live progress on a real server, which is cut off, killed and frozen."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from adapters.redis import RedisLiveUpdates
from application.ports.live import Nudge, StepProgress
from tests.contracts.live_contract import (
    LiveUpdatesContract,
    arriving,
    make_run_id,
    until,
)
from tests.integration.redis.private_valkey import PrivateValkey, eventually


class TestRedisLiveUpdates(LiveUpdatesContract):
    @pytest.fixture
    async def live(self, redis: Redis) -> AsyncIterator[RedisLiveUpdates]:
        live = RedisLiveUpdates(redis)
        await live.start()
        yield live
        await live.close()

    async def test_processes_hear_each_other(self, redis: Redis, live: RedisLiveUpdates) -> None:
        run = make_run_id()
        async with live.follow(run) as updates:
            await RedisLiveUpdates(redis).publish(run, Nudge(seq=3))

            assert await arriving(updates) == Nudge(seq=3)

    async def test_one_connection_carries_every_run(
        self, redis: Redis, live: RedisLiveUpdates
    ) -> None:
        async with AsyncExitStack() as stack:
            for _ in range(50):
                await stack.enter_async_context(live.follow(make_run_id()))

            assert len(await redis.client_list(_type="pubsub")) == 1
            assert len(await redis.pubsub_channels()) == 50

    async def test_the_last_follower_to_leave_ends_the_subscription(
        self, redis: Redis, live: RedisLiveUpdates
    ) -> None:
        run = make_run_id()
        async with live.follow(run):
            async with live.follow(run):
                pass
            assert await redis.pubsub_channels() == [f"run:{run}".encode()]

        async def nothing_is_subscribed() -> bool:
            return not await redis.pubsub_channels()

        await eventually(nothing_is_subscribed)

    async def test_a_follower_that_waits_is_not_cut_off_by_one_that_leaves(
        self, redis: Redis, live: RedisLiveUpdates
    ) -> None:
        run = make_run_id()
        async with AsyncExitStack() as stack:
            one, two = (live.follow(run) for _ in range(2))
            entering = asyncio.create_task(stack.enter_async_context(one))
            async with two:
                pass
            updates = await entering
            await live.publish(run, Nudge(seq=1))

            assert await arriving(updates) == Nudge(seq=1)

    async def test_what_is_not_understood_is_skipped(
        self, redis: Redis, live: RedisLiveUpdates
    ) -> None:
        run = make_run_id()
        async with live.follow(run) as updates:
            with capture_logs() as logs:
                for message in (b"", b"{}", b'{"type":"new kind"}', b"\xff"):
                    await redis.publish(f"run:{run}", message)
                await live.publish(run, Nudge(seq=1))
                assert await arriving(updates) == Nudge(seq=1)

        assert [entry["event"] for entry in logs] == ["live_update_not_understood"] * 4

    async def test_closing_ends_every_iteration(self, live: RedisLiveUpdates) -> None:
        async with live.follow(make_run_id()) as updates:
            await live.close()

            assert [update async for update in updates] == []

    async def test_closing_leaves_no_task_and_no_connection(
        self, redis: Redis, live: RedisLiveUpdates
    ) -> None:
        async with live.follow(make_run_id()):
            pass
        await live.close()
        await live.close()

        async def nobody_listens() -> bool:
            return not await redis.client_list(_type="pubsub")

        await eventually(nobody_listens)
        assert "live updates" not in {task.get_name() for task in asyncio.all_tasks()}

    async def test_following_needs_a_start(self, redis: Redis) -> None:
        with pytest.raises(RuntimeError, match="between start"):
            async with RedisLiveUpdates(redis).follow(make_run_id()):
                pass


@pytest.fixture
async def live(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> AsyncIterator[RedisLiveUpdates]:
    live = RedisLiveUpdates(connect(valkey.url))
    await live.start()
    yield live
    await live.close()


async def test_a_killed_connection_comes_back_with_every_run(
    valkey: PrivateValkey, live: RedisLiveUpdates, connect: Callable[[str], Redis]
) -> None:
    admin, runs = connect(valkey.url), [make_run_id() for _ in range(20)]
    async with AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(live.follow(run)) for run in runs]
        for round_ in range(1, 4):
            assert await admin.client_kill_filter(_type="pubsub") == 1
            for updates in followers:
                assert await arriving(updates) == Nudge(seq=0)
            for run, updates in zip(runs, followers, strict=True):
                await live.publish(run, Nudge(seq=round_))
                assert await arriving(updates) == Nudge(seq=round_)


async def test_a_killed_server_that_is_started_again_is_found(
    valkey: PrivateValkey, live: RedisLiveUpdates
) -> None:
    run = make_run_id()
    async with live.follow(run) as updates:
        with capture_logs() as logs:
            valkey.kill()
            await live.publish(run, Nudge(seq=1))
            valkey.start()

            assert await arriving(updates) == Nudge(seq=0)
        await live.publish(run, Nudge(seq=2))
        assert await arriving(updates) == Nudge(seq=2)

    events = [entry["event"] for entry in logs]
    assert events.count("live_subscription_lost") == 1
    assert events.count("live_subscription_restored") == 1
    assert "live_update_not_published" in events


async def test_a_run_first_followed_while_the_server_is_away_is_caught_up(
    valkey: PrivateValkey, live: RedisLiveUpdates
) -> None:
    valkey.kill()
    run = make_run_id()
    async with asyncio.timeout(20), live.follow(run) as updates:
        pass
    async with live.follow(run) as updates:
        valkey.start()

        assert await arriving(updates) == Nudge(seq=0)
        await live.publish(run, Nudge(seq=1))
        assert await arriving(updates) == Nudge(seq=1)


async def test_runs_left_while_the_server_is_away_are_not_subscribed_again(
    valkey: PrivateValkey, live: RedisLiveUpdates, connect: Callable[[str], Redis]
) -> None:
    stays, admin = make_run_id(), connect(valkey.url)
    async with live.follow(stays) as updates:
        async with live.follow(make_run_id()):
            valkey.kill()
        valkey.start()
        await until(updates, Nudge(seq=0))

        assert await admin.pubsub_channels() == [f"run:{stays}".encode()]


async def test_a_connection_that_falls_silent_is_given_up(
    valkey: PrivateValkey, live: RedisLiveUpdates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live._subscriber, "_quiet_seconds", 0.1)
    run = make_run_id()
    async with live.follow(run) as updates:
        # The wait begun with the old patience ends with the next word.
        await live.publish(run, Nudge(seq=1))
        await arriving(updates)
        with capture_logs() as logs:

            async def noticed() -> bool:
                return "live_subscription_lost" in {entry["event"] for entry in logs}

            valkey.freeze()
            await eventually(noticed)
            valkey.thaw()

        assert await arriving(updates) == Nudge(seq=0)


async def test_publishing_to_a_frozen_server_takes_about_a_second(
    valkey: PrivateValkey, live: RedisLiveUpdates
) -> None:
    await live.publish(make_run_id(), Nudge(seq=1))
    valkey.freeze()
    started = time.monotonic()

    with capture_logs() as logs:
        await live.publish(make_run_id(), StepProgress(step="idea", output_tokens=1))
    valkey.thaw()

    assert time.monotonic() - started < 10
    assert [entry["event"] for entry in logs] == ["live_update_not_published"]


async def test_closing_while_the_server_is_away_is_quick(
    valkey: PrivateValkey, live: RedisLiveUpdates
) -> None:
    valkey.kill()

    async with asyncio.timeout(20):
        await live.close()
