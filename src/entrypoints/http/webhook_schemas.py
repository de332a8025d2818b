"""Bodies of requests and answers about webhooks."""

from datetime import datetime
from uuid import UUID

import msgspec

from application.webhooks.add_endpoint import EndpointWithSecret
from application.webhooks.read_deliveries import DeliveryRecord
from domain.webhooks.delivery import Attempt, Delivery
from domain.webhooks.endpoint import WebhookEndpoint

DAY_SECONDS = 24 * 60 * 60


class AddEndpointRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Where to send what; an empty ``events`` is every event."""

    url: str
    events: list[str] = []
    description: str = ""


class EditEndpointRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    url: str | None = None
    events: list[str] | None = None
    description: str | None = None
    enabled: bool | None = None


class RotateSecretRequest(msgspec.Struct, forbid_unknown_fields=True):
    """For so many seconds the secret before signs too: 0 to 604800, a day unless said."""

    overlap_seconds: int = DAY_SECONDS


class ReplayFailedRequest(msgspec.Struct, forbid_unknown_fields=True):
    """From when on, in RFC 3339."""

    since: datetime


class EndpointView(msgspec.Struct):
    """A webhook endpoint. ``disabled_reason`` is ``owner``, ``gone`` or ``failing``.

    ``rotating_until`` is when the secret before the last rotation stops to sign.
    """

    id: UUID
    url: str
    description: str
    events: list[str]
    enabled: bool
    disabled_reason: str
    disabled_at: datetime | None
    failing_since: datetime | None
    failed_events: int
    rotating_until: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "EndpointView":
        return cls(
            id=endpoint.id,
            url=endpoint.url,
            description=endpoint.description,
            events=list(endpoint.events),
            enabled=endpoint.enabled,
            disabled_reason=endpoint.disabled_reason.value,
            disabled_at=endpoint.disabled_at,
            failing_since=endpoint.failing_since,
            failed_events=endpoint.failed_events,
            rotating_until=endpoint.previous_until,
            created_at=endpoint.created_at,
            updated_at=endpoint.updated_at,
        )


class EndpointPageView(msgspec.Struct):
    """A page of endpoints; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[EndpointView]
    next_cursor: str | None


class EndpointSecretView(msgspec.Struct):
    """An endpoint with its new secret, which is shown this once: a repeat has none."""

    endpoint: EndpointView
    secret: str | None = None

    @classmethod
    def without_secret(cls, made: EndpointWithSecret) -> "EndpointSecretView":
        """As a repeat of the request sees it."""
        return cls(EndpointView.of(made.endpoint))

    @classmethod
    def with_secret(cls, made: EndpointWithSecret) -> "EndpointSecretView":
        """As the first request does."""
        return cls(EndpointView.of(made.endpoint), made.secret)


class DeliveryView(msgspec.Struct):
    """One event on its way to one endpoint; ``event_id`` is its ``webhook-id``.

    ``attempts`` counts since the last replay. ``error`` is empty, or says what failed last.
    """

    event_id: UUID
    endpoint_id: UUID
    type: str
    status: str
    attempts: int
    replays: int
    next_attempt_at: datetime | None
    last_http_status: int | None
    error: str
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryView":
        return cls(
            event_id=delivery.event_id,
            endpoint_id=delivery.endpoint_id,
            type=delivery.type,
            status=delivery.state.value,
            attempts=delivery.attempts,
            replays=delivery.replays,
            next_attempt_at=delivery.next_attempt_at,
            last_http_status=delivery.last_status,
            error=delivery.error,
            created_at=delivery.created_at,
            finished_at=delivery.finished_at,
        )


class DeliveryPageView(msgspec.Struct):
    """A page of deliveries; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[DeliveryView]
    next_cursor: str | None


class AttemptView(msgspec.Struct):
    """One request: ``http_status`` is the answer's, or null and ``error`` says what failed.

    ``excerpt`` is the beginning of the answer, ``address`` what was connected to.
    """

    number: int
    at: datetime
    duration_ms: int
    http_status: int | None
    error: str
    excerpt: str
    address: str

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptView":
        return cls(
            attempt.number,
            attempt.at,
            attempt.duration_ms,
            attempt.status,
            attempt.error,
            attempt.excerpt,
            attempt.address,
        )


class DeliveryDetailView(msgspec.Struct):
    """A delivery, the exact text that is signed and sent, and its last attempts."""

    delivery: DeliveryView
    payload: str
    attempts: list[AttemptView]

    @classmethod
    def of(cls, record: DeliveryRecord) -> "DeliveryDetailView":
        return cls(
            DeliveryView.of(record.delivery),
            record.payload,
            [AttemptView.of(attempt) for attempt in record.attempts],
        )


class ReplayedView(msgspec.Struct):
    """How many deliveries begin anew."""

    replayed: int
