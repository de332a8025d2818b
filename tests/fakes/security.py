"""Passwords and tokens without cryptography, for tests of what uses them."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from datetime import timedelta

from application.ports.clock import Clock
from application.ports.security import AccessToken, Principal, SecretUnreadable
from domain.identity.session import ActingSession
from domain.identity.user import NotAuthenticated, User


class PlainPasswordHasher:
    """Keeps a password in the open, behind a salt. ``wasted`` counts the calls of ``waste``.

    Args:
        generation: rises when a test wants the older hashes to be outdated.
    """

    def __init__(self, generation: int = 1) -> None:
        self.generation = generation
        self.wasted = 0
        self._salts = itertools.count(1)

    async def hash(self, password: str) -> str:
        return f"$plain$g={self.generation}${next(self._salts)}${password}"

    async def verify(self, password: str, password_hash: str) -> bool:
        return _parts(password_hash)[3] == password

    async def waste(self, password: str) -> None:
        self.wasted += 1

    def outdated(self, password_hash: str) -> bool:
        return int(_parts(password_hash)[1].removeprefix("g=")) < self.generation


class OpaqueAccessTokens:
    """Tokens that mean nothing outside this object."""

    def __init__(self, clock: Clock, ttl: timedelta = timedelta(minutes=10)) -> None:
        self._clock = clock
        self._ttl = ttl
        self._issued: dict[str, tuple[Principal, AccessToken]] = {}

    def issue(self, user: User, session: ActingSession) -> AccessToken:
        expires_at = self._clock.now().replace(microsecond=0) + self._ttl
        token = AccessToken(token=f"token-{len(self._issued) + 1}", expires_at=expires_at)
        self._issued[token.token] = (
            Principal(user_id=user.id, role=user.role, session=named(session)),
            token,
        )
        return token

    def verify(self, token: str) -> Principal:
        principal, issued = self._issued.get(token, (None, None))
        if principal is None or issued is None or issued.expires_at <= self._clock.now():
            raise NotAuthenticated("Sign in again: the access token is not valid.")
        return principal

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        return []


def named(session: ActingSession) -> ActingSession:
    """What a token says of a session."""
    return ActingSession(id=session.id, version=session.version)


class CountingRefreshTokens:
    """Refresh tokens in the order they were made; a digest is a hash.

    Args:
        secrets: in force, the newest first.
    """

    def __init__(self, *secrets: str) -> None:
        self.secrets = secrets or ("secret",)
        self._made = itertools.count(1)

    def mint(self) -> str:
        return f"refresh-{next(self._made)}"

    def salt(self) -> bytes:
        return f"salt-{next(self._made)}".encode()

    def digest(self, token: str) -> str:
        return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

    def successors(self, token: str, salt: bytes) -> tuple[str, ...]:
        return tuple(
            "after-" + self.digest(f"{secret}:{salt.decode()}:{token}")[:20]
            for secret in self.secrets
        )


class TransparentSecretBox:
    """Writes the use before the secret, and hides nothing."""

    def __init__(self) -> None:
        self._key = b"key"

    def seal(self, secret: bytes, use: str) -> bytes:
        return self._key + use.encode() + b"\x00" + secret[::-1]

    def open(self, sealed: bytes, use: str) -> bytes:
        head = self._key + use.encode() + b"\x00"
        if not sealed.startswith(head):
            raise SecretUnreadable("a secret was altered, or is for another use")
        return sealed[len(head) :][::-1]

    def lose_key(self) -> None:
        """Have another key from now on: nothing that was sealed opens any more."""
        self._key += b"'"


def _parts(password_hash: str) -> list[str]:
    parts = password_hash.removeprefix("$").split("$", 3)
    if len(parts) != 4 or parts[0] != "plain":
        raise ValueError("A stored password hash is not this hasher's.")
    return parts
