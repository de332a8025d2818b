"""API keys: what a partner's programs call with, in their owner's name and within limits."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.agents.artifacts import Mode
from domain.identity.user import Permission, Role
from domain.keys.addresses import covered, within
from domain.keys.key_text import KeyEnvironment
from domain.keys.rate_limit import RatePolicy
from domain.keys.scopes import InsufficientScope, effective
from domain.shared.errors import Conflict, DomainError, InvalidValue
from domain.shared.ids import ApiKeyId, UserId
from domain.shared.moments import given_moment

MAX_NAME_LENGTH = 80
MAX_LIMITS = 4
MAX_KEYS = 100
"""Keys of one person that are not revoked."""

DEFAULT_OVERLAP_SECONDS = 24 * 60 * 60
MAX_OVERLAP_SECONDS = 30 * 24 * 60 * 60


class InvalidKey(DomainError):
    """The key opens nothing here. Says no more: whoever sent it may have found it."""

    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__(
            "This API key is not valid here: it is unknown or revoked, or not allowed from "
            "this address. Its owner can look it up, or issue another."
        )


class KeyExpired(DomainError):
    """The key, or the secret that a rotation replaced, has come to its planned end."""

    code = "api_key_expired"

    def __init__(self) -> None:
        super().__init__("This API key has expired. Issue another, or use the rotated one.")


class ModeNotAllowed(DomainError):
    """The key is good, and not for projects of this mode."""

    code = "mode_not_allowed"


class KeyCapReached(DomainError):
    """What the key's runs used and hold reaches its credit cap."""

    code = "key_cap_reached"

    def __init__(self) -> None:
        super().__init__("The credit cap of this API key is reached. Its owner can raise the cap.")


class KeyRevoked(Conflict):
    """A revoked key stays so: nothing about it can be changed."""

    code = "key_revoked"

    def __init__(self) -> None:
        super().__init__("This key is revoked. Issue another.")


class KeyRotating(Conflict):
    """The secret before this one still works: rotating again would cut it off early."""

    code = "key_rotating"


class TooManyKeys(Conflict):
    """The person has as many keys as one may have."""

    code = "too_many_keys"

    def __init__(self) -> None:
        super().__init__(f"You have {MAX_KEYS} keys. Revoke one that is not used any more.")


class KeyStatus(StrEnum):
    """What has become of a key."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySecret:
    """What is kept of a key's text: a keyed hash, which pepper it is keyed with, and its ends."""

    digest: str
    pepper: int
    prefix: str
    last_four: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key, without its text, which nobody has but whoever it was shown to.

    ``modes`` and ``allowed_ips`` are all when empty; ``limits`` are the platform's when
    empty. ``credit_cap`` bounds ``credits_used`` and ``credits_held`` together. After a
    rotation the ``previous`` secret works too, until ``previous_until``. ``last_used_at`` is
    right to the minute.
    """

    id: ApiKeyId
    user_id: UserId
    name: str
    environment: KeyEnvironment
    secret: KeySecret
    scopes: frozenset[Permission]
    modes: frozenset[Mode]
    allowed_ips: tuple[str, ...]
    limits: tuple[RatePolicy, ...]
    credit_cap: int | None
    created_at: datetime
    expires_at: datetime | None
    credits_used: int = 0
    credits_held: int = 0
    previous: KeySecret | None = None
    previous_until: datetime | None = None
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def digests(self) -> tuple[str, ...]:
        """Of every secret it has or had last, in force or not."""
        return tuple(each.digest for each in (self.secret, self.previous) if each is not None)

    @property
    def exhausted(self) -> bool:
        """Whether its runs have used and hold all of its credits, if those are bounded."""
        return (
            self.credit_cap is not None and self.credits_used + self.credits_held >= self.credit_cap
        )

    def status(self, now: datetime) -> KeyStatus:
        """What has become of it."""
        if self.revoked_at is not None:
            return KeyStatus.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyStatus.EXPIRED
        return KeyStatus.ACTIVE

    def rotated(self, secret: KeySecret, now: datetime, overlap_seconds: int) -> "ApiKey":
        """The key with a new secret; the present one works for so long yet.

        Without an overlap, every secret before the new one ends at once.

        Raises:
            InvalidValue: the overlap is out of range.
            KeyRevoked: there is nothing to rotate.
            KeyRotating: the overlap of the rotation before has not ended.
        """
        if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
            raise InvalidValue(
                "overlap_seconds", f"Give 0 to {MAX_OVERLAP_SECONDS} seconds (30 days)."
            )
        self.require_not_revoked()
        overlapping = self.previous_until is not None and self.previous_until > now
        if overlapping and overlap_seconds:
            raise KeyRotating(
                "This key was rotated, and the secret before still works. Wait for its end, or "
                "rotate with overlap_seconds 0, which ends both old secrets at once.",
                until=self.previous_until.isoformat() if self.previous_until else "",
            )
        return replace(
            self,
            secret=secret,
            previous=self.secret if overlap_seconds else None,
            previous_until=now + timedelta(seconds=overlap_seconds) if overlap_seconds else None,
            rotated_at=now,
        )

    def revoked(self, now: datetime) -> "ApiKey":
        """The key, revoked; again changes nothing."""
        return self if self.revoked_at is not None else replace(self, revoked_at=now)

    def require_not_revoked(self) -> None:
        """Refuse what makes no sense for a revoked key.

        Raises:
            KeyRevoked: it is.
        """
        if self.revoked_at is not None:
            raise KeyRevoked

    def check_use(self, digest: str, address: str, now: datetime) -> None:
        """Hold a call with the secret of that digest, from that address, to the key.

        Where the answer would tell a finder that the key is real, it is the same for all.

        Raises:
            InvalidKey: revoked, not allowed from there, or another key's secret.
            KeyExpired: key or secret has come to its end.
        """
        if self.revoked_at is not None:
            raise InvalidKey
        if self.allowed_ips and not within(address, self.allowed_ips):
            raise InvalidKey
        if self.status(now) is KeyStatus.EXPIRED:
            raise KeyExpired
        if digest == self.secret.digest:
            return
        if self.previous is None or digest != self.previous.digest:
            raise InvalidKey
        if self.previous_until is None or self.previous_until <= now:
            raise KeyExpired

    def acting(self, role: Role) -> "ActingKey":
        """What a call with it may do, its owner having that role."""
        return ActingKey(
            id=self.id,
            environment=self.environment,
            scopes=effective(self.scopes, role, self.environment),
            modes=self.modes,
            allowed_ips=self.allowed_ips,
            limits=self.limits,
            credit_cap=self.credit_cap,
            expires_at=self.expires_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingKey:
    """The key a call was made with. ``scopes`` are those that are in force."""

    id: ApiKeyId
    environment: KeyEnvironment
    scopes: frozenset[Permission]
    modes: frozenset[Mode]
    allowed_ips: tuple[str, ...] = ()
    limits: tuple[RatePolicy, ...] = ()
    credit_cap: int | None = None
    expires_at: datetime | None = None

    @property
    def test(self) -> bool:
        """Whether what it starts is never charged."""
        return self.environment is KeyEnvironment.TEST

    def check_mode(self, mode: Mode) -> None:
        """Hold a project to the key.

        Raises:
            ModeNotAllowed: it is of a mode that the key is not for.
        """
        if self.modes and mode not in self.modes:
            allowed = ", ".join(sorted(self.modes))
            raise ModeNotAllowed(
                f"This API key is for projects of the mode {allowed}, not {mode}.", mode=mode.value
            )

    def check_reach(self, key: ApiKey) -> None:
        """Hold a key that manages keys to its own bounds: none may come out wider than it.

        One that is kept to addresses or to credits manages none but itself: others would have
        those credits once more.

        Raises:
            InsufficientScope: the other key may do what this one may not.
        """
        beyond = key.scopes - self.scopes
        if beyond:
            names = ", ".join(sorted(beyond))
            raise InsufficientScope(
                f"This API key lacks {names}, which the key in question has.", permission=names
            )
        if self._wider(key):
            raise InsufficientScope(
                "This API key is itself confined (to test runs, modes, addresses, credits, a rate "
                "or a time) and cannot manage keys that are not. Sign in, or use another key."
            )

    def _wider(self, key: ApiKey) -> bool:
        confined = bool(self.allowed_ips) or self.credit_cap is not None
        return (
            (self.test and key.environment is KeyEnvironment.LIVE)
            or (bool(self.modes) and not (key.modes and key.modes <= self.modes))
            or (confined and (key.id != self.id or self._wider_place_or_cap(key)))
            or not all(any(_tighter(own, limit) for own in key.limits) for limit in self.limits)
            or (
                self.expires_at is not None
                and (key.expires_at is None or key.expires_at > self.expires_at)
            )
        )

    def _wider_place_or_cap(self, key: ApiKey) -> bool:
        return (bool(self.allowed_ips) and not covered(key.allowed_ips, self.allowed_ips)) or (
            self.credit_cap is not None
            and (key.credit_cap is None or key.credit_cap > self.credit_cap)
        )


def _tighter(policy: RatePolicy, than: RatePolicy) -> bool:
    """Whether all that passes a policy passes the other too."""
    return policy.quota <= than.quota and policy.window_seconds >= than.window_seconds


def clean_key_name(name: str) -> str:
    """A name without surrounding or control characters.

    Raises:
        InvalidValue: nothing is left, or it is too long.
    """
    cleaned = " ".join("".join(ch if ch.isprintable() else " " for ch in name).split())
    if not 1 <= len(cleaned) <= MAX_NAME_LENGTH:
        raise InvalidValue("name", f"Give a name of 1 to {MAX_NAME_LENGTH} characters.")
    return cleaned


def clean_limits(limits: tuple[RatePolicy, ...]) -> tuple[RatePolicy, ...]:
    """The key's own limits, one a window.

    Raises:
        InvalidValue: there are too many, or two with one window.
    """
    windows = {policy.window_seconds for policy in limits}
    if len(limits) > MAX_LIMITS or len(windows) < len(limits):
        raise InvalidValue("limits", f"Give at most {MAX_LIMITS}, each with its own window.")
    return tuple(sorted(limits, key=lambda policy: policy.window_seconds))


def check_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    """A planned end in UTC, which lies ahead.

    Raises:
        InvalidValue: it does not, or is no moment.
    """
    if expires_at is None:
        return None
    end = given_moment("expires_at", expires_at)
    if end <= now:
        raise InvalidValue("expires_at", "Give a time that is still to come, or leave it out.")
    return end


def check_cap(credit_cap: int | None) -> int | None:
    """A bound on credits.

    Raises:
        InvalidValue: it is negative, or beyond what is counted.
    """
    if credit_cap is not None and not 0 <= credit_cap < 2**53:
        raise InvalidValue(
            "credit_cap", f"Give 0 to {2**53 - 1} credits, or leave it out for no cap."
        )
    return credit_cap
