"""Objects of who left are deleted: all of them, of nobody else, however often it fails between."""

from datetime import timedelta

import pytest

from application.identity import erase_objects
from application.identity.erase_objects import LEASE, LONGEST_WAIT, SETTLED, EraseObjects
from domain.shared.ids import UserId
from tests.contracts.samples import keep_user
from tests.fakes.clock import MovableClock
from tests.fakes.object_store import InMemoryObjectStore
from tests.fakes.persistence import InMemoryDatabase, InMemoryErasureQueue, InMemoryUnitOfWork


class World:
    """Somebody who left, and somebody who did not."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.database = InMemoryDatabase(self.clock)
        self.uow = InMemoryUnitOfWork(self.database)
        self.store = InMemoryObjectStore()
        self.erase = EraseObjects(InMemoryErasureQueue(self.database), self.store)

    async def keep(self, user_id: UserId, count: int) -> None:
        for number in range(count):
            await self.store.put(f"{user_id}/{number}", b"a document", "text/plain")

    async def leaves(self, count: int) -> UserId:
        user = await keep_user(self.uow)
        await self.keep(user.id, count)
        async with self.uow.begin(user.id) as tx:
            await tx.erasures.add()
            await tx.erasures.add()
        return user.id

    @property
    def asked(self) -> set[UserId]:
        return set(self.database.tables.erasures)


@pytest.fixture
def world() -> World:
    return World()


async def test_all_of_theirs_go_and_nobody_elses(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_objects, "OBJECTS", 4)
    left, other = await world.leaves(10), await keep_user(world.uow)
    await world.keep(other.id, 3)
    while await world.erase():
        pass
    assert {key.partition("/")[0] for key in world.store.objects} == {str(other.id)}
    assert world.asked == {left}


async def test_what_was_still_being_written_goes_a_day_later(world: World) -> None:
    left = await world.leaves(1)
    while await world.erase():
        pass
    await world.keep(left, 2)
    world.clock.move(SETTLED - timedelta(seconds=1))
    assert await world.erase() == 0
    world.clock.move(timedelta(seconds=1))
    assert await world.erase() == 1
    assert not world.store.objects
    world.clock.move(timedelta(minutes=1))
    assert await world.erase() == 1
    assert world.asked == set()


async def test_a_store_that_is_away_is_tried_again_ever_more_seldom_and_for_ever(
    world: World,
) -> None:
    await world.leaves(1)
    waited = timedelta()
    for _ in range(30):
        world.store.fail_next(1)
        assert await world.erase() == 1
        (row,) = world.database.tables.erasures.values()
        before, waited = waited, row.due_at - world.clock.now()
        assert waited >= before
        world.clock.move(waited)
    assert waited == LONGEST_WAIT
    assert await world.erase() == 1
    assert not world.store.objects


async def test_a_process_that_dies_holds_it_up_for_no_longer_than_its_lease(world: World) -> None:
    await world.leaves(1)
    queue = InMemoryErasureQueue(world.database)
    assert len(await queue.claim(5, LEASE)) == 1
    assert await world.erase() == 0
    world.clock.move(LEASE)
    assert await world.erase() == 1
    assert not world.store.objects
