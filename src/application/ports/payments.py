"""What is kept of orders, payments, refunds, coupons, and of what the gateway told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from application.ports.payment_gateway import GatewayDispute
from domain.audit.act import Act
from domain.audit.origin import Origin
from domain.billing.coupons import Coupon
from domain.billing.days import ALWAYS, Days
from domain.billing.orders import Order, OrderPurpose, OrderStatus
from domain.billing.payments import Payment, Refund, TransactionKind, TransactionStatus
from domain.shared.ids import CouponId, OrderId, TransactionId, UserId

REFUND_LOOK_SECONDS = {TransactionStatus.REQUESTED: 30.0, TransactionStatus.PENDING: 300.0}
"""How long after its last change a refund is looked at: one whose asking may have been cut off,
and one that the gateway has and has not carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One line of a person's account of money: a payment, a refund or a chargeback.

    ``subscription_id`` is there where the order was one of a subscription.
    """

    id: TransactionId
    user_id: UserId
    order_id: OrderId
    subscription_id: UUID | None
    kind: TransactionKind
    purpose: OrderPurpose
    description: str
    amount_paise: int
    currency: str
    status: TransactionStatus
    method: str
    gateway_id: str
    payment_id: TransactionId | None
    refunded_paise: int
    reason: str
    error_code: str
    error: str
    created_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementFilter:
    """Which movements; None is every one. ``after`` is exclusive."""

    limit: int
    after: UUID | None = None
    kind: TransactionKind | None = None
    status: TransactionStatus | None = None
    order_id: OrderId | None = None
    days: Days = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders, by the day they were made; None is every one. ``after`` is exclusive."""

    limit: int
    after: UUID | None = None
    status: OrderStatus | None = None
    days: Days = ALWAYS


class OrderRepository(Protocol):
    """The person's orders."""

    async def add(self, order: Order) -> None:
        """Keep a new order; it is looked after from its expiry on, or from its placing."""
        ...

    async def get(self, order_id: OrderId, *, lock: bool = False) -> Order | None:
        """The order, or None. ``lock`` makes other writers wait until the commit."""
        ...

    async def by_gateway_id(self, gateway_order_id: str) -> Order | None:
        """The order that the gateway knows under that id, or None."""
        ...

    async def page(self, query: OrderFilter) -> Sequence[Order]:
        """The person's orders, newest first."""
        ...

    async def save(self, order: Order) -> None:
        """Write back status, gateway id and moment of payment."""
        ...

    async def look_again(self, order_id: OrderId, at: datetime | None) -> None:
        """When the gateway is to be asked about it next; None for never."""
        ...


class PaymentRepository(Protocol):
    """The person's payments, refunds and chargebacks. Written under their order's lock."""

    async def put(self, payment: Payment) -> None:
        """Keep a payment, in place of what was known of it."""
        ...

    async def get(self, payment_id: TransactionId) -> Payment | None:
        """The payment, or None."""
        ...

    async def by_gateway_id(self, gateway_payment_id: str) -> Payment | None:
        """The payment that the gateway knows under that id, or None."""
        ...

    async def of_order(self, order_id: OrderId) -> Sequence[Payment]:
        """Every attempt to pay the order, oldest first."""
        ...

    async def put_refund(self, refund: Refund) -> None:
        """Keep a refund or chargeback, in place of what was known of it."""
        ...

    async def refund(self, refund_id: TransactionId) -> Refund | None:
        """The refund, or None."""
        ...

    async def refunds_of(self, payment_id: TransactionId) -> Sequence[Refund]:
        """Every refund and chargeback of a payment, oldest first."""
        ...

    async def note_dispute(self, payment: Payment, dispute: GatewayDispute) -> bool:
        """Keep how a dispute stands; an ended one is not opened again. Whether it was news."""
        ...

    async def movements(self, query: MovementFilter) -> Sequence[Movement]:
        """The person's movements, newest first."""
        ...


class CouponRepository(Protocol):
    """Everybody's coupons, and the person's use of them."""

    async def add(self, coupon: Coupon) -> None:
        """Keep a new coupon.

        Raises:
            CouponCodeTaken: another has its code.
        """
        ...

    async def by_code(self, code: str) -> Coupon | None:
        """The coupon with that normalised code, or None."""
        ...

    async def get(self, coupon_id: CouponId) -> Coupon | None:
        """The coupon, or None."""
        ...

    async def page(self, *, limit: int, after: UUID | None) -> Sequence[Coupon]:
        """Coupons, newest first."""
        ...

    async def set_active(self, coupon_id: CouponId, *, active: bool) -> bool:
        """Switch a coupon on or off; False when there is none."""
        ...

    async def redeem(self, coupon_id: CouponId, order_id: OrderId) -> None:
        """Take one of its redemptions for the person's order. Waits for others that do.

        Raises:
            CouponAlreadyUsed: the person has one.
            CouponExhausted: there is none left, or it was switched off.
        """
        ...

    async def release(self, coupon_id: CouponId, order_id: OrderId) -> bool:
        """Give the order's redemption back; False when it has none."""
        ...


class WebhookStatus(StrEnum):
    """``set_aside``: it could not be acted on, and somebody must look."""

    PENDING = "pending"
    DONE = "done"
    SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An event of the gateway's, as it came. ``attempts`` counts the times it was taken up."""

    id: UUID
    gateway: str
    event_id: str
    body: bytes
    status: WebhookStatus
    attempts: int
    error: str
    received_at: datetime
    processed_at: datetime | None = None


class WebhookInbox(Protocol):
    """Events of the gateway's, kept before they are acted on."""

    async def keep(self, webhook_id: UUID, gateway: str, event_id: str, body: bytes) -> bool:
        """Keep an event, due at once; False when it is there already. Committed on its own.

        Raises:
            DatabaseUnavailable: it was not kept.
        """
        ...


class WebhookWork(Protocol):
    """The kept events as work to be done, on database time. Each call is a commit."""

    async def take(self, limit: int, lease_seconds: float) -> Sequence[Webhook]:
        """Take due events for so long; each goes to one taker, and comes again after it."""
        ...

    async def done(self, webhook_id: UUID) -> None:
        """It was acted on."""
        ...

    async def defer(self, webhook_id: UUID, seconds: float, error: str) -> None:
        """Try again later."""
        ...

    async def set_aside(self, webhook_id: UUID, error: str) -> None:
        """Do not try again until somebody says so."""
        ...

    async def page(
        self, status: WebhookStatus, *, limit: int, after: UUID | None
    ) -> Sequence[Webhook]:
        """Events of a status, newest first."""
        ...

    async def try_again(self, webhook_id: UUID, *, by: UserId, origin: Origin, act: Act) -> bool:
        """Make one that was set aside due at once; False when there is no such one.

        The act is written into the record of who did it, in the same transaction.
        """
        ...

    async def forget(self, keep_seconds: float, limit: int) -> int:
        """Delete some that were acted on longer ago than that; how many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A row by its id, and whose it is."""

    user_id: UserId
    id: UUID


class PaymentSchedule(Protocol):
    """Whose rows are due, over all people. Each call is a commit, on database time."""

    async def due_orders(self, limit: int, defer_seconds: float) -> Sequence[Owned]:
        """Orders to ask the gateway about; each goes to one taker."""
        ...

    async def due_refunds(self, limit: int, defer_seconds: float) -> Sequence[Owned]:
        """Refunds under way to ask the gateway for, or about."""
        ...

    async def owner_of_order(self, gateway_order_id: str) -> Owned | None:
        """Whose order the gateway knows under that id."""
        ...

    async def owner_of_payment(self, gateway_payment_id: str) -> Owned | None:
        """Whose payment the gateway knows under that id."""
        ...

    async def owner_of(self, transaction_id: TransactionId) -> Owned | None:
        """Whose transaction that is."""
        ...

    async def orders(self, query: OrderFilter, user_id: UserId | None = None) -> Sequence[Order]:
        """Everybody's orders, or one person's, newest first: for operators."""
        ...

    async def movements(
        self, query: MovementFilter, user_id: UserId | None = None
    ) -> Sequence[Movement]:
        """Everybody's movements, or one person's, newest first: for operators."""
        ...
