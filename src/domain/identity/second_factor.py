"""The second factor: codes of an authenticator app, and recovery codes for when it is lost."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.identity.session import SignInMethod
from domain.identity.user import NotAuthenticated, PermissionDenied
from domain.shared.errors import DomainError
from domain.shared.ids import UserId

STEP_SECONDS = 30
"""How long a code is the present one (RFC 6238 §5.2)."""

WINDOW = 1
"""By how many steps a code may be early or late: for clocks, and for typing (RFC 6238 §5.2)."""

RECOVERY_CODES = 10

RECOVERY_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 signs, none of which is easily read as another."""

RECOVERY_LENGTH = 16
"""Signs of a recovery code: 80 random bits."""

CHALLENGE_LIFE = timedelta(minutes=5)
CHALLENGE_ATTEMPTS = 5

SECOND_FACTORS = frozenset({SignInMethod.TOTP, SignInMethod.RECOVERY_CODE})

_CODE = re.compile(r"[0-9]{6}")
_GROUP = 4


class WrongCode(PermissionDenied):
    """The code is wrong, was used before, or its time is over. Says no more than that."""

    code = "wrong_code"


class ChallengeOver(NotAuthenticated):
    """The sign-in that this code was to finish is finished, too old, or was tried too often."""

    code = "challenge_over"


class SecondFactorRequired(PermissionDenied):
    """The role may do this, but only after a sign-in with a second factor."""

    code = "second_factor_required"


class NoSecondFactor(DomainError):
    """There is no second factor, or none is being set up."""

    code = "no_second_factor"


class SecondFactorKept(DomainError):
    """The role needs a second factor: it can be replaced, and not removed."""

    code = "second_factor_kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpFactor:
    """An authenticator app's secret, sealed, and one that may take its place.

    ``proposed`` counts once a code of it was shown. ``last_step`` is the step of the last code
    that was used: no code of it or before is good.
    """

    secret: bytes | None
    proposed: bytes | None
    last_step: int

    @property
    def enabled(self) -> bool:
        """Whether signing in asks for it."""
        return self.secret is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A sign-in that waits for its second factor.

    ``methods`` is what was proved so far, and ``version`` the account's at that moment.
    """

    user_id: UserId
    version: int
    methods: frozenset[SignInMethod]
    expires_at: datetime


def step_at(moment: datetime) -> int:
    """The number of the step a moment is in."""
    return int(moment.timestamp()) // STEP_SECONDS


def read_code(text: str) -> str | None:
    """A code as an app shows it, without the spaces; None if it is none."""
    code = text.replace(" ", "")
    return code if _CODE.fullmatch(code) else None


def read_recovery_code(text: str) -> str | None:
    """A recovery code however it was typed, in the one spelling; None if it is none."""
    code = "".join(text.upper().replace("-", " ").split())
    if len(code) != RECOVERY_LENGTH or set(code) - set(RECOVERY_ALPHABET):
        return None
    return "-".join(code[at : at + _GROUP] for at in range(0, RECOVERY_LENGTH, _GROUP))


def seal_use(user_id: UserId) -> str:
    """What an account's secret is sealed for."""
    return f"totp:{user_id}"
