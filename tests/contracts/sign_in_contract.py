"""What every ``LinkedIdentities``, ``SecondFactorRepository`` and ``ChallengeRepository`` keeps."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from application.ports.persistence import UnitOfWork
from domain.identity.linked_identity import IdentityTaken, LinkedIdentity, ProviderName
from domain.identity.second_factor import Challenge, TotpFactor
from domain.identity.session import SignInMethod
from domain.identity.user import User
from domain.shared.ids import UserId
from tests.contracts.samples import all_at_once, intrude, keep_user, new_id

GOOGLE = ProviderName.GOOGLE
AT_ONCE = 20


def make_identity(owner: UserId, **changes: Any) -> LinkedIdentity:
    """A Google identity that nobody else has."""
    values: dict[str, Any] = {
        "user_id": owner,
        "provider": GOOGLE,
        "subject": secrets.token_hex(10),
        "email": "asha@gmail.example",
        "linked_at": datetime(2026, 11, 3, 8, 0, tzinfo=UTC),
    }
    return LinkedIdentity(**values | changes)


def make_challenge(owner: UserId, **changes: Any) -> Challenge:
    """A sign-in by password, whose second factor is awaited for long."""
    values: dict[str, Any] = {
        "user_id": owner,
        "version": 3,
        "methods": frozenset({SignInMethod.PASSWORD}),
        "expires_at": datetime(2999, 1, 1, tzinfo=UTC),
    }
    return Challenge(**values | changes)


async def with_factor(uow: UnitOfWork, *, step: int = 100) -> tuple[User, bytes]:
    """Somebody whose factor is enabled."""
    owner, secret = await keep_user(uow), secrets.token_bytes(40)
    async with uow.begin(owner.id) as tx:
        await tx.second_factor.propose(secret)
        assert await tx.second_factor.confirm(secret, step)
    return owner, secret


class LinkedIdentitiesContract:
    async def test_an_identity_comes_back_as_it_was_linked(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        identity = make_identity(owner.id)
        async with uow.begin(owner.id) as tx:
            await tx.linked_identities.add(identity)
        async with uow.begin(owner.id) as tx:
            assert await tx.linked_identities.all() == [identity]
            assert await tx.linked_identities.all(lock=True) == [identity]

    async def test_whoever_names_it_learns_whose_it_is(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        identity = make_identity(owner.id, subject="with:colon " + secrets.token_hex(4))
        async with uow.begin(owner.id) as tx:
            await tx.linked_identities.add(identity)
        async with uow.begin(None) as tx:
            assert await tx.linked_identities.owner(GOOGLE, identity.subject) == owner.id
            assert await tx.linked_identities.owner(GOOGLE, identity.subject + "0") is None
            assert await tx.linked_identities.owner(GOOGLE, "") is None

    async def test_it_opens_one_account(self, uow: UnitOfWork) -> None:
        first, second = await keep_user(uow), await keep_user(uow)
        identity = make_identity(first.id)
        async with uow.begin(first.id) as tx:
            await tx.linked_identities.add(identity)
        with pytest.raises(IdentityTaken):
            async with uow.begin(second.id) as tx:
                await tx.linked_identities.add(make_identity(second.id, subject=identity.subject))
        async with uow.begin(None) as tx:
            assert await tx.linked_identities.owner(GOOGLE, identity.subject) == first.id

    async def test_an_account_has_one_of_a_provider(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            await tx.linked_identities.add(make_identity(owner.id))
        with pytest.raises(IdentityTaken):
            async with uow.begin(owner.id) as tx:
                await tx.linked_identities.add(make_identity(owner.id))

    async def test_of_many_that_link_one_at_once_one_does(self, uow: UnitOfWork) -> None:
        people = [await keep_user(uow) for _ in range(8)]
        subject, waiting = secrets.token_hex(10), iter(people)

        async def link() -> bool:
            owner = next(waiting)
            try:
                async with uow.begin(owner.id) as tx:
                    await tx.linked_identities.add(make_identity(owner.id, subject=subject))
            except IdentityTaken:
                return False
            return True

        assert sum(await all_at_once(len(people), link)) == 1

    async def test_a_use_is_noted_with_the_email_of_then(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            await tx.linked_identities.add(make_identity(owner.id))
            await tx.linked_identities.note_use(GOOGLE, "new@gmail.example")
        async with uow.begin(owner.id) as tx:
            (identity,) = await tx.linked_identities.all()
        assert identity.email == "new@gmail.example"
        assert identity.last_used_at is not None

    async def test_unlinked_it_opens_nothing(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        identity = make_identity(owner.id)
        async with uow.begin(owner.id) as tx:
            await tx.linked_identities.add(identity)
        async with uow.begin(owner.id) as tx:
            assert await tx.linked_identities.remove(GOOGLE)
            assert not await tx.linked_identities.remove(GOOGLE)
        async with uow.begin(None) as tx:
            assert await tx.linked_identities.owner(GOOGLE, identity.subject) is None

    async def test_another_person_neither_sees_nor_changes_it(self, uow: UnitOfWork) -> None:
        owner, stranger = await keep_user(uow), await keep_user(uow)
        identity = make_identity(owner.id)
        async with uow.begin(owner.id) as tx:
            await tx.linked_identities.add(identity)
        async with uow.begin(stranger.id) as tx:
            assert await tx.linked_identities.all() == []
            assert not await tx.linked_identities.remove(GOOGLE)
        await intrude(
            uow, stranger.id, lambda tx: tx.linked_identities.note_use(GOOGLE, "x@y.example")
        )
        await intrude(
            uow, stranger.id, lambda tx: tx.linked_identities.add(make_identity(owner.id))
        )
        async with uow.begin(owner.id) as tx:
            assert await tx.linked_identities.all() == [identity]


class SecondFactorContract:
    async def test_there_is_none_at_first(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            assert await tx.second_factor.get() is None
            assert await tx.second_factor.recovery_codes_left() == 0
            assert not await tx.second_factor.use_step(1)
            assert not await tx.second_factor.remove()

    async def test_a_proposed_secret_does_not_count_yet(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.propose(b"first")
            await tx.second_factor.propose(b"second")
        async with uow.begin(owner.id) as tx:
            factor = await tx.second_factor.get()
            assert factor == TotpFactor(secret=None, proposed=b"second", last_step=0)
            assert not factor.enabled
            assert not await tx.second_factor.use_step(7)
            assert not await tx.second_factor.remove()

    async def test_only_the_secret_proposed_last_is_confirmed(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.propose(b"first")
            await tx.second_factor.propose(b"second")
            assert not await tx.second_factor.confirm(b"first", 5)
            assert await tx.second_factor.confirm(b"second", 5)
            assert not await tx.second_factor.confirm(b"second", 6)
        async with uow.begin(owner.id) as tx:
            factor = await tx.second_factor.get()
        assert factor == TotpFactor(secret=b"second", proposed=None, last_step=5)

    async def test_of_many_that_confirm_at_once_one_does(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.propose(b"proposed")

        async def confirm() -> bool:
            async with uow.begin(owner.id) as tx:
                return await tx.second_factor.confirm(b"proposed", 5)

        assert sum(await all_at_once(AT_ONCE, confirm)) == 1

    async def test_the_old_secret_counts_until_the_new_one_is_confirmed(
        self, uow: UnitOfWork
    ) -> None:
        owner, secret = await with_factor(uow, step=100)
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.propose(b"another")
            assert await tx.second_factor.use_step(101)
        async with uow.begin(owner.id) as tx:
            factor = await tx.second_factor.get()
            assert factor == TotpFactor(secret=secret, proposed=b"another", last_step=101)
            assert await tx.second_factor.confirm(b"another", 90)
        async with uow.begin(owner.id) as tx:
            factor = await tx.second_factor.get()
        assert factor == TotpFactor(secret=b"another", proposed=None, last_step=90)

    async def test_a_step_is_used_once_and_none_before_it(self, uow: UnitOfWork) -> None:
        owner, _ = await with_factor(uow, step=100)
        for step, good in ((100, False), (99, False), (102, True), (102, False), (101, False)):
            async with uow.begin(owner.id) as tx:
                assert await tx.second_factor.use_step(step) is good

    async def test_of_many_that_use_a_step_at_once_one_does(self, uow: UnitOfWork) -> None:
        owner, _ = await with_factor(uow, step=100)

        async def use() -> bool:
            async with uow.begin(owner.id) as tx:
                return await tx.second_factor.use_step(101)

        assert sum(await all_at_once(AT_ONCE, use)) == 1

    async def test_a_recovery_code_is_used_once(self, uow: UnitOfWork) -> None:
        owner, _ = await with_factor(uow)
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.replace_recovery_codes(["a", "b", "c"])
            assert await tx.second_factor.use_recovery_code(["newer", "b"])
            assert not await tx.second_factor.use_recovery_code(["b"])
            assert not await tx.second_factor.use_recovery_code(["d"])
            assert await tx.second_factor.recovery_codes_left() == 2

    async def test_of_many_that_use_a_code_at_once_one_does(self, uow: UnitOfWork) -> None:
        owner, _ = await with_factor(uow)
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.replace_recovery_codes(["a", "b"])

        async def use() -> bool:
            async with uow.begin(owner.id) as tx:
                return await tx.second_factor.use_recovery_code(["a"])

        assert sum(await all_at_once(AT_ONCE, use)) == 1

    async def test_new_codes_replace_the_old(self, uow: UnitOfWork) -> None:
        owner, _ = await with_factor(uow)
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.replace_recovery_codes(["a", "b"])
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.replace_recovery_codes(["b", "c"])
        async with uow.begin(owner.id) as tx:
            assert not await tx.second_factor.use_recovery_code(["a"])
            assert await tx.second_factor.use_recovery_code(["b"])
            assert await tx.second_factor.recovery_codes_left() == 1

    async def test_removed_it_leaves_no_code_behind(self, uow: UnitOfWork) -> None:
        owner, _ = await with_factor(uow)
        async with uow.begin(owner.id) as tx:
            await tx.second_factor.replace_recovery_codes(["a"])
            assert await tx.second_factor.remove()
        async with uow.begin(owner.id) as tx:
            assert await tx.second_factor.get() is None
            assert not await tx.second_factor.use_recovery_code(["a"])
            await tx.second_factor.propose(b"another")

    async def test_one_persons_is_not_anothers(self, uow: UnitOfWork) -> None:
        owner, secret = await with_factor(uow, step=100)
        stranger, _ = await with_factor(uow, step=100)
        for person in (owner, stranger):
            async with uow.begin(person.id) as tx:
                await tx.second_factor.replace_recovery_codes(["same"])
        async with uow.begin(stranger.id) as tx:
            assert await tx.second_factor.use_step(500)
            assert await tx.second_factor.use_recovery_code(["same"])
            assert await tx.second_factor.remove()
        async with uow.begin(owner.id) as tx:
            factor = await tx.second_factor.get()
            assert factor is not None
            assert (factor.secret, factor.last_step) == (secret, 100)
            assert await tx.second_factor.use_recovery_code(["same"])


class ChallengesContract:
    async def test_whoever_names_a_challenge_learns_whose_it_is(self, uow: UnitOfWork) -> None:
        owner, digest = await keep_user(uow), secrets.token_hex(32)
        async with uow.begin(owner.id) as tx:
            await tx.challenges.open(make_challenge(owner.id), digest)
        async with uow.begin(None) as tx:
            assert await tx.challenges.holder(digest) == owner.id
            assert await tx.challenges.holder(secrets.token_hex(32)) is None

    async def test_attempts_are_counted_to_the_end(self, uow: UnitOfWork) -> None:
        owner, digest = await keep_user(uow), secrets.token_hex(32)
        challenge = make_challenge(owner.id)
        async with uow.begin(owner.id) as tx:
            await tx.challenges.open(challenge, digest)
        for expected in (challenge, challenge, None, None):
            async with uow.begin(owner.id) as tx:
                assert await tx.challenges.attempt(digest, at_most=2) == expected

    async def test_of_many_attempts_at_once_no_more_count(self, uow: UnitOfWork) -> None:
        owner, digest = await keep_user(uow), secrets.token_hex(32)
        async with uow.begin(owner.id) as tx:
            await tx.challenges.open(make_challenge(owner.id), digest)

        async def attempt() -> bool:
            async with uow.begin(owner.id) as tx:
                return await tx.challenges.attempt(digest, at_most=5) is not None

        assert sum(await all_at_once(AT_ONCE, attempt)) == 5

    async def test_of_many_that_use_it_at_once_one_does(self, uow: UnitOfWork) -> None:
        owner, digest = await keep_user(uow), secrets.token_hex(32)
        async with uow.begin(owner.id) as tx:
            await tx.challenges.open(make_challenge(owner.id), digest)

        async def use() -> bool:
            async with uow.begin(owner.id) as tx:
                return await tx.challenges.use(digest)

        assert sum(await all_at_once(AT_ONCE, use)) == 1
        async with uow.begin(owner.id) as tx:
            assert await tx.challenges.attempt(digest, at_most=5) is None

    async def test_one_that_is_too_old_is_over_and_is_forgotten(self, uow: UnitOfWork) -> None:
        owner, old = await keep_user(uow), secrets.token_hex(32)
        past = datetime.now(UTC) - timedelta(days=400)
        async with uow.begin(owner.id) as tx:
            await tx.challenges.open(make_challenge(owner.id, expires_at=past), old)
        async with uow.begin(owner.id) as tx:
            assert await tx.challenges.attempt(old, at_most=5) is None
            assert not await tx.challenges.use(old)
        async with uow.begin(owner.id) as tx:
            await tx.challenges.open(make_challenge(owner.id), secrets.token_hex(32))
        async with uow.begin(None) as tx:
            assert await tx.challenges.holder(old) is None

    async def test_another_person_cannot_meet_it(self, uow: UnitOfWork) -> None:
        owner, stranger = await keep_user(uow), await keep_user(uow)
        digest = secrets.token_hex(32)
        async with uow.begin(owner.id) as tx:
            await tx.challenges.open(make_challenge(owner.id), digest)
        async with uow.begin(stranger.id) as tx:
            assert await tx.challenges.attempt(digest, at_most=5) is None
            assert not await tx.challenges.use(digest)
        await intrude(
            uow,
            stranger.id,
            lambda tx: tx.challenges.open(make_challenge(owner.id), str(new_id())),
        )
        async with uow.begin(owner.id) as tx:
            assert await tx.challenges.attempt(digest, at_most=1) is not None
            assert await tx.challenges.use(digest)
