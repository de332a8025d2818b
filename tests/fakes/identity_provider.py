"""A provider inside the process, and values that are taken once."""

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

from application.ports.clock import Clock
from application.ports.identity_provider import AuthorizationRequest, CodeGrant
from domain.identity.linked_identity import (
    ExternalIdentity,
    IdentityRejected,
    ProviderName,
    ProviderRefused,
    ProviderUnavailable,
)

T = TypeVar("T")

ISSUER = "https://provider.example"


class InMemoryIdentityProvider:
    """Knows people by name, and vouches for whom a test lets sign in."""

    name = ProviderName.GOOGLE

    def __init__(self) -> None:
        self.away = False
        self._people: dict[str, ExternalIdentity] = {}
        self._codes: dict[str, tuple[str, str, ExternalIdentity]] = {}

    def person(
        self, name: str, *, email: str = "", email_verified: bool = True, subject: str = ""
    ) -> ExternalIdentity:
        """Somebody who has an account there; the same name again changes it."""
        self._people[name] = ExternalIdentity(
            provider=self.name,
            subject=subject or f"subject-of-{name}",
            email=email or f"{name}@example.com",
            email_verified=email_verified,
            name=name.title(),
        )
        return self._people[name]

    def approve(self, url: str, name: str) -> str:
        """Let somebody sign in where ``url`` sent them; the code the browser brings back."""
        asked = parse_qs(urlsplit(url).query)
        code = f"code-{len(self._codes) + 1}"
        identity = self._people.get(name) or self.person(name)
        self._codes[code] = (asked["nonce"][0], asked["code_challenge"][0], identity)
        return code

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        self._answer()
        query = urlencode(
            {
                "response_type": "code",
                "state": request.state,
                "nonce": request.nonce,
                "code_challenge": _challenge(request.verifier),
                "code_challenge_method": "S256",
            }
        )
        return f"{ISSUER}/authorize?{query}"

    async def identity(self, grant: CodeGrant) -> ExternalIdentity:
        self._answer()
        if grant.issuer not in (None, ISSUER):
            raise IdentityRejected("another issuer")
        nonce, challenge, identity = self._codes.get(grant.code, ("", "", None))
        if identity is None or challenge != _challenge(grant.verifier):
            raise ProviderRefused("no such code")
        # A code is good once, whatever comes of it.
        self._codes[grant.code] = ("", "", identity)
        if nonce != grant.nonce:
            raise IdentityRejected("another nonce")
        return identity

    def _answer(self) -> None:
        if self.away:
            raise ProviderUnavailable("The provider does not answer.")


class InMemoryOneTimeValues(Generic[T]):
    """Numbered tokens, whose age a clock decides."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued = 0
        self._values: dict[str, tuple[T, datetime]] = {}

    async def keep(self, value: T, ttl_seconds: int) -> str:
        self._issued += 1
        token = f"token-{self._issued}"
        self._values[token] = (value, self._clock.now() + timedelta(seconds=ttl_seconds))
        return token

    async def look(self, token: str) -> T | None:
        value, until = self._values.get(token, (None, self._clock.now()))
        return value if self._clock.now() < until else None

    async def take(self, token: str) -> T | None:
        value = await self.look(token)
        self._values.pop(token, None)
        return value


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
