"""Webhook endpoints, events, deliveries and attempts of one person."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    LargeBinary,
    Text,
    Uuid,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils import compat

from adapters.postgres.locks import Kind, lock_of
from adapters.postgres.tables import (
    users,
    webhook_attempts,
    webhook_deliveries,
    webhook_endpoints,
    webhook_events,
)
from application.ports.paging import Page
from application.ports.webhooks import DeliveryClaim, DeliveryFilter, EndpointHealth, Verdict
from domain.shared.ids import UserId, WebhookEndpointId, WebhookEventId
from domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from domain.webhooks.endpoint import TOLD, DisabledReason, WebhookEndpoint
from domain.webhooks.event import WebhookEvent, listened_as

_ATTEMPTS_SHOWN = 50

_endpoints = webhook_endpoints.c
_deliveries = webhook_deliveries.c
_PENDING = DeliveryState.PENDING.value


class PostgresWebhooks:
    """The ``Webhooks`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = _endpoints.user_id == user_id

    async def count(self) -> int:
        await self._connection.execute(select(lock_of(Kind.ENDPOINTS_OF_A_PERSON, self._user_id)))
        counted = await self._connection.scalar(
            select(func.count()).select_from(webhook_endpoints).where(self._mine)
        )
        return int(counted or 0)

    async def add(self, endpoint: WebhookEndpoint) -> None:
        await self._connection.execute(
            insert(webhook_endpoints).values(
                id=endpoint.id,
                user_id=endpoint.user_id,
                created_at=endpoint.created_at,
                **_changeable(endpoint),
            )
        )

    async def get(
        self, endpoint_id: WebhookEndpointId, *, lock: bool = False
    ) -> WebhookEndpoint | None:
        query = select(webhook_endpoints).where(_endpoints.id == endpoint_id, self._mine)
        if lock:
            # Not the key's: whoever emits an event locks that, and need not wait for this.
            query = query.with_for_update(key_share=True)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _endpoint(row)

    async def page(self, page: Page) -> Sequence[WebhookEndpoint]:
        query = select(webhook_endpoints).where(self._mine)
        if page.after is not None:
            query = query.where(_endpoints.id < page.after)
        rows = await self._connection.execute(
            query.order_by(_endpoints.id.desc()).limit(page.limit)
        )
        return [_endpoint(row) for row in rows]

    async def save(self, endpoint: WebhookEndpoint) -> None:
        await self._connection.execute(
            update(webhook_endpoints)
            .where(_endpoints.id == endpoint.id, self._mine)
            .values(**_changeable(endpoint))
        )

    async def delete(self, endpoint_id: WebhookEndpointId) -> None:
        await self._connection.execute(
            delete(webhook_endpoints).where(_endpoints.id == endpoint_id, self._mine)
        )

    async def emit(
        self, type_: str, data: Mapping[str, object], *, at: datetime | None = None
    ) -> int:
        event = _event(type_, data, at)
        return await self._tell(event, _TELL_LISTENERS, heard=list(listened_as(type_)))

    async def emit_to(
        self, endpoint_id: WebhookEndpointId, type_: str, data: Mapping[str, object]
    ) -> WebhookEventId | None:
        event = _event(type_, data, None)
        told = await self._tell(event, _TELL_ONE, endpoint_id=endpoint_id)
        return event.id if told else None

    async def _tell(self, event: WebhookEvent, statement: Executable, **whom: object) -> int:
        said = {"event_id": event.id, "type": event.type, "body": event.body}
        told = await self._connection.execute(statement, {"user_id": self._user_id, **said, **whom})
        return int(told.rowcount)

    async def deliveries(
        self, endpoint_id: WebhookEndpointId, filter_: DeliveryFilter
    ) -> Sequence[Delivery]:
        query = select(webhook_deliveries).where(self._of(endpoint_id))
        if filter_.after is not None:
            query = query.where(_deliveries.event_id < filter_.after)
        if filter_.state is not None:
            query = query.where(_deliveries.state == filter_.state.value)
        if filter_.type:
            query = query.where(_deliveries.type == filter_.type)
        if filter_.since is not None:
            query = query.where(_deliveries.created_at >= filter_.since)
        if filter_.until is not None:
            query = query.where(_deliveries.created_at < filter_.until)
        rows = await self._connection.execute(
            query.order_by(_deliveries.event_id.desc()).limit(filter_.limit)
        )
        return [_delivery(row) for row in rows]

    async def delivery(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Delivery | None:
        rows = await self._connection.execute(
            select(webhook_deliveries).where(
                self._of(endpoint_id), _deliveries.event_id == event_id
            )
        )
        row = rows.one_or_none()
        return None if row is None else _delivery(row)

    async def attempts(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Sequence[Attempt]:
        attempts = webhook_attempts.c
        rows = await self._connection.execute(
            select(webhook_attempts)
            .where(
                attempts.endpoint_id == endpoint_id,
                attempts.event_id == event_id,
                attempts.user_id == self._user_id,
            )
            .order_by(attempts.number.desc())
            .limit(_ATTEMPTS_SHOWN)
        )
        return [
            Attempt(
                number=row.number,
                at=row.at,
                duration_ms=row.duration_ms,
                status=row.status,
                error=row.error,
                excerpt=row.excerpt,
                address=row.address,
            )
            for row in rows
        ]

    async def body(self, event_id: WebhookEventId) -> bytes | None:
        body = await self._connection.scalar(
            select(webhook_events.c.body).where(
                webhook_events.c.id == event_id, webhook_events.c.user_id == self._user_id
            )
        )
        return None if body is None else bytes(body)

    async def record(self, claim: DeliveryClaim, attempt: Attempt, verdict: Verdict) -> bool:
        # A replay that came during the attempt has put the count back: a failure ends nothing.
        anew = _deliveries.attempts == 0
        failed = verdict.state is DeliveryState.FAILED
        state = case((anew, _PENDING), else_=verdict.state.value) if failed else verdict.state.value
        ended = verdict.state is not DeliveryState.PENDING
        wait = timedelta(seconds=verdict.wait_seconds)
        moment = func.now() if ended else None
        moved = await self._connection.execute(
            update(webhook_deliveries)
            .where(
                self._of(claim.endpoint_id),
                _deliveries.event_id == claim.event_id,
                _deliveries.fence == claim.fence,
                _deliveries.state == _PENDING,
            )
            .values(
                state=state,
                last_status=attempt.status,
                error=attempt.error,
                lease_until=None,
                due_at=case((anew, func.now()), else_=func.now() + wait),
                finished_at=case((anew, None), else_=func.now()) if failed else moment,
            )
            .returning(_deliveries.event_id)
        )
        if moved.one_or_none() is None:
            return False
        await self._connection.execute(
            insert(webhook_attempts).values(
                endpoint_id=claim.endpoint_id,
                event_id=claim.event_id,
                number=attempt.number,
                user_id=self._user_id,
                at=attempt.at,
                duration_ms=attempt.duration_ms,
                status=attempt.status,
                error=attempt.error,
                excerpt=attempt.excerpt,
                address=attempt.address,
            )
        )
        return True

    async def succeeded(self, endpoint_id: WebhookEndpointId) -> None:
        await self._connection.execute(
            update(webhook_endpoints)
            .where(_endpoints.id == endpoint_id, self._mine, _endpoints.failing_since.is_not(None))
            .values(failing_since=None, failed_events=0)
        )

    async def failed(self, endpoint_id: WebhookEndpointId, *, for_good: bool) -> EndpointHealth:
        rows = await self._connection.execute(
            update(webhook_endpoints)
            .where(_endpoints.id == endpoint_id, self._mine)
            .values(
                failing_since=func.coalesce(_endpoints.failing_since, func.now()),
                failed_events=_endpoints.failed_events + int(for_good),
            )
            .returning(_endpoints.failing_since, _endpoints.failed_events, func.now().label("now"))
        )
        row = rows.one_or_none()
        if row is None:
            return EndpointHealth(failing_since=None, failed_events=0, now=datetime.now(UTC))
        return EndpointHealth(
            failing_since=row.failing_since, failed_events=row.failed_events, now=row.now
        )

    async def abandon(self, endpoint_id: WebhookEndpointId, error: str) -> int:
        ended = await self._connection.execute(
            update(webhook_deliveries)
            .where(self._of(endpoint_id), _deliveries.state == _PENDING)
            .values(
                state=DeliveryState.FAILED.value,
                error=error,
                lease_until=None,
                finished_at=func.now(),
            )
        )
        return ended.rowcount

    async def replay(
        self, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> Delivery | None:
        rows = await self._connection.execute(
            update(webhook_deliveries)
            .where(self._of(endpoint_id), _deliveries.event_id == event_id)
            .values(**_ANEW)
            .returning(*_deliveries)
        )
        row = rows.one_or_none()
        return None if row is None else _delivery(row)

    async def replay_failed(
        self, endpoint_id: WebhookEndpointId, since: datetime, limit: int
    ) -> int:
        failed = (
            select(_deliveries.endpoint_id, _deliveries.event_id)
            .where(
                self._of(endpoint_id),
                _deliveries.state == DeliveryState.FAILED.value,
                _deliveries.created_at >= since,
            )
            .order_by(_deliveries.event_id)
            .limit(limit)
        )
        begun = await self._connection.execute(
            update(webhook_deliveries)
            .where(tuple_(_deliveries.endpoint_id, _deliveries.event_id).in_(failed))
            .values(**_ANEW)
        )
        return begun.rowcount

    def _of(self, endpoint_id: WebhookEndpointId) -> ColumnElement[bool]:
        return (_deliveries.endpoint_id == endpoint_id) & (_deliveries.user_id == self._user_id)


_WHOSE: ColumnElement[Any] = bindparam("user_id", type_=Uuid)


def _telling(listens: ColumnElement[bool]) -> Executable:
    """The one statement that keeps an event and its deliveries, if anybody is to have it.

    The keys' locks make it wait for whoever deletes an endpoint, so that a delivery to one that
    is gone cannot break the transaction this happens in.
    """
    chosen = (
        select(_endpoints.id)
        .where(
            _endpoints.user_id == _WHOSE,
            _endpoints.disabled_reason == DisabledReason.NONE.value,
            listens,
        )
        .with_for_update(read=True, key_share=True)
        .cte("chosen")
    )
    event = {
        "id": bindparam("event_id", type_=Uuid),
        "user_id": _WHOSE,
        "type": bindparam("type", type_=Text),
        "body": bindparam("body", type_=LargeBinary),
    }
    kept = (
        insert(webhook_events)
        .from_select(list(event), select(*event.values()).where(select(chosen.c.id).exists()))
        .returning(webhook_events.c.id, webhook_events.c.user_id, webhook_events.c.type)
        .cte("kept")
    )
    return insert(webhook_deliveries).from_select(
        ["endpoint_id", "event_id", "user_id", "type"],
        select(chosen.c.id, kept.c.id, kept.c.user_id, kept.c.type).join_from(
            chosen, kept, literal(True)
        ),
    )


# Built once: every run's beginning and end sends one, whether anybody listens or not.
_TELL_LISTENERS = _telling(
    or_(
        func.cardinality(_endpoints.events) == 0,
        _endpoints.events.overlap(bindparam("heard", type_=ARRAY(Text))),
    )
    & select(users.c.id)
    .where(users.c.id == _WHOSE, users.c.role.in_(sorted(role.value for role in TOLD)))
    .exists()
)
_TELL_ONE = _telling(_endpoints.id == bindparam("endpoint_id", type_=Uuid))

_ANEW: Mapping[str, Any] = {
    "state": _PENDING,
    "attempts": 0,
    "replays": _deliveries.replays + 1,
    # One under way comes due with its lease.
    "due_at": func.greatest(func.now(), func.coalesce(_deliveries.lease_until, func.now())),
    "finished_at": None,
}


def _event(type_: str, data: Mapping[str, object], at: datetime | None) -> WebhookEvent:
    # Made here, because every event needs one and no caller has a use for it: the same kind
    # of identifier as everywhere, so that deliveries sort by the moment of their event.
    return WebhookEvent.of(WebhookEventId(compat.uuid7()), type_, data, at or datetime.now(UTC))


def _changeable(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "disabled_reason": endpoint.disabled_reason.value,
        "disabled_at": endpoint.disabled_at,
        "secret": endpoint.secret,
        "previous_secret": endpoint.previous_secret,
        "previous_until": endpoint.previous_until,
        "failing_since": endpoint.failing_since,
        "failed_events": endpoint.failed_events,
        "updated_at": endpoint.updated_at,
    }


def _endpoint(row: Row[Any]) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=WebhookEndpointId(row.id),
        user_id=UserId(row.user_id),
        url=row.url,
        description=row.description,
        events=tuple(row.events),
        disabled_reason=DisabledReason(row.disabled_reason),
        disabled_at=row.disabled_at,
        secret=bytes(row.secret),
        previous_secret=None if row.previous_secret is None else bytes(row.previous_secret),
        previous_until=row.previous_until,
        failing_since=row.failing_since,
        failed_events=row.failed_events,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _delivery(row: Row[Any]) -> Delivery:
    state = DeliveryState(row.state)
    return Delivery(
        endpoint_id=WebhookEndpointId(row.endpoint_id),
        event_id=WebhookEventId(row.event_id),
        type=row.type,
        state=state,
        attempts=row.attempts,
        replays=row.replays,
        next_attempt_at=row.due_at if state is DeliveryState.PENDING else None,
        last_status=row.last_status,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
