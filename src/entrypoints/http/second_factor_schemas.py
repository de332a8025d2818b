"""The second factor and what proves a person anew, as they go over the wire."""

from datetime import datetime

import msgspec

from application.identity.manage_second_factor import ProposedFactor, SecondFactorState
from application.identity.pass_first_factor import SecondFactorNeeded
from application.identity.reauthenticate import Proof
from entrypoints.http.session_schemas import RefreshIn


class ProofRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Proves who asks: everything that the account has of password and second factor.

    ``code`` is an authenticator app's, or a recovery code.
    """

    password: str = ""
    code: str = ""

    def proof(self) -> Proof:
        return Proof(password=self.password, code=self.code)


class CodeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A code of an authenticator app, or a recovery code where that is said."""

    code: str


class MeetChallengeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Finishes a sign-in. A browser that came from elsewhere has ``challenge`` in a cookie."""

    code: str
    challenge: str | None = None
    refresh_in: RefreshIn = "cookie"


class ChallengeView(msgspec.Struct):
    """A sign-in that waits for its second factor. ``challenge`` opens nothing by itself."""

    challenge: str
    expires_at: datetime

    @classmethod
    def of(cls, needed: SecondFactorNeeded) -> "ChallengeView":
        return cls(challenge=needed.challenge, expires_at=needed.expires_at)


class SecondFactorView(msgspec.Struct):
    """Whether there is a second factor, whether the role needs one, and what is left."""

    enabled: bool
    required: bool
    recovery_codes_left: int

    @classmethod
    def of(cls, state: SecondFactorState) -> "SecondFactorView":
        return cls(state.enabled, state.required, state.recovery_codes_left)


class ProposedFactorView(msgspec.Struct):
    """A secret for an authenticator app: as text, as an address, and as a QR code in SVG.

    It is shown this once, and counts when a code of it is confirmed.
    """

    secret: str
    otpauth_uri: str
    qr_svg: str

    @classmethod
    def of(cls, proposed: ProposedFactor) -> "ProposedFactorView":
        return cls(proposed.secret, proposed.uri, proposed.drawing)


class RecoveryCodesView(msgspec.Struct):
    """Recovery codes, each good once in place of a code. They are shown this once."""

    recovery_codes: list[str]
