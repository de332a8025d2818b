"""The delivery of one event to one endpoint, and its attempts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.shared.ids import WebhookEndpointId, WebhookEventId

EXCERPT_LENGTH = 1000
"""Characters that are kept of what an endpoint answered."""


class DeliveryState(StrEnum):
    """The states of a delivery. Both ends can be left by a replay."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one endpoint. ``attempts`` counts since the last replay.

    ``next_attempt_at`` is None when none is planned. ``last_status`` is the HTTP status of
    the last answer, None when there was none; ``error`` is empty, or the code of what failed.
    """

    endpoint_id: WebhookEndpointId
    event_id: WebhookEventId
    type: str
    state: DeliveryState
    attempts: int
    replays: int
    next_attempt_at: datetime | None
    last_status: int | None
    error: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request and what came of it. ``number`` counts all attempts, replays included.

    One whose worker died before it could write has no row, so numbers may have gaps.
    ``address`` is the IP address that was connected to; ``excerpt`` the answer's beginning.
    """

    number: int
    at: datetime
    duration_ms: int
    status: int | None
    error: str
    excerpt: str
    address: str
