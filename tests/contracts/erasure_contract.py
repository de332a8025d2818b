"""What every ``ErasureQueue`` keeps: who is claimed by one alone, and comes due again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from application.ports.erasure import DueErasure, ErasureQueue
from application.ports.persistence import UnitOfWork
from domain.shared.ids import UserId
from tests.contracts.samples import all_at_once, keep_user

LONG = timedelta(hours=1)
SHORT = timedelta(seconds=0.2)
Wait = Callable[[float], Awaitable[None]]


async def leave(uow: UnitOfWork) -> UserId:
    user = await keep_user(uow)
    async with uow.begin(user.id) as tx:
        await tx.erasures.add()
    return user.id


async def claimed(
    erasures: ErasureQueue, user_id: UserId, lease: timedelta = LONG
) -> DueErasure | None:
    """That person's row, if it is due: others may leave meanwhile."""
    due = await erasures.claim(1_000, lease)
    return next((each for each in due if each.user_id == user_id), None)


class ErasureQueueContract:
    async def test_who_left_is_due_at_once_and_claimed_by_one(
        self, uow: UnitOfWork, erasures: ErasureQueue
    ) -> None:
        user_id = await leave(uow)

        async def attempt() -> bool:
            return await claimed(erasures, user_id) is not None

        assert sum(await all_at_once(5, attempt)) == 1

    async def test_asking_again_changes_nothing(
        self, uow: UnitOfWork, erasures: ErasureQueue
    ) -> None:
        user_id = await leave(uow)
        assert await claimed(erasures, user_id) is not None
        async with uow.begin(user_id) as tx:
            await tx.erasures.add()
        assert await claimed(erasures, user_id) is None

    async def test_a_claim_lapses(
        self, uow: UnitOfWork, erasures: ErasureQueue, wait: Wait
    ) -> None:
        user_id = await leave(uow)
        assert await claimed(erasures, user_id, SHORT) is not None
        await wait(0.3)
        again = await claimed(erasures, user_id)
        assert again is not None
        assert again.asked_for >= SHORT

    async def test_failures_are_counted_until_it_goes_well(
        self, uow: UnitOfWork, erasures: ErasureQueue
    ) -> None:
        user_id = await leave(uow)
        attempts = []
        for _ in range(3):
            due = await claimed(erasures, user_id)
            assert due is not None
            attempts.append(due.attempts)
            await erasures.put_off(user_id, timedelta(), "The store is away.")
        await erasures.go_on(user_id, timedelta())
        due = await claimed(erasures, user_id)
        assert due is not None
        assert [*attempts, due.attempts] == [0, 1, 2, 0]

    async def test_what_is_put_off_is_not_due_before(
        self, uow: UnitOfWork, erasures: ErasureQueue
    ) -> None:
        for put_off in (True, False):
            user_id = await leave(uow)
            assert await claimed(erasures, user_id, timedelta()) is not None
            if put_off:
                await erasures.put_off(user_id, LONG, "The store is away.")
            else:
                await erasures.go_on(user_id, LONG)
            assert await claimed(erasures, user_id) is None

    async def test_what_is_done_does_not_come_again(
        self, uow: UnitOfWork, erasures: ErasureQueue
    ) -> None:
        user_id, other = await leave(uow), await leave(uow)
        assert await claimed(erasures, user_id, timedelta()) is not None
        await erasures.done(user_id)
        due = {each.user_id for each in await erasures.claim(1_000, LONG)}
        assert user_id not in due
        assert other in due
