"""Secrets at rest, under versioned keys."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.security.keys import UnusableKey
from application.ports.security import SecretUnreadable

_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION_BYTES = 2
_HIGHEST_VERSION = 2 ** (8 * _VERSION_BYTES) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxKeys:
    """AES-256 keys by version. The highest seals, all open."""

    by_version: Mapping[int, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From words ``version:key``, each key 64 hexadecimal digits.

        Raises:
            UnusableKey: one does not fit, or there is none.
        """
        keys: dict[int, bytes] = {}
        for word in text.replace(",", " ").split():
            version, _, digits = word.partition(":")
            try:
                number, key = int(version), bytes.fromhex(digits)
            except ValueError:
                raise UnusableKey("Give version:key, the key as 64 hexadecimal digits.") from None
            if not 1 <= number <= _HIGHEST_VERSION or len(key) != _KEY_BYTES or number in keys:
                raise UnusableKey(
                    f"Give each version from 1 to {_HIGHEST_VERSION} once, its key as 64 "
                    "hexadecimal digits."
                )
            keys[number] = key
        if not keys:
            raise UnusableKey("Give at least one version:key.")
        return cls(by_version=MappingProxyType(keys))

    @property
    def newest(self) -> int:
        """The version that seals."""
        return max(self.by_version)


def generate_box_key() -> str:
    """A first key, in the form that :meth:`BoxKeys.parse` takes."""
    return f"1:{secrets.token_hex(_KEY_BYTES)}"


class AesGcmSecretBox:
    """AES-256-GCM with a random nonce (NIST SP 800-38D §8.2.2: good for 2³² secrets a key).

    Sealed: the key's version, the nonce, the ciphertext with its tag. Version and use are
    authenticated with it.
    """

    def __init__(self, keys: BoxKeys) -> None:
        self._newest = keys.newest
        self._ciphers = {version: AESGCM(key) for version, key in keys.by_version.items()}

    def seal(self, secret: bytes, use: str) -> bytes:
        """Encrypt under the newest key."""
        version = self._newest.to_bytes(_VERSION_BYTES, "big")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return (
            version
            + nonce
            + self._ciphers[self._newest].encrypt(nonce, secret, version + use.encode())
        )

    def open(self, sealed: bytes, use: str) -> bytes:
        """Decrypt under the key that sealed it.

        Raises:
            SecretUnreadable: it was altered, is for another use, or its key is gone.
        """
        version, rest = sealed[:_VERSION_BYTES], sealed[_VERSION_BYTES:]
        cipher = self._ciphers.get(int.from_bytes(version, "big"))
        if cipher is None:
            raise SecretUnreadable("a secret is sealed under a key that is not there")
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], version + use.encode())
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable("a secret was altered, or is for another use") from error
