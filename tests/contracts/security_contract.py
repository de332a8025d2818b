"""What every ``PasswordHasher``, every ``AccessTokens`` and every ``SecretBox`` keeps."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from application.ports.security import (
    AccessTokens,
    PasswordHasher,
    Principal,
    SecretBox,
    SecretUnreadable,
)
from domain.identity.user import NotAuthenticated, Role
from tests.contracts.samples import make_user
from tests.fakes.clock import MovableClock

PASSWORD = "correct horse battery staple"


class PasswordHasherContract:
    """Subclasses provide ``hasher``, and ``raised``: one of the same kind that asks for more."""

    async def test_a_password_verifies_against_its_hash(self, hasher: PasswordHasher) -> None:
        assert await hasher.verify(PASSWORD, await hasher.hash(PASSWORD))

    @pytest.mark.parametrize("wrong", ["", PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1]])
    async def test_another_password_does_not(self, hasher: PasswordHasher, wrong: str) -> None:
        assert not await hasher.verify(wrong, await hasher.hash(PASSWORD))

    async def test_two_hashes_of_one_password_differ(self, hasher: PasswordHasher) -> None:
        assert await hasher.hash(PASSWORD) != await hasher.hash(PASSWORD)

    @pytest.mark.parametrize(
        "password", ["क़िला-और-पहाड़-2026", "密码密码密码密码密码密码", "x" * 256]
    )
    async def test_any_script_and_length_will_do(
        self, hasher: PasswordHasher, password: str
    ) -> None:
        assert await hasher.verify(password, await hasher.hash(password))

    async def test_wasting_time_has_no_outcome(self, hasher: PasswordHasher) -> None:
        assert await hasher.waste(PASSWORD) is None  # type: ignore[func-returns-value]  # the point

    async def test_a_fresh_hash_is_not_outdated(self, hasher: PasswordHasher) -> None:
        assert not hasher.outdated(await hasher.hash(PASSWORD))

    async def test_a_hash_is_outdated_once_more_is_asked(
        self, hasher: PasswordHasher, raised: PasswordHasher
    ) -> None:
        assert raised.outdated(await hasher.hash(PASSWORD))

    async def test_an_outdated_hash_still_verifies(
        self, hasher: PasswordHasher, raised: PasswordHasher
    ) -> None:
        assert await raised.verify(PASSWORD, await hasher.hash(PASSWORD))

    @pytest.mark.parametrize("damaged", ["", "hunter2", "$2b$12$abcdefghijklmnopqrstuv", "ä"])
    async def test_a_damaged_hash_is_an_error_and_not_a_wrong_password(
        self, hasher: PasswordHasher, damaged: str
    ) -> None:
        with pytest.raises(Exception, match="stored password hash"):
            await hasher.verify(PASSWORD, damaged)

    async def test_many_at_once_all_get_their_answer(self, hasher: PasswordHasher) -> None:
        stored = await hasher.hash(PASSWORD)

        answers = await asyncio.gather(
            *(hasher.verify(PASSWORD if n % 2 else "wrong", stored) for n in range(10))
        )

        assert answers == [bool(n % 2) for n in range(10)]


class AccessTokensContract:
    """Subclasses provide ``make_tokens(clock, ttl)``."""

    @pytest.fixture
    def clock(self) -> MovableClock:
        return MovableClock()

    @pytest.fixture
    def tokens(
        self, clock: MovableClock, make_tokens: Callable[[MovableClock, timedelta], AccessTokens]
    ) -> AccessTokens:
        return make_tokens(clock, timedelta(minutes=10))

    @pytest.mark.parametrize("role", list(Role))
    async def test_a_token_speaks_for_its_user(self, tokens: AccessTokens, role: Role) -> None:
        user = make_user(role=role)

        principal = tokens.verify(tokens.issue(user).token)

        assert principal == Principal(user_id=user.id, role=role)

    async def test_a_token_says_when_it_ends(
        self, tokens: AccessTokens, clock: MovableClock
    ) -> None:
        assert tokens.issue(make_user()).expires_at == clock.now() + timedelta(minutes=10)

    async def test_two_tokens_of_one_user_differ(self, tokens: AccessTokens) -> None:
        user = make_user()

        assert tokens.issue(user).token != tokens.issue(user).token

    async def test_a_token_is_good_until_just_before_its_end(
        self, tokens: AccessTokens, clock: MovableClock
    ) -> None:
        issued = tokens.issue(make_user())
        clock.set(issued.expires_at - timedelta(seconds=1))

        tokens.verify(issued.token)

    async def test_a_token_is_refused_at_its_end(
        self, tokens: AccessTokens, clock: MovableClock
    ) -> None:
        issued = tokens.issue(make_user())
        clock.set(issued.expires_at)

        with pytest.raises(NotAuthenticated):
            tokens.verify(issued.token)

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "token-99", "\ud800", "🙂" * 5000])
    async def test_what_is_no_token_is_refused(self, tokens: AccessTokens, token: str) -> None:
        with pytest.raises(NotAuthenticated):
            tokens.verify(token)

    async def test_every_refusal_reads_the_same(
        self, tokens: AccessTokens, clock: MovableClock
    ) -> None:
        expired = tokens.issue(make_user())
        clock.set(expired.expires_at)

        messages = set()
        for token in (expired.token, "nonsense"):
            with pytest.raises(NotAuthenticated) as refusal:
                tokens.verify(token)
            messages.add((refusal.value.message, *refusal.value.params))

        assert len(messages) == 1


class SecretBoxContract:
    """Subclasses provide ``box``."""

    @pytest.mark.parametrize("secret", [b"", b"\x00" * 32, b"whsec", bytes(range(256)) * 8])
    def test_a_secret_is_had_back(self, box: SecretBox, secret: bytes) -> None:
        sealed = box.seal(secret, "endpoint:1")
        assert box.open(sealed, "endpoint:1") == secret
        assert len(secret) < 4 or secret not in sealed or len(set(secret)) == 1

    def test_it_opens_for_its_use_alone(self, box: SecretBox) -> None:
        sealed = box.seal(b"secret", "endpoint:1")
        for use in ("endpoint:2", "endpoint:", ""):
            with pytest.raises(SecretUnreadable):
                box.open(sealed, use)

    def test_what_was_never_sealed_does_not_open(self, box: SecretBox) -> None:
        for sealed in (b"", b"\x00", b"\x00\x01" + b"x" * 40):
            with pytest.raises(SecretUnreadable):
                box.open(sealed, "endpoint:1")
