"""Many watch one run for the price of one reader, and none of them sees a gap."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from application.ports.live import Nudge
from application.ports.persistence import DatabaseUnavailable, Transaction, UnitOfWork
from application.runs import run_feed
from application.runs.follow_run import FollowRun
from application.runs.run_feed import WatcherTooSlow
from domain.projects.run import Run
from domain.shared.errors import NotFound
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import UserId
from tests.contracts.samples import new_id
from tests.fakes.live import InMemoryStreamTickets
from tests.unit.runs.world import World, open_world


class CountedUnitOfWork(UnitOfWork):
    """Counts the transactions of those who read, and fails when told to."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self.begun = 0
        self.away = False

    @asynccontextmanager
    async def begin(self, user_id: UserId | None) -> AsyncIterator[Transaction]:
        self.begun += 1
        if self.away:
            raise DatabaseUnavailable("The database does not answer.")
        async with self._uow.begin(user_id) as tx:
            yield tx


async def _following() -> tuple[World, Run, FollowRun, CountedUnitOfWork]:
    world = await open_world()
    run = await world.accepted()
    reading = CountedUnitOfWork(world.uow)
    return world, run, FollowRun(reading, world.live, InMemoryStreamTickets(world.clock)), reading


async def _append(world: World, run: Run, times: int = 1) -> None:
    for _ in range(times):
        async with world.uow.begin(world.user_id) as tx:
            await tx.runs.append_event(run.id, EventType.STEP_STARTED, {"step": "idea"})


async def _seen(follow: FollowRun, run: Run, after: int = 0) -> list[int]:
    updates = follow(run.user_id, run.id, after)
    return [update.seq async for update in updates if isinstance(update, RunEvent)]


async def _until_followed(world: World, run: Run) -> None:
    while run.id not in world.live.followed():
        await asyncio.sleep(0)
    # The feed's first read, after it was subscribed.
    for _ in range(50):
        await asyncio.sleep(0)


async def test_however_many_watch_each_entry_is_read_once() -> None:
    world, run, follow, reading = await _following()
    watching = [asyncio.create_task(_seen(follow, run)) for _ in range(50)]
    await _until_followed(world, run)
    while sum(len(feed.watchers) for feed in follow.feeds.values()) < 50:
        await asyncio.sleep(0)
    before = reading.begun
    await world.worker()(run.id)
    whole = [event.seq for event in await world.events(run.id)]
    assert await asyncio.gather(*watching) == [whole] * 50
    assert reading.begun - before <= 2 * len(whole)
    assert not follow.feeds
    assert run.id not in world.live.followed()


async def test_entries_that_come_with_their_nudges_are_not_read_again() -> None:
    world, run, follow, reading = await _following()
    watching = asyncio.create_task(_seen(follow, run))
    await _until_followed(world, run)
    before = reading.begun
    await world.worker()(run.id)
    assert await watching == [event.seq for event in await world.events(run.id)]
    assert reading.begun == before


async def test_a_carried_entry_that_is_not_the_next_sends_the_feed_to_the_log() -> None:
    world, run, follow, _ = await _following()
    watching = asyncio.create_task(_seen(follow, run))
    await _until_followed(world, run)
    await _append(world, run, 3)
    latest = (await world.events(run.id))[-1]
    await world.live.publish(run.id, Nudge.of(latest))
    await world.live.publish(run.id, Nudge.of(latest))
    await world.worker()(run.id)
    assert await watching == [event.seq for event in await world.events(run.id)]


async def test_who_joins_late_gets_what_came_before_and_after() -> None:
    world, run, follow, _ = await _following()
    first = asyncio.create_task(_seen(follow, run))
    await _until_followed(world, run)
    await _append(world, run, 5)
    world.live.interrupt()
    late = [asyncio.create_task(_seen(follow, run, after)) for after in (0, 2, 6)]
    await world.worker()(run.id)
    whole = [event.seq for event in await world.events(run.id)]
    assert await asyncio.gather(first, *late) == [whole, whole, whole[2:], whole[6:]]


async def test_a_watcher_too_far_behind_is_told_to_resume_and_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_feed, "BACKLOG", 10)
    world, run, follow, _ = await _following()
    slow = follow(run.user_id, run.id, 1)
    coming = asyncio.ensure_future(anext(slow))
    brisk = asyncio.create_task(_seen(follow, run, 1))
    await _until_followed(world, run)
    taken = 1
    for _ in range(4):
        await _append(world, run, 5)
        world.live.interrupt()
        for _ in range(50):
            await asyncio.sleep(0)
    update = await coming
    assert isinstance(update, RunEvent)
    assert update.seq == taken + 1
    with pytest.raises(WatcherTooSlow):
        while True:
            update = await anext(slow)
            assert isinstance(update, RunEvent)
            taken += 1
            assert update.seq == taken + 1
    await world.cancel(world.user_id, run.id)
    assert await brisk == list(range(2, 23))
    resumed = await _seen(follow, run, after=taken)
    assert resumed == list(range(taken + 1, 23))


async def test_an_outage_ends_every_watcher_with_its_reason() -> None:
    world, run, follow, reading = await _following()
    watching = [asyncio.create_task(_seen(follow, run)) for _ in range(3)]
    await _until_followed(world, run)
    reading.away = True
    world.live.interrupt()
    ends = await asyncio.gather(*watching, return_exceptions=True)
    assert [type(end) for end in ends] == [DatabaseUnavailable] * 3
    reading.away = False
    await world.worker()(run.id)
    assert await _seen(follow, run) == [event.seq for event in await world.events(run.id)]


async def test_a_stranger_is_not_let_into_a_feed_that_is_open() -> None:
    world, run, follow, _ = await _following()
    owner = asyncio.create_task(_seen(follow, run))
    await _until_followed(world, run)
    with pytest.raises(NotFound):
        async for _ in follow(UserId(new_id()), run.id, 0):
            pass
    await world.worker()(run.id)
    await owner


async def test_a_feed_that_is_left_can_be_opened_again() -> None:
    world, run, follow, _ = await _following()
    for _ in range(3):
        updates = follow(run.user_id, run.id, 1)
        coming = asyncio.ensure_future(anext(updates))
        await _until_followed(world, run)
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await updates.aclose()
        assert not follow.feeds
        assert run.id not in world.live.followed()
