"""The ``IdentityProvider`` over OpenID Connect."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
import msgspec
import structlog

from adapters.openid.fetching import Remembered, decoded, fetched, unavailable
from adapters.openid.id_token import (
    Expected,
    TokenRejected,
    key_id,
    published_keys,
    verified_claims,
)
from application.ports.clock import Clock
from application.ports.identity_provider import AuthorizationRequest, CodeGrant
from domain.identity.linked_identity import (
    ExternalIdentity,
    IdentityRejected,
    ProviderName,
    ProviderRefused,
)

log = structlog.get_logger(__name__)

_DISCOVERY: Final = "/.well-known/openid-configuration"
_MAX_TEXT: Final = 320
"""Characters of an email or a name; what is longer is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdSettings:
    """Who the provider is and who we are to it. Times are seconds. The secret is never shown.

    ``algorithms`` are those that a token may be signed with: asymmetric ones alone, whatever
    the provider lists.
    """

    name: ProviderName
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    algorithms: frozenset[str] = frozenset({"RS256", "ES256"})
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    connect_timeout: float = 3.0
    answer_timeout: float = 8.0


class OpenIdProvider:
    """Speaks to one provider as one client of its. Close it with :meth:`aclose`."""

    def __init__(self, settings: OpenIdSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(settings.answer_timeout, connect=settings.connect_timeout),
            follow_redirects=False,
        )
        self._configuration = Remembered(self._fetch_configuration, clock)
        self._keys = Remembered(self._fetch_keys, clock)

    @property
    def name(self) -> ProviderName:
        """Which one it is."""
        return self._settings.name

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        endpoint = (await self._configuration.value()).authorization_endpoint
        challenge = hashlib.sha256(request.verifier.encode("ascii")).digest()
        query = urlencode(
            {
                **self._settings.parameters,
                "response_type": "code",
                "client_id": self._settings.client_id,
                "redirect_uri": self._settings.redirect_uri,
                "scope": " ".join(self._settings.scopes),
                "state": request.state,
                "nonce": request.nonce,
                "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    async def identity(self, grant: CodeGrant) -> ExternalIdentity:
        configuration = await self._configuration.value()
        if grant.issuer not in (None, self._settings.issuer) or (
            grant.issuer is None and configuration.authorization_response_iss_parameter_supported
        ):
            raise self._rejected("the code comes from another issuer")
        tokens = await self._exchanged(configuration, grant)
        claims = await self._claims(tokens.id_token, grant.nonce)
        if "email" not in claims and configuration.userinfo_endpoint and tokens.access_token:
            claims = {**await self._told(configuration, tokens.access_token, claims), **claims}
        return ExternalIdentity(
            provider=self.name,
            subject=str(claims["sub"]),
            email=_text(claims, "email"),
            # Only the value true: a provider that writes it otherwise has not said it.
            email_verified=claims.get("email_verified") is True,
            name=_text(claims, "name"),
        )

    async def _claims(self, token: str, nonce: str) -> Mapping[str, object]:
        try:
            key = await self._key(key_id(token, self._settings.algorithms))
            return verified_claims(
                token,
                key,
                Expected(
                    issuer=self._settings.issuer,
                    client_id=self._settings.client_id,
                    nonce=nonce,
                    now=self._clock.now(),
                ),
            )
        except TokenRejected as error:
            raise self._rejected(str(error)) from error

    async def _key(self, kid: str) -> jwt.PyJWK:
        """The key, asked for anew if it is unknown: providers change theirs."""
        key = (await self._keys.value()).get(kid) or (await self._keys.newer()).get(kid)
        if key is None:
            raise TokenRejected("an unknown key")
        return key

    async def _exchanged(self, configuration: "Configuration", grant: CodeGrant) -> "Tokens":
        form = {
            "grant_type": "authorization_code",
            "code": grant.code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": grant.verifier,
        }
        auth = None
        methods = configuration.token_endpoint_auth_methods_supported
        if methods is None or "client_secret_basic" in methods:
            # RFC 6749 §2.3.1: both are form-encoded first.
            auth = httpx.BasicAuth(
                quote(self._settings.client_id, safe=""),
                quote(self._settings.client_secret, safe=""),
            )
        else:
            form["client_id"] = self._settings.client_id
            form["client_secret"] = self._settings.client_secret
        url = configuration.token_endpoint
        status, body = await fetched(
            self._http, "POST", url, self._settings.answer_timeout, form=form, auth=auth
        )
        if status == httpx.codes.OK:
            return decoded(url, body, Tokens)
        if status == httpx.codes.BAD_REQUEST and (
            decoded(url, body, Refusal).error == "invalid_grant"
        ):
            raise ProviderRefused("invalid_grant")
        # Anything else is a fault of the provider's, or of our own registration there.
        raise unavailable(url, f"status {status}")

    async def _told(
        self, configuration: "Configuration", access_token: str, claims: Mapping[str, object]
    ) -> Mapping[str, object]:
        url = configuration.userinfo_endpoint
        status, body = await fetched(
            self._http,
            "GET",
            url,
            self._settings.answer_timeout,
            headers={"Authorization": f"Bearer {access_token}"},
        )
        if status != httpx.codes.OK:
            raise unavailable(url, f"status {status}")
        told = decoded(url, body, dict[str, object])
        # OpenID Connect Core 1.0, §5.3.2: or one person's email goes with another's name.
        if told.get("sub") != claims["sub"]:
            raise self._rejected("the email is another subject's")
        return told

    async def _fetch_configuration(self) -> "Configuration":
        url = self._settings.issuer.rstrip("/") + _DISCOVERY
        configuration = decoded(url, await self._document(url), Configuration)
        # OpenID Connect Discovery 1.0, §4.3.
        if configuration.issuer != self._settings.issuer:
            raise unavailable(url, "another issuer's")
        scheme = urlsplit(self._settings.issuer).scheme
        if any(urlsplit(address).scheme != scheme for address in configuration.addresses):
            raise unavailable(url, "addresses of another scheme")
        return configuration

    async def _fetch_keys(self) -> dict[str, jwt.PyJWK]:
        url = (await self._configuration.value()).jwks_uri
        keys = decoded(url, await self._document(url), KeySet).keys
        return published_keys(keys, self._settings.algorithms)

    async def _document(self, url: str) -> bytes:
        status, body = await fetched(self._http, "GET", url, self._settings.answer_timeout)
        if status != httpx.codes.OK:
            raise unavailable(url, f"status {status}")
        return body

    def _rejected(self, reason: str) -> IdentityRejected:
        log.warning("identity rejected", provider=self.name.value, reason=reason)
        return IdentityRejected(reason)


class Configuration(msgspec.Struct, frozen=True):
    """What is read of a provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the provider answers."""
        named = (
            self.authorization_endpoint,
            self.token_endpoint,
            self.jwks_uri,
            self.userinfo_endpoint,
        )
        return tuple(address for address in named if address)


class KeySet(msgspec.Struct, frozen=True):
    """A JWKS, its keys unread."""

    keys: list[dict[str, object]]


class Tokens(msgspec.Struct, frozen=True):
    """What a code is exchanged for. The access token asks who it is, and is forgotten."""

    id_token: str
    access_token: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """Why a code was not exchanged."""

    error: str = ""


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT else ""
