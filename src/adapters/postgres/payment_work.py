"""The gateway's events, and whose orders and refunds are due: past the tenants' walls."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Executable,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit_log import written
from adapters.postgres.constraints import violated
from adapters.postgres.engine import rows_of, with_retries
from adapters.postgres.payments import movement_of, movements_of, order_of, orders_of
from adapters.postgres.tables import audit_log, gateway_events, orders, transactions
from application.ports.payments import (
    Movement,
    MovementFilter,
    OrderFilter,
    Owned,
    Webhook,
    WebhookStatus,
)
from domain.audit.act import Act
from domain.audit.origin import Origin
from domain.billing.orders import Order
from domain.billing.payments import TransactionKind
from domain.shared.ids import TransactionId, UserId

_PENDING = gateway_events.c.status == WebhookStatus.PENDING


class PostgresWebhookInbox:
    """The ``WebhookInbox`` over the ``app`` role's engine, which may add and nothing else."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def keep(self, webhook_id: UUID, gateway: str, event_id: str, body: bytes) -> bool:
        statement = insert(gateway_events).values(
            id=webhook_id, gateway=gateway, event_id=event_id, body=body
        )

        async def execute() -> bool:
            async with self._engine.connect() as connection:
                try:
                    await connection.execute(statement)
                except IntegrityError as error:
                    # Nothing may be read here, not even to skip what is there.
                    if violated(error) != "gateway_events_event_id_key":
                        raise
                    return False
            return True

        return await with_retries(execute)


class _Dispatching:
    """Statements of the ``dispatch`` role, each a commit."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def _all(self, statement: Executable) -> Sequence[Row[Any]]:
        return await rows_of(self._engine, statement)


class PostgresWebhookWork(_Dispatching):
    """The ``WebhookWork`` over the ``dispatch`` role's engine."""

    async def take(self, limit: int, lease_seconds: float) -> Sequence[Webhook]:
        now = func.now()
        due = (
            select(gateway_events.c.id)
            .where(_PENDING, gateway_events.c.due_at <= now)
            .order_by(gateway_events.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        rows = await self._all(
            update(gateway_events)
            .where(gateway_events.c.id == due.c.id)
            .values(due_at=now + _seconds(lease_seconds), attempts=gateway_events.c.attempts + 1)
            .returning(*gateway_events.c)
        )
        return [_webhook(row) for row in sorted(rows, key=lambda row: row.id)]

    async def done(self, webhook_id: UUID) -> None:
        await self._end(webhook_id, WebhookStatus.DONE, "")

    async def defer(self, webhook_id: UUID, seconds: float, error: str) -> None:
        await self._all(
            update(gateway_events)
            .where(gateway_events.c.id == webhook_id, _PENDING)
            .values(due_at=func.now() + _seconds(seconds), error=error)
            .returning(gateway_events.c.id)
        )

    async def set_aside(self, webhook_id: UUID, error: str) -> None:
        await self._end(webhook_id, WebhookStatus.SET_ASIDE, error)

    async def page(
        self, status: WebhookStatus, *, limit: int, after: UUID | None
    ) -> Sequence[Webhook]:
        query = select(gateway_events).where(gateway_events.c.status == status)
        if after is not None:
            query = query.where(gateway_events.c.id < after)
        rows = await self._all(query.order_by(gateway_events.c.id.desc()).limit(limit))
        return [_webhook(row) for row in rows]

    async def try_again(self, webhook_id: UUID, *, by: UserId, origin: Origin, act: Act) -> bool:
        again = (
            update(gateway_events)
            .where(
                gateway_events.c.id == webhook_id,
                gateway_events.c.status == WebhookStatus.SET_ASIDE,
            )
            .values(status=WebhookStatus.PENDING, attempts=0, due_at=func.now(), processed_at=None)
            .returning(gateway_events.c.id)
            .cte("again")
        )
        told = written(by, origin, act)
        values = [literal(value, audit_log.c[name].type) for name, value in told.items()]
        # One statement: what is done is told, or neither is there.
        rows = await self._all(
            insert(audit_log)
            .from_select(list(told), select(*values).select_from(again), include_defaults=False)
            .returning(audit_log.c.id)
        )
        return bool(rows)

    async def forget(self, keep_seconds: float, limit: int) -> int:
        old = (
            select(gateway_events.c.id)
            .where(
                gateway_events.c.status == WebhookStatus.DONE,
                gateway_events.c.processed_at < func.now() - _seconds(keep_seconds),
            )
            .order_by(gateway_events.c.id)
            .limit(limit)
        )
        deleted = delete(gateway_events).where(gateway_events.c.id.in_(old))
        return len(await self._all(deleted.returning(gateway_events.c.id)))

    async def _end(self, webhook_id: UUID, status: WebhookStatus, error: str) -> None:
        await self._all(
            update(gateway_events)
            .where(gateway_events.c.id == webhook_id, _PENDING)
            .values(status=status, error=error, processed_at=func.now())
            .returning(gateway_events.c.id)
        )


class PostgresPaymentSchedule(_Dispatching):
    """The ``PaymentSchedule`` over the ``dispatch`` role's engine."""

    async def due_orders(self, limit: int, defer_seconds: float) -> Sequence[Owned]:
        return await self._due(orders, limit, defer_seconds)

    async def due_refunds(self, limit: int, defer_seconds: float) -> Sequence[Owned]:
        return await self._due(transactions, limit, defer_seconds)

    async def owner_of_order(self, gateway_order_id: str) -> Owned | None:
        return await self._owner(orders, orders.c.gateway_order_id == gateway_order_id)

    async def owner_of_payment(self, gateway_payment_id: str) -> Owned | None:
        return await self._owner(
            transactions,
            (transactions.c.gateway_id == gateway_payment_id)
            & (transactions.c.kind == TransactionKind.PAYMENT),
        )

    async def owner_of(self, transaction_id: TransactionId) -> Owned | None:
        return await self._owner(transactions, transactions.c.id == transaction_id)

    async def orders(self, query: OrderFilter, user_id: UserId | None = None) -> Sequence[Order]:
        found = orders_of(query)
        if user_id is not None:
            found = found.where(orders.c.user_id == user_id)
        return [order_of(row) for row in await self._all(found)]

    async def movements(
        self, query: MovementFilter, user_id: UserId | None = None
    ) -> Sequence[Movement]:
        found = movements_of(query)
        if user_id is not None:
            found = found.where(transactions.c.user_id == user_id)
        return [movement_of(row) for row in await self._all(found)]

    async def _owner(self, table: Table, condition: ColumnElement[bool]) -> Owned | None:
        rows = await self._all(select(table.c.id, table.c.user_id).where(condition))
        return Owned(user_id=UserId(rows[0].user_id), id=rows[0].id) if rows else None

    async def _due(self, table: Table, limit: int, defer_seconds: float) -> Sequence[Owned]:
        now = func.now()
        due = (
            select(table.c.id)
            .where(table.c.due_at <= now)
            .order_by(table.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        rows = await self._all(
            update(table)
            .where(table.c.id == due.c.id)
            .values(due_at=now + _seconds(defer_seconds))
            .returning(table.c.id, table.c.user_id)
        )
        return [Owned(user_id=UserId(row.user_id), id=row.id) for row in rows]


def _seconds(seconds: float) -> ColumnElement[Any]:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        gateway=row.gateway,
        event_id=row.event_id,
        body=row.body,
        status=WebhookStatus(row.status),
        attempts=row.attempts,
        error=row.error,
        received_at=row.received_at,
        processed_at=row.processed_at,
    )
