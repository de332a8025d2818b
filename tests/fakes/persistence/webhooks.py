"""Webhook endpoints, events, deliveries and claims on them, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from uuid_utils import compat

from application.ports.paging import Page
from application.ports.webhooks import (
    DeliveryClaim,
    DeliveryFilter,
    EndpointHealth,
    Verdict,
    WebhookClaims,
    Webhooks,
)
from domain.shared.ids import WebhookEndpointId, WebhookEventId
from domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from domain.webhooks.endpoint import TOLD, WebhookEndpoint
from domain.webhooks.event import WebhookEvent, listened_as
from tests.fakes.persistence.database import (
    DeliveryKey,
    DeliveryRow,
    EndpointRow,
    EventRow,
    InMemoryDatabase,
    Session,
    Tables,
    TransactionRefused,
)

_ATTEMPTS_SHOWN = 50


class InMemoryWebhooks(Webhooks):
    """What is the session's person's."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def count(self) -> int:
        return len(self._mine())

    async def add(self, endpoint: WebhookEndpoint) -> None:
        self._session.require_own(endpoint.user_id)
        if endpoint.id in self._session.tables.webhook_endpoints:
            raise self._session.refused(TransactionRefused("an endpoint has this id already"))
        self._session.tables.webhook_endpoints[endpoint.id] = EndpointRow(
            endpoint=endpoint, announce_at=self._session.now
        )

    async def get(
        self, endpoint_id: WebhookEndpointId, *, lock: bool = False
    ) -> WebhookEndpoint | None:
        row = self._mine().get(endpoint_id)
        return None if row is None else row.endpoint

    async def page(self, page: Page) -> Sequence[WebhookEndpoint]:
        found = [
            row.endpoint
            for id_, row in self._mine().items()
            if page.after is None or id_ < page.after
        ]
        return sorted(found, key=lambda endpoint: endpoint.id, reverse=True)[: page.limit]

    async def save(self, endpoint: WebhookEndpoint) -> None:
        row = self._mine().get(endpoint.id)
        if row is not None:
            self._session.tables.webhook_endpoints[endpoint.id] = replace(
                row,
                endpoint=replace(
                    endpoint, user_id=row.endpoint.user_id, created_at=row.endpoint.created_at
                ),
            )

    async def delete(self, endpoint_id: WebhookEndpointId) -> None:
        if endpoint_id in self._mine():
            tables = self._session.tables
            del tables.webhook_endpoints[endpoint_id]
            _drop(tables, [key for key in tables.webhook_deliveries if key[0] == endpoint_id])

    async def emit(
        self, type_: str, data: Mapping[str, object], *, at: datetime | None = None
    ) -> int:
        event = WebhookEvent.of(_new_event_id(), type_, data, at or self._session.now)
        heard = set(listened_as(type_))
        owner = self._session.tables.users.get(self._session.tenant)
        if owner is None or owner.role not in TOLD:
            return 0
        return self._tell(
            event,
            [
                row.endpoint.id
                for row in self._mine().values()
                if not row.endpoint.events or heard & set(row.endpoint.events)
            ],
        )

    async def emit_to(
        self, endpoint_id: WebhookEndpointId, type_: str, data: Mapping[str, object]
    ) -> WebhookEventId | None:
        event = WebhookEvent.of(_new_event_id(), type_, data, self._session.now)
        there = [endpoint_id] if endpoint_id in self._mine() else []
        return event.id if self._tell(event, there) else None

    def _tell(self, event: WebhookEvent, chosen: Sequence[WebhookEndpointId]) -> int:
        tables, now, tenant = self._session.tables, self._session.now, self._session.tenant
        enabled = [id_ for id_ in chosen if tables.webhook_endpoints[id_].endpoint.enabled]
        if enabled:
            tables.webhook_events[event.id] = EventRow(event=event, user_id=tenant, created_at=now)
        for id_ in enabled:
            tables.webhook_deliveries[id_, event.id] = DeliveryRow(
                delivery=Delivery(
                    endpoint_id=id_,
                    event_id=event.id,
                    type=event.type,
                    state=DeliveryState.PENDING,
                    attempts=0,
                    replays=0,
                    next_attempt_at=now,
                    last_status=None,
                    error="",
                    created_at=now,
                    finished_at=None,
                ),
                user_id=tenant,
                due_at=now,
            )
        return len(enabled)

    async def deliveries(
        self, endpoint_id: WebhookEndpointId, filter_: DeliveryFilter
    ) -> Sequence[Delivery]:
        found = [
            _shown(row)
            for key, row in self._of(endpoint_id).items()
            if (filter_.after is None or key[1] < filter_.after)
            and (filter_.state is None or row.delivery.state is filter_.state)
            and (not filter_.type or row.delivery.type == filter_.type)
            and (filter_.since is None or row.delivery.created_at >= filter_.since)
            and (filter_.until is None or row.delivery.created_at < filter_.until)
        ]
        newest = sorted(found, key=lambda delivery: delivery.event_id, reverse=True)
        return newest[: filter_.limit]

    async def delivery(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Delivery | None:
        row = self._of(endpoint_id).get((endpoint_id, event_id))
        return None if row is None else _shown(row)

    async def attempts(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Sequence[Attempt]:
        if (endpoint_id, event_id) not in self._of(endpoint_id):
            return []
        found = [
            attempt
            for (key, _), attempt in self._session.tables.webhook_attempts.items()
            if key == (endpoint_id, event_id)
        ]
        return sorted(found, key=lambda each: each.number, reverse=True)[:_ATTEMPTS_SHOWN]

    async def body(self, event_id: WebhookEventId) -> bytes | None:
        row = self._session.tables.webhook_events.get(event_id)
        return row.event.body if row and row.user_id == self._session.tenant else None

    async def record(self, claim: DeliveryClaim, attempt: Attempt, verdict: Verdict) -> bool:
        key = claim.endpoint_id, claim.event_id
        row = self._of(claim.endpoint_id).get(key)
        if row is None or row.fence != claim.fence or not row.pending:
            return False
        anew = row.delivery.attempts == 0
        failed = verdict.state is DeliveryState.FAILED
        state = DeliveryState.PENDING if anew and failed else verdict.state
        now = self._session.now
        self._put(
            key,
            replace(
                row,
                lease_until=None,
                due_at=now if anew else self._session.after(verdict.wait_seconds),
                delivery=replace(
                    row.delivery,
                    state=state,
                    last_status=attempt.status,
                    error=attempt.error,
                    finished_at=None if state is DeliveryState.PENDING else now,
                ),
            ),
        )
        self._session.tables.webhook_attempts[key, attempt.number] = attempt
        return True

    async def succeeded(self, endpoint_id: WebhookEndpointId) -> None:
        self._note(endpoint_id, None, 0)

    async def failed(self, endpoint_id: WebhookEndpointId, *, for_good: bool) -> EndpointHealth:
        now, row = self._session.now, self._mine().get(endpoint_id)
        if row is None:
            return EndpointHealth(failing_since=None, failed_events=0, now=now)
        since = row.endpoint.failing_since or now
        events = row.endpoint.failed_events + int(for_good)
        self._note(endpoint_id, since, events)
        return EndpointHealth(failing_since=since, failed_events=events, now=now)

    async def abandon(self, endpoint_id: WebhookEndpointId, error: str) -> int:
        pending = {key: row for key, row in self._of(endpoint_id).items() if row.pending}
        for key, row in pending.items():
            ended = replace(
                row.delivery, state=DeliveryState.FAILED, error=error, finished_at=self._session.now
            )
            self._put(key, replace(row, delivery=ended, lease_until=None))
        return len(pending)

    async def replay(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Delivery | None:
        row = self._of(endpoint_id).get((endpoint_id, event_id))
        return None if row is None else self._begin_anew(row)

    async def replay_failed(
        self, endpoint_id: WebhookEndpointId, since: datetime, limit: int
    ) -> int:
        failed = [
            row
            for row in self._of(endpoint_id).values()
            if row.delivery.state is DeliveryState.FAILED and row.delivery.created_at >= since
        ]
        chosen = sorted(failed, key=lambda row: row.delivery.event_id)[:limit]
        for row in chosen:
            self._begin_anew(row)
        return len(chosen)

    def _begin_anew(self, row: DeliveryRow) -> Delivery:
        delivery = replace(
            row.delivery,
            state=DeliveryState.PENDING,
            attempts=0,
            replays=row.delivery.replays + 1,
            finished_at=None,
        )
        due = max(self._session.now, row.lease_until or self._session.now)
        begun = replace(row, delivery=delivery, due_at=due)
        self._put((delivery.endpoint_id, delivery.event_id), begun)
        return _shown(begun)

    def _mine(self) -> dict[WebhookEndpointId, EndpointRow]:
        return {
            id_: row
            for id_, row in self._session.tables.webhook_endpoints.items()
            if row.endpoint.user_id == self._session.tenant
        }

    def _of(self, endpoint_id: WebhookEndpointId) -> dict[DeliveryKey, DeliveryRow]:
        return {
            key: row
            for key, row in self._session.tables.webhook_deliveries.items()
            if key[0] == endpoint_id and row.user_id == self._session.tenant
        }

    def _put(self, key: DeliveryKey, row: DeliveryRow) -> None:
        self._session.tables.webhook_deliveries[key] = row

    def _note(
        self, endpoint_id: WebhookEndpointId, since: datetime | None, failed_events: int
    ) -> None:
        row = self._mine().get(endpoint_id)
        if row is not None:
            self._session.tables.webhook_endpoints[endpoint_id] = replace(
                row,
                endpoint=replace(row.endpoint, failing_since=since, failed_events=failed_events),
            )


class InMemoryWebhookClaims(WebhookClaims):
    """What is due to whom, on the clock of the database."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def due(self, limit: int, defer_seconds: float) -> Sequence[WebhookEndpointId]:
        async with self._database.session(None) as session:
            waiting = {
                key[0]
                for key, row in session.tables.webhook_deliveries.items()
                if row.pending and row.due_at <= session.now
            }
            chosen = sorted(
                (
                    row
                    for id_, row in session.tables.webhook_endpoints.items()
                    if id_ in waiting and row.endpoint.enabled and row.announce_at <= session.now
                ),
                key=lambda row: row.announce_at,
            )[:limit]
            for row in chosen:
                session.tables.webhook_endpoints[row.endpoint.id] = replace(
                    row, announce_at=session.after(defer_seconds)
                )
            return [row.endpoint.id for row in chosen]

    async def claim(
        self, endpoint_id: WebhookEndpointId, lease_seconds: float, *, at_once: int
    ) -> DeliveryClaim | None:
        async with self._database.session(None) as session:
            endpoint = session.tables.webhook_endpoints.get(endpoint_id)
            if endpoint is None or not endpoint.endpoint.enabled:
                return None
            troubled = endpoint.endpoint.failing_since is not None
            pending = [
                row
                for key, row in session.tables.webhook_deliveries.items()
                if key[0] == endpoint_id and row.pending
            ]
            held = sum(bool(row.lease_until and row.lease_until > session.now) for row in pending)
            due = [row for row in pending if row.due_at <= session.now]
            if not due or held >= (1 if troubled else at_once):
                return None
            row = min(due, key=lambda row: row.due_at)
            until = session.after(lease_seconds)
            delivery = replace(row.delivery, attempts=row.delivery.attempts + 1)
            session.tables.webhook_deliveries[endpoint_id, delivery.event_id] = replace(
                row, delivery=delivery, fence=row.fence + 1, due_at=until, lease_until=until
            )
            return DeliveryClaim(
                endpoint_id=endpoint_id,
                event_id=delivery.event_id,
                user_id=row.user_id,
                fence=row.fence + 1,
                attempt=delivery.attempts,
                troubled=troubled,
            )

    async def hand_back(self, claim: DeliveryClaim) -> None:
        async with self._database.session(None) as session:
            key = claim.endpoint_id, claim.event_id
            row = session.tables.webhook_deliveries.get(key)
            if row is not None and row.fence == claim.fence and row.pending:
                attempts = max(row.delivery.attempts - 1, 0)
                session.tables.webhook_deliveries[key] = replace(
                    row,
                    delivery=replace(row.delivery, attempts=attempts),
                    lease_until=None,
                    due_at=session.now,
                )

    async def forget(self, keep_seconds: float, limit: int) -> int:
        async with self._database.session(None) as session:
            tables = session.tables
            busy = {key[1] for key, row in tables.webhook_deliveries.items() if row.pending}
            cutoff = session.now - timedelta(seconds=keep_seconds)
            old = sorted(
                (
                    row
                    for id_, row in tables.webhook_events.items()
                    if row.created_at < cutoff and id_ not in busy
                ),
                key=lambda row: row.created_at,
            )[:limit]
            for row in old:
                del tables.webhook_events[row.event.id]
                _drop(tables, [key for key in tables.webhook_deliveries if key[1] == row.event.id])
            return len(old)


def _new_event_id() -> WebhookEventId:
    return WebhookEventId(compat.uuid7())


def _shown(row: DeliveryRow) -> Delivery:
    return replace(row.delivery, next_attempt_at=row.due_at if row.pending else None)


def _drop(tables: Tables, keys: Sequence[DeliveryKey]) -> None:
    for key in keys:
        del tables.webhook_deliveries[key]
    for place in [place for place in tables.webhook_attempts if place[0] in keys]:
        del tables.webhook_attempts[place]
