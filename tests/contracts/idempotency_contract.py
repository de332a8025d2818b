"""What every store of idempotency keys keeps: one effect a key, and its reply for repeats."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from application.ports.idempotency import (
    ExpiredIdempotencyKeys,
    KeyClaim,
    KeyClaimLost,
    StoredReply,
)
from application.ports.persistence import UnitOfWork
from domain.shared.idempotency import IdempotencyInFlight, IdempotencyKey, IdempotencyMismatch
from domain.shared.ids import UserId
from tests.contracts.samples import (
    LONG_LEASE,
    PAST_SHORT_LEASE,
    SHORT_LEASE,
    all_at_once,
    keep_project,
    keep_user,
    make_project,
)

Wait = Callable[[float], Awaitable[None]]

HASH = "a" * 64
OTHER_HASH = "b" * 64
REPLY = StoredReply(
    status=201, headers={"Content-Type": "application/json"}, body=b'{"id":"\xe2\x82\xb9\x00"}'
)

LATER_REPLY = StoredReply(status=202, headers={"Content-Type": "text/plain"}, body=b"later")


def some_key() -> IdempotencyKey:
    return IdempotencyKey(f"{uuid4()} ~!")


async def claim(
    uow: UnitOfWork,
    user_id: UserId,
    key: IdempotencyKey,
    request_hash: str = HASH,
    *,
    lease: float = LONG_LEASE,
    keep: float = LONG_LEASE,
) -> KeyClaim | StoredReply:
    async with uow.begin(user_id) as tx:
        return await tx.idempotency.claim(key, request_hash, lease_seconds=lease, keep_seconds=keep)


async def take_key(
    uow: UnitOfWork, user_id: UserId, key: IdempotencyKey, request_hash: str = HASH, **more: float
) -> KeyClaim:
    """Claim a key that is free."""
    found = await claim(uow, user_id, key, request_hash, **more)
    assert isinstance(found, KeyClaim), "the key should have been free"
    return found


async def complete(uow: UnitOfWork, user_id: UserId, held: KeyClaim) -> None:
    async with uow.begin(user_id) as tx:
        await tx.idempotency.complete(held, REPLY)


async def amend(uow: UnitOfWork, user_id: UserId, held: KeyClaim) -> None:
    async with uow.begin(user_id) as tx:
        await tx.idempotency.amend(held, LATER_REPLY)


class IdempotencyContract:
    async def test_a_repeat_gets_the_stored_reply(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()
        await complete(uow, user.id, await take_key(uow, user.id, key))
        for _ in range(2):
            assert await claim(uow, user.id, key) == REPLY

    async def test_a_repeat_before_the_reply_is_turned_away(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()
        held = await take_key(uow, user.id, key)
        with pytest.raises(IdempotencyInFlight):
            await claim(uow, user.id, key)
        await complete(uow, user.id, held)

    async def test_of_many_claims_at_once_exactly_one_holds(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()

        async def attempt() -> bool:
            try:
                return isinstance(await claim(uow, user.id, key), KeyClaim)
            except IdempotencyInFlight:
                return False

        assert sum(await all_at_once(20, attempt)) == 1

    async def test_of_many_claims_after_a_lease_exactly_one_holds(
        self, uow: UnitOfWork, wait: Wait
    ) -> None:
        user, key = await keep_user(uow), some_key()
        await take_key(uow, user.id, key, lease=SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)

        async def attempt() -> bool:
            try:
                return isinstance(await claim(uow, user.id, key), KeyClaim)
            except IdempotencyInFlight:
                return False

        assert sum(await all_at_once(20, attempt)) == 1

    async def test_another_request_under_the_key_is_refused(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()
        held = await take_key(uow, user.id, key)
        with pytest.raises(IdempotencyMismatch):
            await claim(uow, user.id, key, OTHER_HASH)
        await complete(uow, user.id, held)
        with pytest.raises(IdempotencyMismatch):
            await claim(uow, user.id, key, OTHER_HASH)

    async def test_another_persons_same_key_is_another_key(self, uow: UnitOfWork) -> None:
        one, other, key = await keep_user(uow), await keep_user(uow), some_key()
        await complete(uow, one.id, await take_key(uow, one.id, key))
        await take_key(uow, other.id, key, OTHER_HASH)

    async def test_another_persons_claim_proves_nothing(self, uow: UnitOfWork) -> None:
        one, other, key = await keep_user(uow), await keep_user(uow), some_key()
        held = await take_key(uow, one.id, key)
        with pytest.raises(KeyClaimLost):
            await complete(uow, other.id, held)

    async def test_a_lease_that_ran_out_frees_the_key(self, uow: UnitOfWork, wait: Wait) -> None:
        user, key = await keep_user(uow), some_key()
        await take_key(uow, user.id, key, lease=SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        await complete(uow, user.id, await take_key(uow, user.id, key))
        assert await claim(uow, user.id, key) == REPLY

    async def test_a_lease_that_ran_out_does_not_free_a_key_with_its_reply(
        self, uow: UnitOfWork, wait: Wait
    ) -> None:
        user, key = await keep_user(uow), some_key()
        await complete(uow, user.id, await take_key(uow, user.id, key, lease=SHORT_LEASE))
        await wait(PAST_SHORT_LEASE)
        assert await claim(uow, user.id, key) == REPLY

    async def test_whose_lease_ran_out_may_complete_until_another_claims(
        self, uow: UnitOfWork, wait: Wait
    ) -> None:
        user, key = await keep_user(uow), some_key()
        held = await take_key(uow, user.id, key, lease=SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        await complete(uow, user.id, held)
        assert await claim(uow, user.id, key) == REPLY

    async def test_whose_key_was_claimed_by_another_cannot_complete(
        self, uow: UnitOfWork, wait: Wait
    ) -> None:
        user, key = await keep_user(uow), some_key()
        slow = await take_key(uow, user.id, key, lease=SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        quick = await take_key(uow, user.id, key, OTHER_HASH)
        with pytest.raises(KeyClaimLost):
            await complete(uow, user.id, slow)
        await complete(uow, user.id, quick)
        with pytest.raises(KeyClaimLost):
            await complete(uow, user.id, slow)

    async def test_a_key_is_completed_once(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()
        held = await take_key(uow, user.id, key)
        await complete(uow, user.id, held)
        with pytest.raises(KeyClaimLost):
            await complete(uow, user.id, held)

    async def test_a_reply_is_amended_by_the_claim_that_stored_it_alone(
        self, uow: UnitOfWork, wait: Wait
    ) -> None:
        user, key = await keep_user(uow), some_key()
        slow = await take_key(uow, user.id, key, lease=SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        held = await take_key(uow, user.id, key)
        await amend(uow, user.id, held)  # there is nothing yet to amend
        with pytest.raises(IdempotencyInFlight):
            await claim(uow, user.id, key)
        await complete(uow, user.id, held)
        await amend(uow, user.id, slow)
        assert await claim(uow, user.id, key) == REPLY
        await amend(uow, user.id, held)
        assert await claim(uow, user.id, key) == LATER_REPLY

    async def test_effect_and_reply_are_kept_together(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()
        held, project = await take_key(uow, user.id, key), make_project(user.id)
        async with uow.begin(user.id) as tx:
            await tx.projects.add(project)
            await tx.idempotency.complete(held, REPLY)
        assert await claim(uow, user.id, key) == REPLY
        async with uow.begin(user.id) as tx:
            assert await tx.projects.get(project.id) == project

    async def test_a_lost_claim_takes_the_effect_with_it(self, uow: UnitOfWork, wait: Wait) -> None:
        user, key = await keep_user(uow), some_key()
        slow, project = await take_key(uow, user.id, key, lease=SHORT_LEASE), make_project(user.id)
        await wait(PAST_SHORT_LEASE)
        await complete(uow, user.id, await take_key(uow, user.id, key))
        with pytest.raises(KeyClaimLost):
            async with uow.begin(user.id) as tx:
                await tx.projects.add(project)
                await tx.idempotency.complete(slow, REPLY)
        async with uow.begin(user.id) as tx:
            assert await tx.projects.get(project.id) is None

    async def test_a_reply_that_was_rolled_back_is_not_there(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()
        held = await take_key(uow, user.id, key)
        with pytest.raises(ZeroDivisionError):
            async with uow.begin(user.id) as tx:
                await tx.idempotency.complete(held, REPLY)
                raise ZeroDivisionError
        with pytest.raises(IdempotencyInFlight):
            await claim(uow, user.id, key)

    async def test_a_claim_that_comes_during_the_commit_gets_the_reply(
        self, uow: UnitOfWork, wait: Wait
    ) -> None:
        user, key = await keep_user(uow), some_key()
        held = await take_key(uow, user.id, key, lease=SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        async with uow.begin(user.id) as tx:
            await tx.idempotency.complete(held, REPLY)
            rival = asyncio.create_task(claim(uow, user.id, key))
            await asyncio.sleep(0.05)
        assert await rival == REPLY

    async def test_a_released_key_is_free_at_once(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()
        held = await take_key(uow, user.id, key)
        async with uow.begin(user.id) as tx:
            await tx.idempotency.release(held)
        await take_key(uow, user.id, key, OTHER_HASH)
        async with uow.begin(user.id) as tx:
            await tx.idempotency.release(held)  # no longer its own
        with pytest.raises(IdempotencyInFlight):
            await claim(uow, user.id, key, OTHER_HASH)

    async def test_a_reply_is_not_released(self, uow: UnitOfWork) -> None:
        user, key = await keep_user(uow), some_key()
        held = await take_key(uow, user.id, key)
        await complete(uow, user.id, held)
        async with uow.begin(user.id) as tx:
            await tx.idempotency.release(held)
        assert await claim(uow, user.id, key) == REPLY

    async def test_when_its_time_is_over_a_key_is_free(self, uow: UnitOfWork, wait: Wait) -> None:
        user, key = await keep_user(uow), some_key()
        await complete(uow, user.id, await take_key(uow, user.id, key, keep=SHORT_LEASE))
        await wait(PAST_SHORT_LEASE)
        await take_key(uow, user.id, key, OTHER_HASH)
        with pytest.raises(IdempotencyInFlight):  # the reply of before is gone
            await claim(uow, user.id, key, OTHER_HASH)

    async def test_expired_keys_are_deleted_and_no_others(
        self, uow: UnitOfWork, wait: Wait, expired_keys: ExpiredIdempotencyKeys
    ) -> None:
        user, over, kept = await keep_user(uow), some_key(), some_key()
        held = await take_key(uow, user.id, over, keep=SHORT_LEASE)
        await complete(uow, user.id, await take_key(uow, user.id, kept))
        await wait(PAST_SHORT_LEASE)
        while await expired_keys.delete(10):
            pass
        assert await claim(uow, user.id, kept) == REPLY
        with pytest.raises(KeyClaimLost):
            await complete(uow, user.id, held)

    async def test_no_more_keys_are_deleted_than_asked_for(
        self, uow: UnitOfWork, wait: Wait, expired_keys: ExpiredIdempotencyKeys
    ) -> None:
        user = await keep_user(uow)
        for _ in range(5):
            await take_key(uow, user.id, some_key(), keep=SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        # At most: a dispatcher may be at work on the same database.
        assert await expired_keys.delete(2) <= 2
        assert await expired_keys.delete(0) == 0

    async def test_many_may_delete_at_once(
        self, uow: UnitOfWork, wait: Wait, expired_keys: ExpiredIdempotencyKeys
    ) -> None:
        user = await keep_user(uow)
        claims = [await take_key(uow, user.id, some_key(), keep=SHORT_LEASE) for _ in range(5)]
        await wait(PAST_SHORT_LEASE)
        await all_at_once(4, lambda: expired_keys.delete(100))
        while await expired_keys.delete(100):
            pass
        for held in claims:
            with pytest.raises(KeyClaimLost):
                await complete(uow, user.id, held)

    async def test_nobody_has_no_keys(self, uow: UnitOfWork) -> None:
        await keep_project(uow)
        with pytest.raises(Exception):  # noqa: B017 - however the database says so
            async with uow.begin(None) as tx:
                await tx.idempotency.claim(
                    some_key(), HASH, lease_seconds=LONG_LEASE, keep_seconds=LONG_LEASE
                )
