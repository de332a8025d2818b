"""Whether an ID token is the provider's word, for us, about this sign-in."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

PublicKey = RSAPublicKey | EllipticCurvePublicKey

LEEWAY_SECONDS: Final = 30
"""How far the provider's clock and ours may be apart."""

MAX_TOKEN_LENGTH: Final = 16 * 1024
"""Characters; Google's have about 1,200."""

_OLDEST_SECONDS: Final = 600
"""A token for a code that was just exchanged was made just now."""

_MAX_SUBJECT_LENGTH: Final = 255
_MIN_RSA_BITS: Final = 2048
_REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")


class TokenRejected(Exception):
    """It is not; the message says why, for the log alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token is held to."""

    issuer: str
    client_id: str
    nonce: str
    now: datetime


def key_id(token: str, algorithms: frozenset[str]) -> str:
    """Which of the provider's keys a token says it is signed with.

    Raises:
        TokenRejected: it is no token, or signed in a way that proves nothing.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenRejected("longer than any")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRejected(f"no token: {error}") from error
    if header.get("alg") not in algorithms:
        raise TokenRejected("another algorithm")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise TokenRejected("no key is named")
    return kid


def published_keys(
    documents: list[dict[str, object]], algorithms: frozenset[str]
) -> dict[str, jwt.PyJWK]:
    """The usable signing keys of a key set, by their ids: public, asymmetric and long enough."""
    usable = {}
    for document in documents:
        kid, use = document.get("kid"), document.get("use", "sig")
        if not isinstance(kid, str) or use != "sig":
            continue
        try:
            key = jwt.PyJWK(document)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # a kind of key that we do not know, beside those that we do
        if key.algorithm_name in algorithms and _strong(key.key):
            usable[kid] = key
    return usable


def verified_claims(token: str, key: jwt.PyJWK, expected: Expected) -> Mapping[str, object]:
    """What the token says, once all of it holds.

    Raises:
        TokenRejected: something does not.
    """
    try:
        claims: dict[str, object] = jwt.decode(
            token,
            key.key,
            # The key's own algorithm: never the token's choice.
            algorithms=[key.algorithm_name],
            options={
                "require": list(_REQUIRED),
                # The library reads the system's clock and lists of audiences; ours decide, below.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_aud": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise TokenRejected(f"not valid: {error}") from error
    _check_parties(claims, expected)
    _check_times(claims, expected.now)
    _check_nonce(claims, expected.nonce)
    subject = claims["sub"]
    if (
        not isinstance(subject, str)
        or not 0 < len(subject) <= _MAX_SUBJECT_LENGTH
        or not all(" " < ch <= "~" for ch in subject)
    ):
        raise TokenRejected("no subject")
    return claims


def _strong(key: object) -> bool:
    if isinstance(key, RSAPublicKey):
        return key.key_size >= _MIN_RSA_BITS
    return isinstance(key, EllipticCurvePublicKey)


def _check_parties(claims: Mapping[str, object], expected: Expected) -> None:
    if claims["iss"] != expected.issuer:
        raise TokenRejected("another issuer")
    # OpenID Connect Core 1.0, §3.1.3.7: no audience that we do not trust, and we trust no other.
    if claims["aud"] not in (expected.client_id, [expected.client_id]):
        raise TokenRejected("another audience")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise TokenRejected("another authorised party")


def _check_times(claims: Mapping[str, object], now: datetime) -> None:
    seconds = now.timestamp()
    if _moment(claims, "exp") + LEEWAY_SECONDS <= seconds:
        raise TokenRejected("expired")
    issued = _moment(claims, "iat")
    if not seconds - _OLDEST_SECONDS <= issued <= seconds + LEEWAY_SECONDS:
        raise TokenRejected("from another time")
    if "nbf" in claims and _moment(claims, "nbf") > seconds + LEEWAY_SECONDS:
        raise TokenRejected("not yet valid")


def _check_nonce(claims: Mapping[str, object], nonce: str) -> None:
    given = claims["nonce"]
    if not isinstance(given, str) or not hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), nonce.encode()
    ):
        raise TokenRejected("another nonce")


def _moment(claims: Mapping[str, object], name: str) -> float:
    value = claims[name]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TokenRejected(f"{name} is no time")
    return value
