"""Access tokens: JWTs signed with Ed25519."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import jwt

from adapters.security.keys import KeyRing, ReloadedKeyRing
from application.ports.clock import Clock
from application.ports.security import AccessToken, Principal
from domain.identity.session import ActingSession
from domain.identity.user import NotAuthenticated, Role, User
from domain.shared.ids import SessionId, UserId

_ALGORITHM: Final = "EdDSA"
_TYPE: Final = "at+jwt"
_CLAIMS: Final = ("iss", "aud", "sub", "iat", "exp", "jti", "role", "sid", "sv")

_LEEWAY_SECONDS: Final = 2
"""By how much a token may come from the future: our machines' clocks are kept together by NTP,
not made one. An expiry gets no such grace; ending early costs one refresh."""

_MAX_TOKEN_LENGTH: Final = 4096
"""Characters; ours have about 450. A longer one is refused before it is parsed."""


class SignedAccessTokens:
    """Issues and verifies access tokens.

    Args:
        keys: what signs, and what is accepted.
        clock: decides what is expired.
        issuer: ``iss``, this platform's public URL.
        audience: ``aud``, the API they are for.
        ttl: how long a token lives; short, because whoever else trusts our keys (the JWKS) does
            not hear of a session's end before.
    """

    def __init__(
        self,
        keys: KeyRing | ReloadedKeyRing,
        clock: Clock,
        issuer: str,
        audience: str,
        ttl: timedelta = timedelta(minutes=10),
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._ttl = ttl

    def issue(self, user: User, session: ActingSession) -> AccessToken:
        """A token for this user's session, from this moment on."""
        # Numeric dates are whole seconds; the answer and the claim must say the same.
        keys = self._keys.at(self._clock.now())
        issued_at = int(self._clock.now().timestamp())
        expires_at = issued_at + int(self._ttl.total_seconds())
        token = jwt.encode(
            {
                "iss": self._issuer,
                "aud": self._audience,
                "sub": str(user.id),
                "iat": issued_at,
                "exp": expires_at,
                "jti": secrets.token_urlsafe(16),
                "role": user.role.value,
                "sid": str(session.id),
                "sv": session.version,
            },
            keys.signing_key,
            algorithm=_ALGORITHM,
            headers={"kid": keys.signing_key_id, "typ": _TYPE},
        )
        return AccessToken(token=token, expires_at=datetime.fromtimestamp(expires_at, UTC))

    def verify(self, token: str) -> Principal:
        """Who the token speaks for.

        Raises:
            NotAuthenticated: whatever is wrong, with one public message; ``__cause__`` says what.
        """
        try:
            claims = self._verified_claims(token)
            self._check_times(claims)
            return Principal(
                user_id=UserId(UUID(_text(claims, "sub"))),
                role=Role(_text(claims, "role")),
                session=ActingSession(
                    id=SessionId(UUID(_text(claims, "sid"))), version=_number(claims, "sv")
                ),
            )
        # ValueError: not a UUID, not a role, or text that has no UTF-8 form.
        except (jwt.PyJWTError, ValueError) as error:
            raise NotAuthenticated("Sign in again: the access token is not valid.") from error

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        """The keys whose signatures are accepted, as JSON Web Keys."""
        return self._keys.public_keys()

    def _verified_claims(self, token: str) -> Mapping[str, object]:
        if len(token) > _MAX_TOKEN_LENGTH:
            raise jwt.InvalidTokenError("The token is longer than any of ours.")
        header = jwt.get_unverified_header(token)
        if header.get("typ") != _TYPE:
            raise jwt.InvalidTokenError("The token is of another type.")
        key = self._keys.accepted(header.get("kid", ""))
        if key is None:
            raise jwt.InvalidTokenError("The token is signed with an unknown key.")
        claims: dict[str, object] = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=self._issuer,
            audience=self._audience,
            options={
                "require": list(_CLAIMS),
                "strict_aud": True,
                # The library reads the system's clock; ours decides, below.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return claims

    def _check_times(self, claims: Mapping[str, object]) -> None:
        now = self._clock.now().timestamp()
        if _number(claims, "exp") <= now:
            raise jwt.ExpiredSignatureError("The token has expired.")
        starts = ("iat", "nbf") if "nbf" in claims else ("iat",)
        if any(_number(claims, start) - _LEEWAY_SECONDS > now for start in starts):
            raise jwt.ImmatureSignatureError("The token is from the future.")


def _number(claims: Mapping[str, object], name: str) -> int:
    value = claims[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise jwt.InvalidTokenError(f"The claim {name} is not a whole number.")
    return value


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str):
        raise jwt.InvalidTokenError(f"The claim {name} is not text.")
    return value
