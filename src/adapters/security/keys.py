"""The keys that sign access tokens."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)


class UnusableKey(ValueError):
    """A key's text or file is not what is needed. Never shows the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The key that signs, and every key whose signatures are accepted, by key id.

    A key's id is the RFC 7638 thumbprint of its public half.
    """

    signing_key_id: str
    signing_key: Ed25519PrivateKey = field(repr=False)
    verification_keys: Mapping[str, Ed25519PublicKey] = field(repr=False)

    @classmethod
    def from_pem(cls, signing: str, verification: Iterable[str] = ()) -> Self:
        """From PEM texts: one PKCS #8 private key, and further keys, private or public, whose
        signatures are accepted (the one before, or the next).

        Raises:
            UnusableKey: a text is not an unencrypted PEM of an Ed25519 key.
        """
        signing_key = _private_key(signing)
        own = signing_key.public_key()
        accepted = {_thumbprint(key): key for key in map(_public_key, verification)}
        accepted[_thumbprint(own)] = own
        return cls(
            signing_key_id=_thumbprint(own),
            signing_key=signing_key,
            verification_keys=MappingProxyType(accepted),
        )

    @classmethod
    def from_files(cls, signing: Path, verification: Iterable[Path] = ()) -> Self:
        """As :meth:`from_pem`, from files.

        Raises:
            UnusableKey: a file cannot be read, or does not hold such a key.
        """
        return cls.from_pem(_text(signing), [_text(path) for path in verification])


def generate_signing_key() -> tuple[str, str]:
    """A new key: its id, and its PKCS #8 PEM text, which is a secret."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return _thumbprint(key.public_key()), pem.decode("ascii")


def _private_key(pem: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey(
            "The signing key is not an unencrypted PKCS #8 PEM; make one with generate_signing_key."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey("The signing key is not an Ed25519 key.")
    return key


def _public_key(pem: str) -> Ed25519PublicKey:
    if "PRIVATE KEY" in pem:
        return _private_key(pem).public_key()
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey("A verification key is not a PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnusableKey("A verification key is not an Ed25519 key.")
    return key


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableKey(f"The key file {path} cannot be read: {error}.") from error


def _thumbprint(key: Ed25519PublicKey) -> str:
    # RFC 7638 §3 with the members of an OKP key (RFC 8037 §2): in lexical order, without spaces.
    x = _base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return _base64url(
        hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
