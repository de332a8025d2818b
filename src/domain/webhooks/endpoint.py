"""A webhook endpoint: where a person wants to be told of what happens."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.identity.user import PERMISSIONS, Permission, Role
from domain.shared.errors import Conflict, InvalidValue
from domain.shared.ids import UserId, WebhookEndpointId

MAX_ENDPOINTS = 10
"""Endpoints a person may have."""

MAX_DESCRIPTION_LENGTH = 200
LONGEST_OVERLAP = timedelta(days=7)

TOLD = frozenset(role for role in Role if Permission.WEBHOOKS_MANAGE in PERMISSIONS[role])
"""Whose endpoints are told of what happens: who can no longer switch theirs off hears no more."""


class DisabledReason(StrEnum):
    """Why an endpoint is switched off; empty while it is on."""

    NONE = ""
    OWNER = "owner"
    GONE = "gone"
    FAILING = "failing"


class TooManyEndpoints(Conflict):
    """The person has as many endpoints as one may have."""

    code = "too_many_webhook_endpoints"


class EndpointDisabled(Conflict):
    """The endpoint is switched off, and what was asked would send to it."""

    code = "webhook_endpoint_disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """Where to send what. An empty ``events`` is every event.

    ``secret`` and ``previous_secret`` are encrypted; the latter signs too until
    ``previous_until``. ``failing_since`` is the first failure since the last success, and
    ``failed_events`` counts the events in a row that no attempt delivered.
    """

    id: WebhookEndpointId
    user_id: UserId
    url: str
    description: str
    events: tuple[str, ...]
    disabled_reason: DisabledReason
    disabled_at: datetime | None
    secret: bytes = field(repr=False)
    previous_secret: bytes | None = field(repr=False)
    previous_until: datetime | None
    failing_since: datetime | None
    failed_events: int
    created_at: datetime
    updated_at: datetime

    @property
    def enabled(self) -> bool:
        """Whether anything is sent to it."""
        return self.disabled_reason is DisabledReason.NONE

    def secrets_at(self, now: datetime) -> tuple[bytes, ...]:
        """The encrypted secrets that sign at that moment, the newest first."""
        if self.previous_secret and self.previous_until and now < self.previous_until:
            return self.secret, self.previous_secret
        return (self.secret,)

    def rotated(self, secret: bytes, overlap: timedelta, now: datetime) -> "WebhookEndpoint":
        """With a new encrypted secret; the one before signs too for the overlap.

        Raises:
            InvalidValue: the overlap is out of range.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise _overlap_out_of_range()
        return replace(
            self,
            secret=secret,
            previous_secret=self.secret if overlap else None,
            previous_until=now + overlap if overlap else None,
            updated_at=now,
        )

    def switched(self, reason: DisabledReason, now: datetime) -> "WebhookEndpoint":
        """On, with a clean record, or off for a reason. One that is off stays off as it is."""
        if reason is DisabledReason.NONE:
            return replace(
                self,
                disabled_reason=reason,
                disabled_at=None,
                failing_since=None,
                failed_events=0,
                updated_at=now,
            )
        if not self.enabled:
            return self
        return replace(self, disabled_reason=reason, disabled_at=now, updated_at=now)


def overlap_of(seconds: int) -> timedelta:
    """For how long two secrets sign.

    Raises:
        InvalidValue: it is out of range.
    """
    if not 0 <= seconds <= LONGEST_OVERLAP.total_seconds():
        raise _overlap_out_of_range()
    return timedelta(seconds=seconds)


def _overlap_out_of_range() -> InvalidValue:
    longest = int(LONGEST_OVERLAP.total_seconds())
    return InvalidValue("overlap_seconds", f"Give 0 to {longest} seconds.")


def check_description(description: str) -> str:
    """The description without surrounding spaces.

    Raises:
        InvalidValue: it is too long or has control characters.
    """
    cleaned = description.strip()
    if len(cleaned) > MAX_DESCRIPTION_LENGTH or (cleaned and not cleaned.isprintable()):
        raise InvalidValue(
            "description", f"Use at most {MAX_DESCRIPTION_LENGTH} printable characters."
        )
    return cleaned


def seal_use(endpoint_id: WebhookEndpointId) -> str:
    """What an endpoint's secrets are sealed for."""
    return f"webhook-endpoint:{endpoint_id}"
