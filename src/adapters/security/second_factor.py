"""Authenticator apps' codes, recovery codes and the tokens of challenges."""

import base64
import hashlib
import hmac
import io
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pyotp
import segno
from pyotp.exceptions import OTPVerificationError

from adapters.security.key_secrets import Peppers
from domain.identity.second_factor import (
    RECOVERY_ALPHABET,
    RECOVERY_LENGTH,
    STEP_SECONDS,
    WINDOW,
    read_recovery_code,
)
from domain.shared.ids import UserId

_SECRET_BYTES: Final = 20
"""160 bits, the length of SHA-1's output (RFC 4226 §4, requirement 6)."""

_TOKEN_BYTES: Final = 32
_RECOVERY_USE: Final = b"recovery-code"


class OneTimeSecrets:
    """RFC 6238 with SHA-1, six digits and 30 seconds: what every authenticator app takes.

    Recovery codes are kept as HMAC-SHA-256 under a pepper that no database has, bound to whose
    they are.

    Args:
        peppers: keys of that hash, by version.
        issuer: who the codes are for, as the app shows it.
    """

    def __init__(self, peppers: Peppers, issuer: str = "BharatBuild AI") -> None:
        self._peppers: Sequence[bytes] = tuple(peppers.by_version.values())
        self._issuer = issuer

    def new_secret(self) -> bytes:
        return secrets.token_bytes(_SECRET_BYTES)

    def matching_step(self, secret: bytes, code: str, now: datetime) -> int | None:
        try:
            return self._codes(secret).verify_and_get_timecode(
                code, for_time=now, valid_window=WINDOW
            )
        except OTPVerificationError:
            return None

    def written(self, secret: bytes) -> str:
        return base64.b32encode(secret).decode()

    def uri(self, secret: bytes, account: str) -> str:
        return self._codes(secret).provisioning_uri(name=account, issuer_name=self._issuer)

    def drawn(self, uri: str) -> str:
        drawing = io.BytesIO()
        segno.make(uri, error="m", micro=False).save(
            drawing, kind="svg", xmldecl=False, svgclass=None, lineclass=None, omitsize=True
        )
        return drawing.getvalue().decode().strip()

    def new_recovery_code(self) -> str:
        code = "".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_LENGTH))
        return read_recovery_code(code) or code

    def digests(self, code: str, user_id: UserId) -> tuple[str, ...]:
        said = b"\x00".join((_RECOVERY_USE, user_id.bytes, code.encode()))
        return tuple(hmac.digest(pepper, said, "sha256").hex() for pepper in self._peppers)

    def new_token(self) -> str:
        return secrets.token_urlsafe(_TOKEN_BYTES)

    def token_digest(self, token: str) -> str:
        return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

    def _codes(self, secret: bytes) -> pyotp.TOTP:
        return pyotp.TOTP(self.written(secret), interval=STEP_SECONDS)
