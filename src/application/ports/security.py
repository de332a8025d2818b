"""Passwords and access tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.identity.session import ActingSession
from domain.identity.user import PERMISSIONS, Permission, Role, User
from domain.keys.api_key import ActingKey
from domain.shared.ids import UserId


class PasswordHasher(Protocol):
    """Slow, salted, memory-hard hashing, off the event loop and bounded."""

    async def hash(self, password: str) -> str:
        """The PHC string to keep."""
        ...

    async def verify(self, password: str, password_hash: str) -> bool:
        """Whether they belong together."""
        ...

    async def waste(self, password: str) -> None:
        """Take as long as ``verify`` does, for an account that does not exist."""
        ...

    def outdated(self, password_hash: str) -> bool:
        """Whether the parameters rose since this hash was made."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A signed token and when it ends."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a valid access token or API key speaks for.

    ``key`` is the key, if it was one; ``session`` the session, if it was a token. Who is
    ``restricted`` has not proved the second factor that their role needs, and may read their
    account and set one up.
    """

    user_id: UserId
    role: Role
    key: ActingKey | None = None
    session: ActingSession | None = None
    restricted: bool = False

    @property
    def permissions(self) -> frozenset[Permission]:
        """What this caller may do: what the role may, or of it what the key is scoped for."""
        if self.restricted:
            return PERMISSIONS[self.role] & {Permission.ACCOUNT_READ}
        return PERMISSIONS[self.role] if self.key is None else self.key.scopes


class SecretUnreadable(Exception):
    """A sealed secret was not sealed here, for another use, or under a key that is gone."""


class SecretBox(Protocol):
    """Keeps secrets that must be had back, encrypted and bound to what they are for."""

    def seal(self, secret: bytes, use: str) -> bytes:
        """The secret, encrypted; it opens for the same ``use`` alone."""
        ...

    def open(self, sealed: bytes, use: str) -> bytes:
        """The secret.

        Raises:
            SecretUnreadable: it was altered, is for another use, or its key is gone.
        """
        ...


class AccessTokens(Protocol):
    """Short-lived signed tokens."""

    def issue(self, user: User, session: ActingSession) -> AccessToken:
        """A token for this user's session."""
        ...

    def verify(self, token: str) -> Principal:
        """Who the token speaks for, as far as it can tell: its session may be over.

        Raises:
            NotAuthenticated: not ours, expired, for another audience, or altered.
        """
        ...

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        """The keys whose signatures are accepted, as JSON Web Keys (RFC 7517)."""
        ...
