"""Webhook endpoints, what is due to them, and the way out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from application.ports.paging import Page
from domain.shared.ids import UserId, WebhookEndpointId, WebhookEventId
from domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from domain.webhooks.endpoint import WebhookEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries, newest event first: ``since`` inclusive, ``until`` exclusive."""

    limit: int
    after: WebhookEventId | None = None
    state: DeliveryState | None = None
    type: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointHealth:
    """An endpoint's record of failures, after one more."""

    failing_since: datetime | None
    failed_events: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryClaim:
    """A worker's right to one attempt until its lease ends; ``fence`` proves it.

    ``attempt`` counts since the last replay, this one included; ``fence`` counts all.
    ``troubled`` says that the endpoint has failed since it last succeeded.
    """

    endpoint_id: WebhookEndpointId
    event_id: WebhookEventId
    user_id: UserId
    fence: int
    attempt: int
    troubled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an attempt means for its delivery: an end, or a wait of so many seconds."""

    state: DeliveryState
    wait_seconds: float = 0.0


class Webhooks(Protocol):
    """The person's endpoints, events and deliveries."""

    async def count(self) -> int:
        """How many endpoints there are; others who add one wait until the commit."""
        ...

    async def add(self, endpoint: WebhookEndpoint) -> None:
        """Keep a new endpoint."""
        ...

    async def get(
        self, endpoint_id: WebhookEndpointId, *, lock: bool = False
    ) -> WebhookEndpoint | None:
        """The endpoint, or None. ``lock`` makes other writers wait until the commit."""
        ...

    async def page(self, page: Page) -> Sequence[WebhookEndpoint]:
        """Endpoints, newest first."""
        ...

    async def save(self, endpoint: WebhookEndpoint) -> None:
        """Write back a changed endpoint."""
        ...

    async def delete(self, endpoint_id: WebhookEndpointId) -> None:
        """Remove the endpoint with its deliveries and their attempts."""
        ...

    async def emit(
        self, type_: str, data: Mapping[str, object], *, at: datetime | None = None
    ) -> int:
        """Tell every enabled endpoint that listens to ``type_``, soon; returns how many.

        The event and a delivery for each of them are kept in this transaction, so they are
        exactly as durable as what they report. One statement, and nothing is kept when
        nobody listens, or the person's role is not among those that are told. ``at`` is when it
        happened, now unless said.

        Raises:
            ValueError: there is no such type of event.
        """
        ...

    async def emit_to(
        self, endpoint_id: WebhookEndpointId, type_: str, data: Mapping[str, object]
    ) -> WebhookEventId | None:
        """Tell one enabled endpoint, whatever it listens to; None when it is not there."""
        ...

    async def deliveries(
        self, endpoint_id: WebhookEndpointId, filter_: DeliveryFilter
    ) -> Sequence[Delivery]:
        """The endpoint's deliveries, newest event first."""
        ...

    async def delivery(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Delivery | None:
        """One delivery, or None."""
        ...

    async def attempts(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Sequence[Attempt]:
        """The delivery's last attempts, newest first, at most 50."""
        ...

    async def body(self, event_id: WebhookEventId) -> bytes | None:
        """The exact bytes that are signed and sent, or None."""
        ...

    async def record(self, claim: DeliveryClaim, attempt: Attempt, verdict: Verdict) -> bool:
        """Write an attempt down and move its delivery on, if the claim still holds.

        False, and nothing is written, when another claim came or the delivery has ended.
        """
        ...

    async def succeeded(self, endpoint_id: WebhookEndpointId) -> None:
        """Forget the endpoint's failures."""
        ...

    async def failed(self, endpoint_id: WebhookEndpointId, *, for_good: bool) -> EndpointHealth:
        """Note a failure; ``for_good``: no attempt delivered the event."""
        ...

    async def abandon(self, endpoint_id: WebhookEndpointId, error: str) -> int:
        """End the endpoint's pending deliveries as failed; returns how many there were."""
        ...

    async def replay(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Delivery | None:
        """Have a delivery begin anew, due now. One under way keeps its lease. None: no such."""
        ...

    async def replay_failed(
        self, endpoint_id: WebhookEndpointId, since: datetime, limit: int
    ) -> int:
        """Have failed deliveries of events since then begin anew, oldest first; how many."""
        ...


class WebhookClaims(Protocol):
    """What is due to whom, for everybody, decided by the database on its own clock.

    Each call is committed on its own.
    """

    async def due(self, limit: int, defer_seconds: float) -> Sequence[WebhookEndpointId]:
        """Enabled endpoints that something is due to; not named again before the delay.

        Safe to call from many dispatchers: each endpoint goes to one of them.
        """
        ...

    async def claim(
        self, endpoint_id: WebhookEndpointId, lease_seconds: float, *, at_once: int
    ) -> DeliveryClaim | None:
        """Take the endpoint's next due delivery; each claim counts an attempt.

        None: nothing is due, or as many as may be are under way over all workers:
        ``at_once``, and one to an endpoint that has failed since it last succeeded.
        """
        ...

    async def hand_back(self, claim: DeliveryClaim) -> None:
        """Give an attempt up that was not begun: due now, and not counted."""
        ...

    async def forget(self, keep_seconds: float, limit: int) -> int:
        """Delete events older than that which nothing is pending of; returns how many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """A POST of ``body`` to ``url``."""

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAnswer:
    """What came of a request: a ``status``, or the code of what failed before there was one.

    ``retry_after`` is in seconds; ``excerpt`` is the beginning of the answer, as text.
    """

    status: int | None = None
    error: str = ""
    excerpt: str = ""
    retry_after: float | None = None
    address: str = ""


class WebhookSender(Protocol):
    """Sends to addresses that strangers name, and can be made neither to wait nor to pry."""

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        """Send once, within a bounded time. A failure is an answer too; nothing is raised.

        The host is resolved once and exactly that address is connected to, if the policy
        permits it. Redirects are not followed. Errors: ``dns``, ``address_refused``,
        ``connect``, ``tls``, ``timeout``, ``protocol``.
        """
        ...


class WebhookMetrics(Protocol):
    """Figures of webhooks. Never raises, never waits."""

    def attempted(self, outcome: str) -> None:
        """An attempt was made: ``delivered``, or the code of what failed."""
        ...

    def endpoint_disabled(self, reason: str) -> None:
        """An endpoint was switched off without its owner's doing."""
        ...
