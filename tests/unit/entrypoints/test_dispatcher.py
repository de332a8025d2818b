"""What the dispatcher does seldom is done at once as long as there is more to do."""

from entrypoints.dispatcher import _seldom


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
