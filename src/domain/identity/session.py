"""Sessions: a sign-in on one device, from then until it is ended or forgotten.

A session is also the family of its refresh tokens: each is used once and followed by the next.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.identity.user import NotAuthenticated, PermissionDenied, Role
from domain.shared.ids import SessionId, UserId

IDLE = timedelta(days=14)
"""A session that was not refreshed for so long is over."""

LONGEST = timedelta(days=90)
"""And so is any after so long, however it is used (OWASP ASVS 5.0, 7.3.2)."""

GRACE = timedelta(seconds=10)
"""For how long a refresh token that was used may be sent again, for a reply that was lost."""

MAX_AGENT_LENGTH = 200


class SignInMethod(StrEnum):
    """By what somebody proved who they are."""

    PASSWORD = "password"
    GOOGLE = "google"
    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"


class SessionEnd(StrEnum):
    """Why a session was ended."""

    SIGNED_OUT = "signed_out"
    REVOKED = "revoked"
    EVERYWHERE = "everywhere"
    REUSED = "refresh_token_reused"
    CREDENTIALS_CHANGED = "credentials_changed"
    ACCOUNT_DELETED = "account_deleted"
    BY_OPERATOR = "by_operator"


class RefreshRefused(NotAuthenticated):
    """The refresh token opens nothing: unknown, used before, or of a session that is over."""

    code = "refresh_refused"


class OriginRefused(PermissionDenied):
    """A cookie came from a page that is not ours."""

    code = "origin_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where a request comes from: its address, and what it says of its program."""

    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingSession:
    """The session a request belongs to, and how far it can be trusted.

    ``version`` is the account's: raising it ends every session with a lower one.
    ``methods`` and ``authenticated_at`` say by what and when it was proved who it is; they are
    not in a token, and known once the session was looked up.
    """

    id: SessionId
    version: int
    methods: frozenset[SignInMethod] = frozenset()
    authenticated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in. ``device`` is the last refresh's; ``version`` the account's when it began."""

    id: SessionId
    user_id: UserId
    version: int
    methods: frozenset[SignInMethod]
    device: Device
    created_at: datetime
    authenticated_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: SessionEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A session with what its account says at the moment."""

    session: Session
    account_version: int
    role: Role
    is_active: bool

    def live(self, now: datetime) -> bool:
        """Whether it is good for anything at ``now``."""
        return (
            self.is_active
            and self.session.ended_at is None
            and self.session.expires_at > now
            and self.session.version == self.account_version
        )


def end_of(created_at: datetime, used_at: datetime) -> datetime:
    """When a session ends that is not used again after ``used_at``."""
    return min(created_at + LONGEST, used_at + IDLE)


def clean_agent(agent: str) -> str:
    """What a program says of itself, in printable characters and not too long."""
    return "".join(ch for ch in agent if ch.isprintable())[:MAX_AGENT_LENGTH]
