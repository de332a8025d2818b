"""Which webhook deliveries are due, and who makes the next attempt."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import with_retries
from adapters.postgres.locks import Kind, lock_of
from adapters.postgres.tables import webhook_deliveries, webhook_endpoints, webhook_events
from application.ports.webhooks import DeliveryClaim
from domain.shared.ids import UserId, WebhookEndpointId, WebhookEventId
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.endpoint import DisabledReason

_endpoints = webhook_endpoints.c
_deliveries = webhook_deliveries.c
_PENDING = _deliveries.state == DeliveryState.PENDING.value
_ON = _endpoints.disabled_reason == DisabledReason.NONE.value


class PostgresWebhookClaims:
    """The ``WebhookClaims`` over the ``dispatch`` role's engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._transactions = engine

    async def due(self, limit: int, defer_seconds: float) -> Sequence[WebhookEndpointId]:
        waiting = select(_deliveries.endpoint_id).where(_PENDING, _deliveries.due_at <= func.now())
        chosen = (
            select(_endpoints.id)
            .where(_endpoints.id.in_(waiting), _ON, _endpoints.announce_at <= func.now())
            .order_by(_endpoints.announce_at)
            .limit(limit)
            .with_for_update(skip_locked=True, key_share=True)
        )
        statement = (
            update(webhook_endpoints)
            .where(_endpoints.id.in_(chosen))
            .values(announce_at=func.now() + _seconds(defer_seconds))
            .returning(_endpoints.id)
        )

        async def execute() -> Sequence[WebhookEndpointId]:
            async with self._engine.connect() as connection:
                rows = await connection.execute(statement)
                return [WebhookEndpointId(row.id) for row in rows]

        return await with_retries(execute)

    async def claim(
        self, endpoint_id: WebhookEndpointId, lease_seconds: float, *, at_once: int
    ) -> DeliveryClaim | None:
        return await with_retries(lambda: self._claimed(endpoint_id, lease_seconds, at_once))

    async def _claimed(
        self, endpoint_id: WebhookEndpointId, lease_seconds: float, at_once: int
    ) -> DeliveryClaim | None:
        # The moment of the statement, not of the transaction: it may have waited between.
        now = func.statement_timestamp()
        until = now + _seconds(lease_seconds)
        troubled = (
            select(_endpoints.failing_since.is_not(None))
            .where(_endpoints.id == endpoint_id, _ON)
            .scalar_subquery()
        )
        others = webhook_deliveries.alias("others")
        under_way = (
            select(func.count())
            .where(
                others.c.endpoint_id == endpoint_id,
                others.c.state == DeliveryState.PENDING.value,
                others.c.lease_until > now,
            )
            .scalar_subquery()
        )
        next_due = (
            select(_deliveries.endpoint_id, _deliveries.event_id)
            .where(_deliveries.endpoint_id == endpoint_id, _PENDING, _deliveries.due_at <= now)
            .order_by(_deliveries.due_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._transactions.begin() as connection:
            # One claim of an endpoint after another: two that count at the same time would
            # both find room for themselves.
            await connection.execute(select(lock_of(Kind.CLAIMS_OF_AN_ENDPOINT, endpoint_id)))
            rows = await connection.execute(
                update(webhook_deliveries)
                .where(
                    tuple_(_deliveries.endpoint_id, _deliveries.event_id).in_(next_due),
                    # No endpoint that is on: no comparison is true.
                    under_way < case((troubled, 1), (~troubled, at_once)),
                )
                .values(
                    fence=_deliveries.fence + 1,
                    attempts=_deliveries.attempts + 1,
                    lease_until=until,
                    due_at=until,
                )
                .returning(
                    _deliveries.event_id,
                    _deliveries.user_id,
                    _deliveries.fence,
                    _deliveries.attempts,
                    troubled.label("troubled"),
                )
            )
            row = rows.one_or_none()
        if row is None:
            return None
        return DeliveryClaim(
            endpoint_id=endpoint_id,
            event_id=WebhookEventId(row.event_id),
            user_id=UserId(row.user_id),
            fence=row.fence,
            attempt=row.attempts,
            troubled=row.troubled,
        )

    async def hand_back(self, claim: DeliveryClaim) -> None:
        statement = (
            update(webhook_deliveries)
            .where(
                _deliveries.endpoint_id == claim.endpoint_id,
                _deliveries.event_id == claim.event_id,
                _deliveries.fence == claim.fence,
                _PENDING,
            )
            .values(
                attempts=func.greatest(_deliveries.attempts - 1, 0),
                lease_until=None,
                due_at=func.now(),
            )
        )

        async def execute() -> None:
            async with self._engine.connect() as connection:
                await connection.execute(statement)

        await with_retries(execute)

    async def forget(self, keep_seconds: float, limit: int) -> int:
        events = webhook_events.c
        pending = select(_deliveries.event_id).where(_deliveries.event_id == events.id, _PENDING)
        old = (
            select(events.id)
            .where(events.created_at < func.now() - _seconds(keep_seconds), ~pending.exists())
            .order_by(events.created_at)
            .limit(limit)
        )
        statement = delete(webhook_events).where(events.id.in_(old))

        async def execute() -> int:
            async with self._engine.connect() as connection:
                return (await connection.execute(statement)).rowcount

        return await with_retries(execute)


def _seconds(seconds: float) -> Any:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)
