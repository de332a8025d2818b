"""Refresh tokens, and what follows one."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

from adapters.security.key_secrets import Peppers

_PREFIX: Final = "bbr_"
_TOKEN_BYTES: Final = 32
_SALT_BYTES: Final = 16


class PepperedRefreshTokens:
    """A successor is HMAC-SHA-256 of its predecessor and a salt, under a pepper of ours.

    Without the pepper, which no database has, whoever holds a token, or a copy of the database,
    can compute nothing. A pepper that is dropped costs at most the replies lost in those seconds.
    """

    def __init__(self, peppers: Peppers) -> None:
        self._peppers = tuple(peppers.by_version.values())

    def mint(self) -> str:
        """A session's first token: 256 bits from the operating system."""
        return _text(secrets.token_bytes(_TOKEN_BYTES))

    def salt(self) -> bytes:
        """Fresh randomness for one succession."""
        return secrets.token_bytes(_SALT_BYTES)

    def digest(self, token: str) -> str:
        """SHA-256: nothing slower would add anything to 256 random bits."""
        return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

    def successors(self, token: str, salt: bytes) -> tuple[str, ...]:
        """What may follow the token, by each pepper in force, the newest first."""
        # Named, so that no other use of the peppers can ever yield the same.
        message = b"refresh successor\0" + salt + token.encode("utf-8", "surrogatepass")
        return tuple(
            _text(hmac.digest(pepper, message, hashlib.sha256)) for pepper in self._peppers
        )


def _text(random: bytes) -> str:
    return _PREFIX + base64.urlsafe_b64encode(random).rstrip(b"=").decode()
