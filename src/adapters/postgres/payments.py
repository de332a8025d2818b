"""Orders, and the money that moved for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.spans import within
from adapters.postgres.tables import disputes, orders, transactions
from application.ports.payment_gateway import DisputeStatus, GatewayDispute
from application.ports.payments import REFUND_LOOK_SECONDS, Movement, MovementFilter, OrderFilter
from domain.billing.orders import Order, OrderPurpose, OrderStatus
from domain.billing.payments import Mandate, Payment, Refund, TransactionKind, TransactionStatus
from domain.shared.ids import CouponId, OrderId, TransactionId, UserId

_IS_PAYMENT = transactions.c.kind == TransactionKind.PAYMENT


class PostgresOrders:
    """The ``OrderRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = orders.c.user_id == user_id

    async def add(self, order: Order) -> None:
        await self._connection.execute(
            orders.insert().values(
                id=order.id,
                user_id=order.user_id,
                purpose=order.purpose,
                reference=order.reference,
                amount_paise=order.amount_paise,
                discount_paise=order.discount_paise,
                credits=order.credits,
                currency=order.currency,
                description=order.description,
                status=order.status,
                gateway_order_id=order.gateway_order_id,
                gateway_customer_id=order.gateway_customer_id,
                coupon_id=order.coupon_id,
                recurring=order.recurring,
                created_at=order.created_at,
                expires_at=order.expires_at,
                paid_at=order.paid_at,
                paid_with=order.paid_with,
                due_at=order.expires_at,
            )
        )

    async def get(self, order_id: OrderId, *, lock: bool = False) -> Order | None:
        query = select(orders).where(orders.c.id == order_id, self._mine)
        return await self._one(query.with_for_update() if lock else query)

    async def by_gateway_id(self, gateway_order_id: str) -> Order | None:
        if not gateway_order_id:
            return None
        return await self._one(
            select(orders).where(orders.c.gateway_order_id == gateway_order_id, self._mine)
        )

    async def page(self, query: OrderFilter) -> Sequence[Order]:
        rows = await self._connection.execute(orders_of(query).where(self._mine))
        return [order_of(row) for row in rows]

    async def save(self, order: Order) -> None:
        await self._connection.execute(
            update(orders)
            .where(orders.c.id == order.id, self._mine)
            .values(
                status=order.status,
                gateway_order_id=order.gateway_order_id,
                gateway_customer_id=order.gateway_customer_id,
                paid_at=order.paid_at,
                paid_with=order.paid_with,
            )
        )

    async def look_again(self, order_id: OrderId, at: datetime | None) -> None:
        await self._connection.execute(
            update(orders).where(orders.c.id == order_id, self._mine).values(due_at=at)
        )

    async def _one(self, query: Any) -> Order | None:
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else order_of(row)


class PostgresPayments:
    """The ``PaymentRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = transactions.c.user_id == user_id

    async def put(self, payment: Payment) -> None:
        mandate = payment.mandate
        changing: dict[str, Any] = {
            "status": payment.status,
            "method": payment.method,
            "refunded": payment.refunded_paise,
            "error_code": payment.error_code,
            "error": payment.error,
            "mandate_customer": mandate.customer_id if mandate else "",
            "mandate_token": mandate.token_id if mandate else "",
            "settled_at": payment.captured_at,
        }
        await self._connection.execute(
            upsert(transactions)
            .values(
                id=payment.id,
                user_id=payment.user_id,
                order_id=payment.order_id,
                subscription_id=self._subscription_of(payment.order_id),
                kind=TransactionKind.PAYMENT,
                gateway_id=payment.gateway_payment_id,
                amount=payment.amount_paise,
                currency=payment.currency,
                created_at=payment.created_at,
                **changing,
            )
            .on_conflict_do_update(index_elements=["id"], set_=changing)
        )

    async def get(self, payment_id: TransactionId) -> Payment | None:
        return await self._payment(transactions.c.id == payment_id)

    async def by_gateway_id(self, gateway_payment_id: str) -> Payment | None:
        if not gateway_payment_id:
            return None
        return await self._payment(transactions.c.gateway_id == gateway_payment_id)

    async def of_order(self, order_id: OrderId) -> Sequence[Payment]:
        rows = await self._rows(_IS_PAYMENT, transactions.c.order_id == order_id)
        return [_payment(row) for row in rows]

    async def put_refund(self, refund: Refund) -> None:
        wait = REFUND_LOOK_SECONDS.get(refund.status)
        changing: dict[str, Any] = {
            "status": refund.status,
            "gateway_id": refund.gateway_refund_id,
            "attempt": refund.attempt,
            "error": refund.error,
            "settled_at": refund.reversed_at,
            "due_at": None
            if wait is None
            else func.now() + func.make_interval(0, 0, 0, 0, 0, 0, wait),
        }
        paid_with = transactions.alias("paid_with")
        await self._connection.execute(
            upsert(transactions)
            .values(
                id=refund.id,
                user_id=refund.user_id,
                order_id=refund.order_id,
                subscription_id=self._subscription_of(refund.order_id),
                kind=refund.kind,
                payment_id=refund.payment_id,
                amount=refund.amount_paise,
                currency=refund.currency,
                method=select(paid_with.c.method)
                .where(paid_with.c.id == refund.payment_id)
                .scalar_subquery(),
                reason=refund.reason,
                requested_by=refund.requested_by,
                created_at=refund.created_at,
                **changing,
            )
            .on_conflict_do_update(index_elements=["id"], set_=changing)
        )

    async def refund(self, refund_id: TransactionId) -> Refund | None:
        rows = await self._rows(~_IS_PAYMENT, transactions.c.id == refund_id)
        return (await self._refunds(rows))[0] if rows else None

    async def refunds_of(self, payment_id: TransactionId) -> Sequence[Refund]:
        rows = await self._rows(~_IS_PAYMENT, transactions.c.payment_id == payment_id)
        return await self._refunds(rows)

    async def note_dispute(self, payment: Payment, dispute: GatewayDispute) -> bool:
        changing: dict[str, Any] = {
            "status": dispute.status,
            "deducted": dispute.deducted_paise,
            "updated_at": func.now(),
        }
        ended = (DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED)
        news = await self._connection.execute(
            upsert(disputes)
            .values(
                id=dispute.id,
                user_id=payment.user_id,
                payment_id=payment.id,
                amount=dispute.amount_paise,
                currency=dispute.currency,
                reason=dispute.reason,
                **changing,
            )
            .on_conflict_do_update(
                index_elements=["id"],
                set_=changing,
                where=disputes.c.status.not_in(ended) & (disputes.c.status != dispute.status),
            )
            .returning(disputes.c.id)
        )
        return news.one_or_none() is not None

    async def movements(self, query: MovementFilter) -> Sequence[Movement]:
        rows = await self._connection.execute(movements_of(query).where(self._mine))
        return [movement_of(row) for row in rows]

    async def _payment(self, condition: ColumnElement[bool]) -> Payment | None:
        rows = await self._rows(_IS_PAYMENT, condition)
        return _payment(rows[0]) if rows else None

    async def _refunds(self, rows: Sequence[Row[Any]]) -> Sequence[Refund]:
        if not rows:
            return []
        named = await self._connection.execute(
            select(transactions.c.id, transactions.c.gateway_id).where(
                transactions.c.id.in_({row.payment_id for row in rows}), self._mine
            )
        )
        names = {row.id: row.gateway_id for row in named}
        return [_refund(row, names[row.payment_id]) for row in rows]

    async def _rows(self, *conditions: ColumnElement[bool]) -> Sequence[Row[Any]]:
        query = select(transactions).where(self._mine, *conditions).order_by(transactions.c.id)
        return (await self._connection.execute(query)).all()

    @staticmethod
    def _subscription_of(order_id: OrderId) -> Any:
        """An order of a subscription refers to it; a reference of another form is none."""
        uuid_form = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
        return (
            select(orders.c.reference.cast(transactions.c.subscription_id.type))
            .where(
                orders.c.id == order_id,
                orders.c.purpose != OrderPurpose.TOP_UP,
                orders.c.reference.regexp_match(uuid_form),
            )
            .scalar_subquery()
        )


def orders_of(query: OrderFilter) -> Any:
    """The rows of a page of orders, whoever's they are."""
    found = select(orders).where(*within(orders.c.created_at, query.days))
    if query.after is not None:
        found = found.where(orders.c.id < query.after)
    if query.status is not None:
        found = found.where(orders.c.status == query.status)
    return found.order_by(orders.c.id.desc()).limit(query.limit)


def movements_of(query: MovementFilter) -> Any:
    """The rows of a page of movements, whoever's they are."""
    found = (
        select(transactions, orders.c.purpose, orders.c.description)
        .join(orders, orders.c.id == transactions.c.order_id)
        .where(*within(transactions.c.created_at, query.days))
    )
    if query.after is not None:
        found = found.where(transactions.c.id < query.after)
    if query.kind is not None:
        found = found.where(transactions.c.kind == query.kind)
    if query.status is not None:
        found = found.where(transactions.c.status == query.status)
    if query.order_id is not None:
        found = found.where(transactions.c.order_id == query.order_id)
    return found.order_by(transactions.c.id.desc()).limit(query.limit)


def movement_of(row: Row[Any]) -> Movement:
    """The movement in a row of :func:`movements_of`."""
    return Movement(
        id=TransactionId(row.id),
        user_id=UserId(row.user_id),
        order_id=OrderId(row.order_id),
        subscription_id=row.subscription_id,
        kind=TransactionKind(row.kind),
        purpose=OrderPurpose(row.purpose),
        description=row.description,
        amount_paise=row.amount,
        currency=row.currency,
        status=TransactionStatus(row.status),
        method=row.method,
        gateway_id=row.gateway_id,
        payment_id=None if row.payment_id is None else TransactionId(row.payment_id),
        refunded_paise=row.refunded,
        reason=row.reason,
        error_code=row.error_code,
        error=row.error,
        created_at=row.created_at,
        settled_at=row.settled_at,
    )


def order_of(row: Row[Any]) -> Order:
    """The order in a row of :func:`orders_of`."""
    return Order(
        id=OrderId(row.id),
        user_id=UserId(row.user_id),
        purpose=OrderPurpose(row.purpose),
        reference=row.reference,
        amount_paise=row.amount_paise,
        discount_paise=row.discount_paise,
        credits=row.credits,
        currency=row.currency,
        description=row.description,
        status=OrderStatus(row.status),
        gateway_order_id=row.gateway_order_id,
        gateway_customer_id=row.gateway_customer_id,
        coupon_id=None if row.coupon_id is None else CouponId(row.coupon_id),
        recurring=row.recurring,
        created_at=row.created_at,
        expires_at=row.expires_at,
        paid_at=row.paid_at,
        paid_with=None if row.paid_with is None else TransactionId(row.paid_with),
    )


def _payment(row: Row[Any]) -> Payment:
    mandate = Mandate(customer_id=row.mandate_customer, token_id=row.mandate_token)
    return Payment(
        id=TransactionId(row.id),
        user_id=UserId(row.user_id),
        order_id=OrderId(row.order_id),
        gateway_payment_id=row.gateway_id,
        status=TransactionStatus(row.status),
        amount_paise=row.amount,
        currency=row.currency,
        created_at=row.created_at,
        method=row.method,
        refunded_paise=row.refunded,
        error_code=row.error_code,
        error=row.error,
        mandate=mandate if row.mandate_token else None,
        captured_at=row.settled_at,
    )


def _refund(row: Row[Any], gateway_payment_id: str) -> Refund:
    return Refund(
        id=TransactionId(row.id),
        user_id=UserId(row.user_id),
        order_id=OrderId(row.order_id),
        payment_id=TransactionId(row.payment_id),
        gateway_payment_id=gateway_payment_id,
        amount_paise=row.amount,
        currency=row.currency,
        kind=TransactionKind(row.kind),
        status=TransactionStatus(row.status),
        created_at=row.created_at,
        reason=row.reason,
        gateway_refund_id=row.gateway_id,
        requested_by=None if row.requested_by is None else UserId(row.requested_by),
        attempt=row.attempt,
        error=row.error,
        reversed_at=row.settled_at,
    )
