"""The keys that sign access tokens."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import structlog
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

log: structlog.stdlib.BoundLogger = structlog.get_logger("signing_keys")

LOOK_SECONDS: Final = 5.0
"""How often at most a ring's file is looked at."""

_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)
_SIGNS_FROM: Final = "Signs-From:"


class UnusableKey(ValueError):
    """A key's text or file is not what is needed. Never shows the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that signs from a moment on, or has always signed."""

    signing_key_id: str
    signing_key: Ed25519PrivateKey = field(repr=False)
    signs_from: datetime = _ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys that sign, one after another, and every key whose signatures are accepted, by id.

    A key's id is the RFC 7638 thumbprint of its public half. A key that is to sign later is
    accepted at once, so that by then everybody knows it.
    """

    signing: tuple[SigningKey, ...]
    verification_keys: Mapping[str, Ed25519PublicKey] = field(repr=False)

    @classmethod
    def from_pem(cls, signing: str, verification: Iterable[str] = ()) -> Self:
        """From PEM texts: PKCS #8 private keys, and further keys, private or public, whose
        signatures are accepted (the one before, or the next).

        A line ``Signs-From: 2026-12-01T00:00:00+00:00`` before a private key says from when it
        signs; one key at most has none, and has always signed.

        Raises:
            UnusableKey: a text is not an unencrypted PEM of an Ed25519 key.
        """
        schedule = tuple(sorted(_scheduled(signing), key=lambda key: key.signs_from))
        if sum(key.signs_from == _ALWAYS for key in schedule) > 1:
            raise UnusableKey("Of several signing keys, each but one needs a line Signs-From.")
        accepted = {_thumbprint(key): key for key in map(_public_key, verification)}
        accepted |= {key.signing_key_id: key.signing_key.public_key() for key in schedule}
        return cls(signing=schedule, verification_keys=MappingProxyType(accepted))

    @classmethod
    def from_files(cls, signing: Path, verification: Iterable[Path] = ()) -> Self:
        """As :meth:`from_pem`, from files.

        Raises:
            UnusableKey: a file cannot be read, or does not hold such a key.
        """
        return cls.from_pem(_text(signing), [_text(path) for path in verification])

    @property
    def signing_key_id(self) -> str:
        """The id of the key that signs first."""
        return self.signing[0].signing_key_id

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs first."""
        return self.signing[0].signing_key

    def at(self, now: datetime) -> SigningKey:
        """The key that signs at that moment."""
        begun = [key for key in self.signing if key.signs_from <= now]
        return begun[-1] if begun else self.signing[0]

    def accepted(self, key_id: str) -> Ed25519PublicKey | None:
        """The key of that id, if its signatures are accepted."""
        return self.verification_keys.get(key_id)

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        """What is accepted, as JSON Web Keys (RFC 7517, RFC 8037)."""
        return [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": _base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw)),
                "kid": key_id,
                "use": "sig",
                "alg": "EdDSA",
            }
            for key_id, key in self.verification_keys.items()
        ]


class ReloadedKeyRing:
    """The ring of a file, read again when the file was changed.

    It is looked at every :data:`LOOK_SECONDS` at most. What cannot be read then is logged, and
    the keys that are known stay.

    Raises:
        UnusableKey: at the start, the file cannot be read, or does not hold such keys.
    """

    def __init__(
        self,
        path: Path,
        verification: Sequence[str] = (),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._verification = verification
        self._seconds = seconds
        self._ring = KeyRing.from_pem(_text(path), verification)
        self._changed = self._stamp()
        self._look_at = seconds() + LOOK_SECONDS

    def at(self, now: datetime) -> SigningKey:
        """The key that signs at that moment."""
        return self._fresh().at(now)

    def accepted(self, key_id: str) -> Ed25519PublicKey | None:
        """The key of that id, if its signatures are accepted."""
        return self._fresh().accepted(key_id)

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        """What is accepted, as JSON Web Keys."""
        return self._fresh().public_keys()

    def _fresh(self) -> KeyRing:
        if self._seconds() < self._look_at:
            return self._ring
        self._look_at = self._seconds() + LOOK_SECONDS
        stamp = self._stamp()
        if stamp != self._changed:
            try:
                self._ring = KeyRing.from_pem(_text(self._path), self._verification)
            except UnusableKey as error:
                log.error("signing keys not read again", error=str(error))
            else:
                log.info("signing keys read again", keys=sorted(self._ring.verification_keys))
                self._changed = stamp
        return self._ring

    def _stamp(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return 0, 0
        return status.st_mtime_ns, status.st_ino


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A ring with one more key, as text, which is a secret, and what was changed."""

    text: str = field(repr=False)
    added: str
    signs_from: datetime
    dropped: tuple[str, ...]


def rotated(text: str, now: datetime, *, signs_in: timedelta, keep_for: timedelta) -> Rotation:
    """A new key beside those of a ring's text, to sign in a while, and without dead ones.

    A key is dropped when another has signed in its place for ``keep_for``: nothing that it
    signed is good any more.

    Raises:
        UnusableKey: the text is not a ring's.
    """
    ring = KeyRing.from_pem(text)
    kept = [
        key
        for key, next_ in zip(ring.signing, (*ring.signing[1:], None), strict=True)
        if next_ is None or next_.signs_from + keep_for > now
    ]
    new = Ed25519PrivateKey.generate()
    added = SigningKey(
        signing_key_id=_thumbprint(new.public_key()),
        signing_key=new,
        signs_from=(now + signs_in).replace(microsecond=0),
    )
    return Rotation(
        text="".join(map(_block, [*kept, added])),
        added=added.signing_key_id,
        signs_from=added.signs_from,
        dropped=tuple(key.signing_key_id for key in ring.signing if key not in kept),
    )


def generate_signing_key() -> tuple[str, str]:
    """A new key: its id, and its PKCS #8 PEM text, which is a secret."""
    key = Ed25519PrivateKey.generate()
    return _thumbprint(key.public_key()), _pem(key)


def _pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _block(key: SigningKey) -> str:
    # Text before a PEM's first line is anybody's (RFC 7468 §5.2).
    head = "" if key.signs_from == _ALWAYS else f"{_SIGNS_FROM} {key.signs_from.isoformat()}\n"
    return head + _pem(key.signing_key)


def pem_blocks(text: str) -> list[str]:
    """The PEMs that stand one after another, each with what stands before it."""
    blocks, block = [], ""
    for line in text.splitlines(keepends=True):
        block += line
        if line.startswith("-----END"):
            blocks.append(block)
            block = ""
    return blocks


def _scheduled(text: str) -> list[SigningKey]:
    keys = []
    for block in pem_blocks(text) or [text]:
        head, _, _ = block.partition("-----BEGIN")
        named = [line for line in head.splitlines() if line.startswith(_SIGNS_FROM)]
        signs_from = _ALWAYS
        if named:
            try:
                signs_from = datetime.fromisoformat(named[-1].removeprefix(_SIGNS_FROM).strip())
            except ValueError as error:
                raise UnusableKey("A line Signs-From does not say a moment.") from error
            if signs_from.tzinfo is None:
                raise UnusableKey("A line Signs-From does not say its time zone.")
        key = _private_key(block)
        keys.append(
            SigningKey(
                signing_key_id=_thumbprint(key.public_key()),
                signing_key=key,
                signs_from=signs_from,
            )
        )
    return keys


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
