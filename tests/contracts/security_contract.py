"""What passwords, access tokens, refresh tokens and boxes for secrets keep, whoever makes them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.security import (
    AccessTokens,
    PasswordHasher,
    Principal,
    SecretBox,
    SecretUnreadable,
)
from application.ports.sessions import RefreshTokens
from domain.identity.session import SignInMethod
from domain.identity.user import NotAuthenticated, Role
from tests.contracts.samples import make_acting, make_user
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

        session = make_acting()
        principal = tokens.verify(tokens.issue(user, session).token)

        assert principal == Principal(user_id=user.id, role=role, session=session)

    async def test_a_token_says_of_its_session_which_it_is_and_no_more(
        self, tokens: AccessTokens
    ) -> None:
        session = make_acting()
        known = replace(
            session, methods=frozenset(SignInMethod), authenticated_at=datetime.now(UTC)
        )

        assert tokens.verify(tokens.issue(make_user(), known).token).session == session

    async def test_a_token_says_when_it_ends(
        self, tokens: AccessTokens, clock: MovableClock
    ) -> None:
        assert tokens.issue(make_user(), make_acting()).expires_at == clock.now() + timedelta(
            minutes=10
        )

    async def test_two_tokens_of_one_user_differ(self, tokens: AccessTokens) -> None:
        user = make_user()

        assert tokens.issue(user, make_acting()).token != tokens.issue(user, make_acting()).token

    async def test_a_token_is_good_until_just_before_its_end(
        self, tokens: AccessTokens, clock: MovableClock
    ) -> None:
        issued = tokens.issue(make_user(), make_acting())
        clock.set(issued.expires_at - timedelta(seconds=1))

        tokens.verify(issued.token)

    async def test_a_token_is_refused_at_its_end(
        self, tokens: AccessTokens, clock: MovableClock
    ) -> None:
        issued = tokens.issue(make_user(), make_acting())
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
        expired = tokens.issue(make_user(), make_acting())
        clock.set(expired.expires_at)

        messages = set()
        for token in (expired.token, "nonsense"):
            with pytest.raises(NotAuthenticated) as refusal:
                tokens.verify(token)
            messages.add((refusal.value.message, *refusal.value.params))

        assert len(messages) == 1


class RefreshTokensContract:
    """Subclasses provide ``refresh_tokens``, and ``make(*secrets)``, the newest secret first."""

    def test_no_two_are_alike(self, refresh_tokens: RefreshTokens) -> None:
        made = {refresh_tokens.mint() for _ in range(100)}
        assert len(made) == len({refresh_tokens.digest(token) for token in made}) == 100
        assert refresh_tokens.salt() != refresh_tokens.salt()

    def test_what_is_kept_says_nothing_of_a_token(self, refresh_tokens: RefreshTokens) -> None:
        token = refresh_tokens.mint()
        assert token not in refresh_tokens.digest(token)
        assert len(refresh_tokens.digest(token)) == 64

    @pytest.mark.parametrize("token", ["", "nonsense", "\ud800"])
    def test_anything_can_be_looked_for(self, refresh_tokens: RefreshTokens, token: str) -> None:
        assert len(refresh_tokens.digest(token)) == 64

    def test_one_token_and_salt_have_one_successor(self, refresh_tokens: RefreshTokens) -> None:
        token, salt = refresh_tokens.mint(), refresh_tokens.salt()
        (successor,) = refresh_tokens.successors(token, salt)
        assert refresh_tokens.successors(token, salt) == (successor,)
        assert refresh_tokens.successors(token, refresh_tokens.salt()) != (successor,)
        assert refresh_tokens.successors(successor, salt) != (successor,)

    def test_a_successor_needs_the_secret(self, make: Callable[..., RefreshTokens]) -> None:
        ours, theirs = make("ab" * 32), make("cd" * 32)
        token, salt = ours.mint(), ours.salt()
        assert ours.successors(token, salt) != theirs.successors(token, salt)

    def test_a_successor_of_the_secret_before_is_found(
        self, make: Callable[..., RefreshTokens]
    ) -> None:
        before, now = make("ab" * 32), make("cd" * 32, "ab" * 32)
        token, salt = before.mint(), before.salt()
        assert before.successors(token, salt)[0] == now.successors(token, salt)[1]


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
