"""API keys' texts: made here, and hashed under peppers that no database has."""

import binascii
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from adapters.security.keys import UnusableKey
from domain.keys.api_key import KeySecret
from domain.keys.key_text import ALPHABET, RANDOM_LENGTH, KeyEnvironment, KeyText, compose

_MIN_PEPPER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Peppers:
    """Keys of the hash, by version; the newest seals, all are accepted."""

    by_version: Mapping[int, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2:<hex> 1:<hex>``: versions in any order, with spaces or lines between.

        Raises:
            UnusableKey: there is none, or one is not a number, a colon and 32 bytes in hex.
        """
        found: dict[int, bytes] = {}
        for entry in text.split():
            version, _, digits = entry.partition(":")
            try:
                number, pepper = int(version), binascii.unhexlify(digits)
            except ValueError as error:
                raise UnusableKey("A pepper is written as its version, a colon and hex.") from error
            if len(pepper) < _MIN_PEPPER_BYTES or not 0 < number < 2**15 or number in found:
                raise UnusableKey(
                    f"A pepper needs a version of its own and {_MIN_PEPPER_BYTES} bytes or more."
                )
            found[number] = pepper
        if not found:
            raise UnusableKey("There is no pepper.")
        return cls(MappingProxyType(dict(sorted(found.items(), reverse=True))))


def generate_pepper(version: int = 1) -> str:
    """A fresh pepper as :meth:`Peppers.parse` reads it. A secret."""
    return f"{version}:{secrets.token_hex(_MIN_PEPPER_BYTES)}"


class PepperedKeySecrets:
    """HMAC-SHA-256. The key has 214 random bits, so nothing slower would add anything."""

    def __init__(self, peppers: Peppers) -> None:
        self._peppers: Sequence[tuple[int, bytes]] = tuple(peppers.by_version.items())

    def mint(self, environment: KeyEnvironment) -> KeyText:
        """A new key from the operating system's randomness."""
        random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
        return compose(environment, random)

    def seal(self, key: KeyText) -> KeySecret:
        """What is kept of a key."""
        version, pepper = self._peppers[0]
        return KeySecret(
            digest=_digest(pepper, key.text),
            pepper=version,
            prefix=key.prefix,
            last_four=key.last_four,
        )

    def digests(self, key: KeyText) -> tuple[str, ...]:
        """Its hash under every pepper, the newest first."""
        return tuple(_digest(pepper, key.text) for _, pepper in self._peppers)

    def digest(self, sent: str) -> str:
        """The newest of them, of whatever was sent."""
        return _digest(self._peppers[0][1], sent)


def _digest(pepper: bytes, text: str) -> str:
    return hmac.digest(pepper, text.encode("utf-8", "surrogatepass"), "sha256").hex()
