"""Orders, payments and coupons in memory, and the work that is due on them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from application.ports.clock import Clock
from application.ports.payment_gateway import DisputeStatus, GatewayDispute
from application.ports.payments import (
    REFUND_LOOK_SECONDS,
    CouponRepository,
    Movement,
    MovementFilter,
    OrderFilter,
    OrderRepository,
    Owned,
    PaymentRepository,
    PaymentSchedule,
    Webhook,
    WebhookInbox,
    WebhookStatus,
    WebhookWork,
)
from domain.audit.act import Act
from domain.audit.origin import Origin
from domain.billing.coupons import Coupon, CouponAlreadyUsed, CouponCodeTaken, CouponExhausted
from domain.billing.orders import Order, OrderPurpose
from domain.billing.payments import Payment, Refund, TransactionKind
from domain.shared.ids import CouponId, OrderId, TransactionId, UserId
from tests.fakes.persistence.database import (
    InMemoryDatabase,
    OrderRow,
    RefundRow,
    Session,
    Tables,
    TransactionRefused,
)


class InMemoryOrders(OrderRepository):
    """The orders of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, order: Order) -> None:
        self._session.require_own(order.user_id)
        if order.id in self._session.tables.orders:
            raise self._session.refused(TransactionRefused("an order has this id already"))
        self._session.tables.orders[order.id] = OrderRow(order=order, due_at=order.expires_at)

    async def get(self, order_id: OrderId, *, lock: bool = False) -> Order | None:
        return next((order for order in self._mine() if order.id == order_id), None)

    async def by_gateway_id(self, gateway_order_id: str) -> Order | None:
        return next(
            (
                order
                for order in self._mine()
                if gateway_order_id and order.gateway_order_id == gateway_order_id
            ),
            None,
        )

    async def page(self, query: OrderFilter) -> Sequence[Order]:
        return orders_in(self._session.tables, query, self._session.tenant)

    async def save(self, order: Order) -> None:
        row = self._session.tables.orders.get(order.id)
        if row is not None and row.order.user_id == self._session.tenant:
            kept = replace(
                row.order,
                status=order.status,
                gateway_order_id=order.gateway_order_id,
                gateway_customer_id=order.gateway_customer_id,
                paid_at=order.paid_at,
                paid_with=order.paid_with,
            )
            self._session.tables.orders[order.id] = replace(row, order=kept)

    async def look_again(self, order_id: OrderId, at: datetime | None) -> None:
        row = self._session.tables.orders.get(order_id)
        if row is not None and row.order.user_id == self._session.tenant:
            self._session.tables.orders[order_id] = replace(row, due_at=at)

    def _mine(self) -> list[Order]:
        rows = self._session.tables.orders.values()
        return [row.order for row in rows if row.order.user_id == self._session.tenant]


class InMemoryPayments(PaymentRepository):
    """The payments, refunds and disputes of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, payment: Payment) -> None:
        self._session.require_own(payment.user_id)
        self._require_order(payment.order_id)
        self._session.tables.payments[payment.id] = payment

    async def get(self, payment_id: TransactionId) -> Payment | None:
        return next((payment for payment in self._mine() if payment.id == payment_id), None)

    async def by_gateway_id(self, gateway_payment_id: str) -> Payment | None:
        return next(
            (
                payment
                for payment in self._mine()
                if payment.gateway_payment_id == gateway_payment_id
            ),
            None,
        )

    async def of_order(self, order_id: OrderId) -> Sequence[Payment]:
        found = [payment for payment in self._mine() if payment.order_id == order_id]
        return sorted(found, key=lambda payment: payment.id)

    async def put_refund(self, refund: Refund) -> None:
        self._session.require_own(refund.user_id)
        self._require_order(refund.order_id)
        wait = REFUND_LOOK_SECONDS.get(refund.status)
        self._session.tables.refunds[refund.id] = RefundRow(
            refund=refund, due_at=None if wait is None else self._session.after(wait)
        )

    async def refund(self, refund_id: TransactionId) -> Refund | None:
        row = self._session.tables.refunds.get(refund_id)
        mine = row is not None and row.refund.user_id == self._session.tenant
        return row.refund if row is not None and mine else None

    async def refunds_of(self, payment_id: TransactionId) -> Sequence[Refund]:
        found = [
            row.refund
            for row in self._session.tables.refunds.values()
            if row.refund.payment_id == payment_id and row.refund.user_id == self._session.tenant
        ]
        return sorted(found, key=lambda refund: refund.id)

    async def note_dispute(self, payment: Payment, dispute: GatewayDispute) -> bool:
        known = self._session.tables.disputes.get(dispute.id)
        ended = (DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED)
        if known is not None and (known.status in ended or known.status is dispute.status):
            return False
        self._session.tables.disputes[dispute.id] = dispute
        return True

    async def movements(self, query: MovementFilter) -> Sequence[Movement]:
        return movements_in(self._session.tables, query, self._session.tenant)

    def _mine(self) -> list[Payment]:
        payments = self._session.tables.payments.values()
        return [payment for payment in payments if payment.user_id == self._session.tenant]

    def _require_order(self, order_id: OrderId) -> None:
        row = self._session.tables.orders.get(order_id)
        if row is None or row.order.user_id != self._session.tenant:
            raise self._session.refused(TransactionRefused("there is no such order"))


class InMemoryCoupons(CouponRepository):
    """Everybody's coupons, and the use of them by the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, coupon: Coupon) -> None:
        if await self.by_code(coupon.code) is not None:
            raise CouponCodeTaken(coupon.code)
        self._session.tables.coupons[coupon.id] = coupon

    async def by_code(self, code: str) -> Coupon | None:
        coupons = self._session.tables.coupons.values()
        return next((coupon for coupon in coupons if coupon.code == code), None)

    async def get(self, coupon_id: CouponId) -> Coupon | None:
        return self._session.tables.coupons.get(coupon_id)

    async def page(self, *, limit: int, after: UUID | None) -> Sequence[Coupon]:
        found = [
            coupon
            for coupon in self._session.tables.coupons.values()
            if after is None or coupon.id < after
        ]
        return sorted(found, key=lambda coupon: coupon.id, reverse=True)[:limit]

    async def set_active(self, coupon_id: CouponId, *, active: bool) -> bool:
        coupon = self._session.tables.coupons.get(coupon_id)
        if coupon is None:
            return False
        self._session.tables.coupons[coupon_id] = replace(coupon, active=active)
        return True

    async def redeem(self, coupon_id: CouponId, order_id: OrderId) -> None:
        key = (coupon_id, self._session.tenant)
        if key in self._session.tables.redemptions:
            raise CouponAlreadyUsed
        coupon = self._session.tables.coupons[coupon_id]
        full = coupon.max_redemptions is not None and coupon.redeemed >= coupon.max_redemptions
        if full or not coupon.active:
            raise CouponExhausted
        self._session.tables.redemptions[key] = order_id
        self._count(coupon, 1)

    async def release(self, coupon_id: CouponId, order_id: OrderId) -> bool:
        key = (coupon_id, self._session.tenant)
        if self._session.tables.redemptions.get(key) != order_id:
            return False
        del self._session.tables.redemptions[key]
        self._count(self._session.tables.coupons[coupon_id], -1)
        return True

    def _count(self, coupon: Coupon, by: int) -> None:
        self._session.tables.coupons[coupon.id] = replace(coupon, redeemed=coupon.redeemed + by)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    webhook: Webhook
    due_at: datetime


class InMemoryWebhooks(WebhookInbox, WebhookWork):
    """The gateway's events, kept and worked on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[UUID, _Kept] = {}
        self.told: list[tuple[UserId, Act]] = []

    async def keep(self, webhook_id: UUID, gateway: str, event_id: str, body: bytes) -> bool:
        known = {(row.webhook.gateway, row.webhook.event_id) for row in self._rows.values()}
        if (gateway, event_id) in known:
            return False
        now = self._clock.now()
        webhook = Webhook(
            id=webhook_id,
            gateway=gateway,
            event_id=event_id,
            body=body,
            status=WebhookStatus.PENDING,
            attempts=0,
            error="",
            received_at=now,
        )
        self._rows[webhook_id] = _Kept(webhook=webhook, due_at=now)
        return True

    async def take(self, limit: int, lease_seconds: float) -> Sequence[Webhook]:
        now = self._clock.now()
        due = [
            row
            for row in self._rows.values()
            if row.webhook.status is WebhookStatus.PENDING and row.due_at <= now
        ]
        due.sort(key=lambda row: row.due_at)
        taken = [replace(row.webhook, attempts=row.webhook.attempts + 1) for row in due[:limit]]
        for webhook in taken:
            self._rows[webhook.id] = _Kept(
                webhook=webhook, due_at=now + timedelta(seconds=lease_seconds)
            )
        return sorted(taken, key=lambda webhook: webhook.id)

    async def done(self, webhook_id: UUID) -> None:
        self._end(webhook_id, WebhookStatus.DONE, "")

    async def defer(self, webhook_id: UUID, seconds: float, error: str) -> None:
        row = self._rows[webhook_id]
        if row.webhook.status is WebhookStatus.PENDING:
            self._rows[webhook_id] = _Kept(
                webhook=replace(row.webhook, error=error),
                due_at=self._clock.now() + timedelta(seconds=seconds),
            )

    async def set_aside(self, webhook_id: UUID, error: str) -> None:
        self._end(webhook_id, WebhookStatus.SET_ASIDE, error)

    async def page(
        self, status: WebhookStatus, *, limit: int, after: UUID | None
    ) -> Sequence[Webhook]:
        found = [
            row.webhook
            for row in self._rows.values()
            if row.webhook.status is status and (after is None or row.webhook.id < after)
        ]
        return sorted(found, key=lambda webhook: webhook.id, reverse=True)[:limit]

    async def try_again(self, webhook_id: UUID, *, by: UserId, origin: Origin, act: Act) -> bool:
        row = self._rows.get(webhook_id)
        if row is None or row.webhook.status is not WebhookStatus.SET_ASIDE:
            return False
        webhook = replace(row.webhook, status=WebhookStatus.PENDING, attempts=0, processed_at=None)
        self._rows[webhook_id] = _Kept(webhook=webhook, due_at=self._clock.now())
        self.told.append((by, act))
        return True

    async def forget(self, keep_seconds: float, limit: int) -> int:
        before = self._clock.now() - timedelta(seconds=keep_seconds)
        old = [
            id_
            for id_, row in sorted(self._rows.items())
            if row.webhook.status is WebhookStatus.DONE
            and row.webhook.processed_at is not None
            and row.webhook.processed_at < before
        ]
        for id_ in old[:limit]:
            del self._rows[id_]
        return len(old[:limit])

    def _end(self, webhook_id: UUID, status: WebhookStatus, error: str) -> None:
        row = self._rows[webhook_id]
        if row.webhook.status is WebhookStatus.PENDING:
            ended = replace(row.webhook, status=status, error=error, processed_at=self._clock.now())
            self._rows[webhook_id] = replace(row, webhook=ended)


class InMemoryPaymentSchedule(PaymentSchedule):
    """Whose orders and refunds are due."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def due_orders(self, limit: int, defer_seconds: float) -> Sequence[Owned]:
        async with self._database.session(None) as session:
            later = session.after(defer_seconds)
            due = [
                row
                for row in session.tables.orders.values()
                if row.due_at is not None and row.due_at <= session.now
            ]
            due.sort(key=lambda row: (row.due_at, row.order.id))
            for row in due[:limit]:
                session.tables.orders[row.order.id] = replace(row, due_at=later)
            return [Owned(user_id=row.order.user_id, id=row.order.id) for row in due[:limit]]

    async def due_refunds(self, limit: int, defer_seconds: float) -> Sequence[Owned]:
        async with self._database.session(None) as session:
            later = session.after(defer_seconds)
            due = [
                row
                for row in session.tables.refunds.values()
                if row.due_at is not None and row.due_at <= session.now
            ]
            for row in due[:limit]:
                session.tables.refunds[row.refund.id] = replace(row, due_at=later)
            return [Owned(user_id=row.refund.user_id, id=row.refund.id) for row in due[:limit]]

    async def owner_of_order(self, gateway_order_id: str) -> Owned | None:
        for row in self._database.tables.orders.values():
            if row.order.gateway_order_id == gateway_order_id:
                return Owned(user_id=row.order.user_id, id=row.order.id)
        return None

    async def owner_of_payment(self, gateway_payment_id: str) -> Owned | None:
        for payment in self._database.tables.payments.values():
            if payment.gateway_payment_id == gateway_payment_id:
                return Owned(user_id=payment.user_id, id=payment.id)
        return None

    async def owner_of(self, transaction_id: TransactionId) -> Owned | None:
        tables = self._database.tables
        payment, row = tables.payments.get(transaction_id), tables.refunds.get(transaction_id)
        if payment is not None:
            return Owned(user_id=payment.user_id, id=payment.id)
        return None if row is None else Owned(user_id=row.refund.user_id, id=row.refund.id)

    async def orders(self, query: OrderFilter, user_id: UserId | None = None) -> Sequence[Order]:
        return orders_in(self._database.tables, query, user_id)

    async def movements(
        self, query: MovementFilter, user_id: UserId | None = None
    ) -> Sequence[Movement]:
        return movements_in(self._database.tables, query, user_id)


def orders_in(tables: Tables, query: OrderFilter, user_id: UserId | None) -> Sequence[Order]:
    """A page of orders, of one person or of everybody."""
    matching = [
        row.order
        for row in tables.orders.values()
        if user_id in (None, row.order.user_id)
        and (query.after is None or row.order.id < query.after)
        and query.status in (None, row.order.status)
        and row.order.created_at in query.days
    ]
    return sorted(matching, key=lambda order: order.id, reverse=True)[: query.limit]


def movements_in(
    tables: Tables, query: MovementFilter, user_id: UserId | None
) -> Sequence[Movement]:
    """A page of movements, of one person or of everybody."""
    found = [
        *(_of_payment(tables, payment) for payment in tables.payments.values()),
        *(_of_refund(tables, row.refund) for row in tables.refunds.values()),
    ]
    matching = [
        movement
        for movement in found
        if (user_id is None or movement.user_id == user_id)
        and (query.after is None or movement.id < query.after)
        and (query.kind is None or movement.kind is query.kind)
        and (query.status is None or movement.status is query.status)
        and (query.order_id is None or movement.order_id == query.order_id)
        and movement.created_at in query.days
    ]
    return sorted(matching, key=lambda movement: movement.id, reverse=True)[: query.limit]


def _of_payment(tables: Tables, payment: Payment) -> Movement:
    order = tables.orders[payment.order_id].order
    return Movement(
        id=payment.id,
        user_id=payment.user_id,
        order_id=payment.order_id,
        subscription_id=_subscription(order),
        kind=TransactionKind.PAYMENT,
        purpose=order.purpose,
        description=order.description,
        amount_paise=payment.amount_paise,
        currency=payment.currency,
        status=payment.status,
        method=payment.method,
        gateway_id=payment.gateway_payment_id,
        payment_id=None,
        refunded_paise=payment.refunded_paise,
        reason="",
        error_code=payment.error_code,
        error=payment.error,
        created_at=payment.created_at,
        settled_at=payment.captured_at,
    )


def _of_refund(tables: Tables, refund: Refund) -> Movement:
    order = tables.orders[refund.order_id].order
    return Movement(
        id=refund.id,
        user_id=refund.user_id,
        order_id=refund.order_id,
        subscription_id=_subscription(order),
        kind=refund.kind,
        purpose=order.purpose,
        description=order.description,
        amount_paise=refund.amount_paise,
        currency=refund.currency,
        status=refund.status,
        method=tables.payments[refund.payment_id].method,
        gateway_id=refund.gateway_refund_id,
        payment_id=refund.payment_id,
        refunded_paise=0,
        reason=refund.reason,
        error_code="",
        error=refund.error,
        created_at=refund.created_at,
        settled_at=refund.reversed_at,
    )


def _subscription(order: Order) -> UUID | None:
    if order.purpose is OrderPurpose.TOP_UP:
        return None
    try:
        return UUID(order.reference)
    except ValueError:
        return None
