"""What every ``ApiKeyRepository``, ``KeyChanges`` and ``KeySecrets`` keeps."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from application.ports.keys import KeyChanges, KeyFilter, KeySecrets
from application.ports.persistence import UnitOfWork
from domain.agents.artifacts import Mode
from domain.identity.user import Permission, User
from domain.keys.api_key import ApiKey, KeyCapReached, KeySecret, KeyStatus
from domain.keys.key_text import KeyEnvironment, parse
from domain.keys.rate_limit import RatePolicy
from domain.shared.ids import ApiKeyId, UserId
from tests.contracts.samples import (
    all_at_once,
    ids,
    intrude,
    keep_project,
    keep_run,
    keep_user,
    made_at,
    new_id,
    reread,
)


def make_secret() -> KeySecret:
    """A secret that nobody else has."""
    return KeySecret(
        digest=secrets.token_hex(32), pepper=1, prefix="bb_live_Ab12", last_four="Zz90"
    )


def make_key(owner: UserId, **changes: Any) -> ApiKey:
    """An active key that may read and execute."""
    id_ = new_id()
    key = ApiKey(
        id=ApiKeyId(id_),
        user_id=owner,
        name="Nightly build",
        environment=KeyEnvironment.LIVE,
        secret=make_secret(),
        scopes=frozenset({Permission.PROJECTS_READ, Permission.PROJECTS_EXECUTE}),
        modes=frozenset({Mode.DEVELOPER}),
        allowed_ips=("203.0.113.0/24", "2001:db8::/32"),
        limits=(RatePolicy(of="key", quota=5, window_seconds=60),),
        credit_cap=None,
        created_at=made_at(id_),
        expires_at=None,
    )
    return replace(key, **changes)


async def keep_key(uow: UnitOfWork, owner: User | None = None, **changes: Any) -> ApiKey:
    """A stored key, of ``owner`` or of somebody new."""
    owner = owner or await keep_user(uow)
    key = make_key(owner.id, **changes)
    async with uow.begin(owner.id) as tx:
        await tx.keys.add(key)
    return key


async def stored(uow: UnitOfWork, key: ApiKey) -> ApiKey:
    """The key as it is kept now."""
    async with uow.begin(key.user_id) as tx:
        found = await tx.keys.get(key.id)
    assert found is not None
    return found


class ApiKeysContract:
    # Keeping

    async def test_a_key_comes_back_as_it_was_kept(self, uow: UnitOfWork) -> None:
        now = datetime(2026, 11, 3, 8, 0, tzinfo=UTC)
        key = await keep_key(
            uow,
            environment=KeyEnvironment.TEST,
            credit_cap=900,
            expires_at=now + timedelta(days=9),
            previous=make_secret(),
            previous_until=now,
            rotated_at=now,
        )
        assert await stored(uow, key) == key
        bare = await keep_key(uow, modes=frozenset(), allowed_ips=(), limits=())
        assert await stored(uow, bare) == bare

    async def test_another_person_neither_sees_nor_changes_it(self, uow: UnitOfWork) -> None:
        key, stranger = await keep_key(uow), await keep_user(uow)
        async with uow.begin(stranger.id) as tx:
            assert await tx.keys.get(key.id) is None
            assert await tx.keys.page(KeyFilter(limit=9)) == []
            assert await tx.keys.kept_count() == 0
        await intrude(uow, stranger.id, lambda tx: tx.keys.save(replace(key, name="stolen")))
        await intrude(uow, stranger.id, lambda tx: tx.keys.note_use(key.id, every_seconds=0))
        await intrude(uow, stranger.id, lambda tx: tx.keys.add(make_key(key.user_id)))
        assert await stored(uow, key) == key

    async def test_a_digest_is_kept_once(self, uow: UnitOfWork) -> None:
        key = await keep_key(uow)
        with pytest.raises(Exception):  # noqa: B017  (a fault of ours: no error of the port)
            await keep_key(uow, secret=key.secret)

    # Finding by its secret

    async def test_who_names_a_digest_finds_the_key_without_being_anybody(
        self, uow: UnitOfWork
    ) -> None:
        before, after = make_secret(), make_secret()
        key = await keep_key(uow, secret=after, previous=before)
        await keep_key(uow)
        for digests in ([after.digest], [before.digest], ["0" * 64, after.digest]):
            async with uow.begin(None) as tx:
                assert await tx.keys.presented(digests) == key
        async with uow.begin(None) as tx:
            assert await tx.keys.presented(["0" * 64]) is None

    async def test_naming_one_digest_shows_no_other_key(self, uow: UnitOfWork) -> None:
        key = await keep_key(uow)
        other = await keep_key(uow)
        async with uow.begin(other.user_id) as tx:
            assert await tx.keys.presented([key.secret.digest]) == key
            assert ids(await tx.keys.page(KeyFilter(limit=9))) == [other.id]
        async with uow.begin(other.user_id) as tx:
            assert await tx.keys.get(key.id) is None

    # Listing

    async def test_keys_are_listed_newest_first_and_by_page(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        keys = [await keep_key(uow, owner) for _ in range(5)]
        newest = [key.id for key in reversed(keys)]
        async with uow.begin(owner.id) as tx:
            assert ids(await tx.keys.page(KeyFilter(limit=2))) == newest[:2]
            assert ids(await tx.keys.page(KeyFilter(limit=9, after=newest[1]))) == newest[2:]

    async def test_keys_are_found_by_what_became_of_them(self, uow: UnitOfWork) -> None:
        owner, long_ago = await keep_user(uow), datetime(2020, 1, 1, tzinfo=UTC)
        active = await keep_key(uow, owner, expires_at=datetime(2999, 1, 1, tzinfo=UTC))
        lasting = await keep_key(uow, owner, environment=KeyEnvironment.TEST, name="100% mine")
        expired = await keep_key(uow, owner, expires_at=long_ago)
        revoked = await keep_key(uow, owner, expires_at=long_ago, revoked_at=long_ago)
        wanted = (
            (KeyFilter(limit=9, status=KeyStatus.ACTIVE), [lasting.id, active.id]),
            (KeyFilter(limit=9, status=KeyStatus.EXPIRED), [expired.id]),
            (KeyFilter(limit=9, status=KeyStatus.REVOKED), [revoked.id]),
            (KeyFilter(limit=9, environment=KeyEnvironment.TEST), [lasting.id]),
            (KeyFilter(limit=9, search="100% M"), [lasting.id]),
            (KeyFilter(limit=9, search="100_"), []),
        )
        async with uow.begin(owner.id) as tx:
            for query, expected in wanted:
                assert ids(await tx.keys.page(query)) == expected, query
            assert await tx.keys.kept_count() == 3

    async def test_of_many_who_count_at_once_each_sees_what_the_one_before_added(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)

        async def add_up_to_three() -> bool:
            async with uow.begin(owner.id) as tx:
                if await tx.keys.kept_count() >= 3:
                    return False
                await tx.keys.add(make_key(owner.id))
                return True

        assert sum(await all_at_once(8, add_up_to_three)) == 3

    # Changing

    async def test_saving_leaves_the_account_alone(self, uow: UnitOfWork) -> None:
        key = await keep_key(uow)
        project = await keep_project(uow, replace(await _owner(uow, key)))
        run = await keep_run(uow, project, api_key_id=key.id)
        async with uow.begin(key.user_id) as tx:
            await tx.keys.hold(run.id, 70)
            await tx.keys.settle(run.id, held=40, used=25)
            await tx.keys.note_use(key.id, every_seconds=60)
        async with uow.begin(key.user_id) as tx:
            await tx.keys.save(
                replace(key, name="renamed", revoked_at=datetime(2026, 1, 1, tzinfo=UTC))
            )
        kept = await stored(uow, key)
        assert (kept.name, kept.status(made_at(key.id))) == ("renamed", KeyStatus.REVOKED)
        assert (kept.credits_held, kept.credits_used) == (30, 25)
        assert kept.last_used_at is not None

    async def test_use_is_noted_once_in_a_while(self, uow: UnitOfWork) -> None:
        key = await keep_key(uow)
        async with uow.begin(key.user_id) as tx:
            await tx.keys.note_use(key.id, every_seconds=60)
        first = (await stored(uow, key)).last_used_at
        async with uow.begin(key.user_id) as tx:
            await tx.keys.note_use(key.id, every_seconds=60)
        assert first is not None
        assert (await stored(uow, key)).last_used_at == first

    # The credit cap

    async def test_holds_and_uses_count_against_the_cap(self, uow: UnitOfWork) -> None:
        key = await keep_key(uow, credit_cap=100)
        run = await keep_run(
            uow, await keep_project(uow, await _owner(uow, key)), api_key_id=key.id
        )
        async with uow.begin(key.user_id) as tx:
            await tx.keys.hold(run.id, 60)
            with pytest.raises(KeyCapReached):
                await tx.keys.hold(run.id, 41)
            await tx.keys.settle(run.id, held=60, used=10)
            await tx.keys.hold(run.id, 90)
        kept = await stored(uow, key)
        assert (kept.credits_used, kept.credits_held, kept.exhausted) == (10, 90, True)

    async def test_at_once_no_more_is_held_than_the_cap(self, uow: UnitOfWork) -> None:
        key = await keep_key(uow, credit_cap=50)
        run = await keep_run(
            uow, await keep_project(uow, await _owner(uow, key)), api_key_id=key.id
        )

        async def hold() -> bool:
            try:
                async with uow.begin(key.user_id) as tx:
                    await tx.keys.hold(run.id, 10)
            except KeyCapReached:
                return False
            return True

        assert sum(await all_at_once(8, hold)) == 5
        assert (await stored(uow, key)).credits_held == 50

    async def test_a_run_without_a_key_counts_nowhere(self, uow: UnitOfWork) -> None:
        key = await keep_key(uow, credit_cap=0)
        run = await keep_run(uow, await keep_project(uow, await _owner(uow, key)))
        async with uow.begin(key.user_id) as tx:
            await tx.keys.hold(run.id, 60)
            await tx.keys.settle(run.id, held=60, used=10)
        assert await stored(uow, key) == key

    async def test_a_run_keeps_the_key_it_was_started_with(self, uow: UnitOfWork) -> None:
        key = await keep_key(uow)
        project = await keep_project(uow, await _owner(uow, key))
        run = await keep_run(uow, project, api_key_id=key.id, test=True)
        kept = await reread(uow, run)
        assert (kept.api_key_id, kept.test) == (key.id, True)


class KeySecretsContract:
    def test_a_minted_key_is_whole_and_of_its_environment(self, key_secrets: KeySecrets) -> None:
        for environment in KeyEnvironment:
            key = key_secrets.mint(environment)
            assert parse(key.text) == key
            assert key.environment is environment

    def test_no_two_keys_are_alike(self, key_secrets: KeySecrets) -> None:
        assert len({key_secrets.mint(KeyEnvironment.LIVE).text for _ in range(500)}) == 500

    def test_what_is_kept_is_the_newest_digest_and_the_ends(self, key_secrets: KeySecrets) -> None:
        key = key_secrets.mint(KeyEnvironment.LIVE)
        kept = key_secrets.seal(key)
        assert kept.digest == key_secrets.digests(key)[0]
        assert (kept.prefix, kept.last_four) == (key.prefix, key.last_four)
        assert key.text[len(key.prefix) : -4] not in str(kept)

    def test_whatever_is_sent_has_a_digest_and_a_key_its_newest(
        self, key_secrets: KeySecrets, with_newer_pepper: KeySecrets
    ) -> None:
        key = key_secrets.mint(KeyEnvironment.LIVE)
        for each in (key_secrets, with_newer_pepper):
            assert each.digest(key.text) == each.digests(key)[0]
        sent = ("", key.text + " ", key.text[:-1], "schlüssel", "\ud800", "\0")
        assert len({key_secrets.digest(text) for text in (key.text, *sent)}) == 7

    def test_a_key_sealed_under_an_older_pepper_is_found(
        self, key_secrets: KeySecrets, with_newer_pepper: KeySecrets
    ) -> None:
        key = key_secrets.mint(KeyEnvironment.LIVE)
        before, after = key_secrets.seal(key), with_newer_pepper.seal(key)
        assert before.digest != after.digest
        assert after.pepper > before.pepper
        assert with_newer_pepper.digests(key) == (after.digest, before.digest)


class KeyChangesContract:
    async def test_an_announcement_arrives(self, changes: KeyChanges) -> None:
        heard: list[UserId] = []
        changes.listen(heard.append, lambda: None)
        await _until(lambda: changes.heard)
        user_id = UserId(new_id())
        await changes.announce(user_id)
        await _until(lambda: user_id in heard)

    async def test_whoever_lost_the_line_is_told_when_it_is_back(
        self, changes: KeyChanges, interrupt: Callable[[], Awaitable[None]]
    ) -> None:
        missed: list[bool] = []
        changes.listen(lambda _: None, lambda: missed.append(True))
        await _until(lambda: changes.heard)
        before = len(missed)
        await interrupt()
        await _until(lambda: changes.heard and len(missed) > before)


async def _owner(uow: UnitOfWork, key: ApiKey) -> User:
    async with uow.begin(key.user_id) as tx:
        owner = await tx.users.get(key.user_id)
    assert owner is not None
    return owner


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)
