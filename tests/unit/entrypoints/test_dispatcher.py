"""The dispatcher's chores: each in a loop of its own, some of them seldom."""

import asyncio

from application.ports.persistence import DatabaseUnavailable
from entrypoints.dispatcher import _look_after_all, _seldom


async def test_a_chore_that_waits_holds_up_no_other() -> None:
    stopping, answered = asyncio.Event(), asyncio.Event()
    done = []

    async def waits() -> int:
        await answered.wait()
        return 0

    async def goes_on() -> int:
        done.append(True)
        if len(done) == 3:
            stopping.set()
            answered.set()
        return 1

    async with asyncio.timeout(10):
        await _look_after_all({"waits": waits, "goes on": goes_on}, stopping, 0.001)
    assert len(done) == 3


async def test_a_chore_that_breaks_is_done_again_and_ends_no_other() -> None:
    stopping = asyncio.Event()
    broken, done = [], []

    async def breaks() -> int:
        broken.append(True)
        raise DatabaseUnavailable("away") if len(broken) % 2 else ValueError("a row of nonsense")

    async def goes_on() -> int:
        done.append(True)
        if len(broken) >= 4:
            stopping.set()
        return 0

    async with asyncio.timeout(10):
        await _look_after_all({"breaks": breaks, "goes on": goes_on}, stopping, 0.001)
    assert len(broken) >= 4
    assert done


async def test_a_seldom_chore_goes_on_while_it_finds_something_and_then_rests() -> None:
    found = iter([50, 50, 0, 50])
    looked = []

    async def chore() -> int:
        looked.append(next(found))
        return looked[-1]

    look = _seldom(chore, 3_600)
    assert [await look() for _ in range(6)] == [50, 50, 0, 0, 0, 0]
    assert looked == [50, 50, 0]


async def test_it_looks_again_after_its_rest() -> None:
    looked = []

    async def chore() -> int:
        looked.append(True)
        return 0

    look = _seldom(chore, 0)
    assert [await look() for _ in range(3)] == [0, 0, 0]
    assert len(looked) == 3
