"""Signing in with another provider's account: the provider, and what is kept meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from domain.identity.linked_identity import ExternalIdentity, LinkedIdentity, ProviderName
from domain.shared.errors import DomainError
from domain.shared.ids import UserId

T = TypeVar("T")


class ValuesUnavailable(DomainError):
    """What is kept of a sign-in that is under way does not answer."""

    code = "redis_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What is asked of the provider: secrets of this one sign-in, and nothing of the person.

    ``verifier`` stays with us until the code is exchanged; the provider sees its hash
    (RFC 7636, S256).
    """

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeGrant:
    """What came back: the code, with what it is held to.

    ``issuer`` is who the browser says that it comes from (RFC 9207), if it says.
    """

    code: str
    nonce: str
    verifier: str
    issuer: str | None = None


class IdentityProvider(Protocol):
    """Who vouches for people, over OpenID Connect's code flow."""

    @property
    def name(self) -> ProviderName:
        """Which one it is."""
        ...

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """Where to send the browser.

        Raises:
            ProviderUnavailable: the provider does not tell where.
        """
        ...

    async def identity(self, grant: CodeGrant) -> ExternalIdentity:
        """Who the provider says has signed in. A code is good once.

        Raises:
            ProviderUnavailable: no answer in time, or none that can be read.
            ProviderRefused: the provider does not take the code.
            IdentityRejected: the answer is not this provider's word for us about this sign-in.
        """
        ...


class LinkedIdentities(Protocol):
    """The person's identities at providers."""

    async def owner(self, provider: ProviderName, subject: str) -> UserId | None:
        """Whose account an identity opens: also for a transaction of nobody."""
        ...

    async def add(self, identity: LinkedIdentity) -> None:
        """Link one.

        Raises:
            IdentityTaken: it is another account's, or this one has another of the provider.
        """
        ...

    async def all(self, *, lock: bool = False) -> Sequence[LinkedIdentity]:
        """Those of the person. ``lock`` makes whoever else asks for it wait until the commit."""
        ...

    async def note_use(self, provider: ProviderName, email: str) -> None:
        """Note that one was used now, and the email that the provider gave."""
        ...

    async def remove(self, provider: ProviderName) -> bool:
        """Unlink it; whether it was there."""
        ...


class OneTimeValues(Protocol, Generic[T]):
    """Values kept for minutes under tokens that nobody can guess, each taken once."""

    async def keep(self, value: T, ttl_seconds: int) -> str:
        """The token.

        Raises:
            ValuesUnavailable: the store did not answer.
        """
        ...

    async def look(self, token: str) -> T | None:
        """The value, which stays; None if the token is unknown, used or too old.

        Raises:
            ValuesUnavailable: the store did not answer.
        """
        ...

    async def take(self, token: str) -> T | None:
        """The value, for the one who takes it first; None as for :meth:`look`.

        Raises:
            ValuesUnavailable: the store did not answer.
        """
        ...
