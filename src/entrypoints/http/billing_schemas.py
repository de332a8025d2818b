"""What goes over the wire about orders, payments, refunds and coupons. Amounts are paise."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from application.ports.payment_gateway import Checkout
from application.ports.payments import Movement, Webhook
from domain.billing.coupons import Coupon
from domain.billing.orders import Order, OrderPurpose
from domain.billing.payments import Payment, Refund
from domain.billing.top_ups import LEAST_CREDITS, MOST_CREDITS, TopUp
from domain.shared.money import rupees


class OrderCreditsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to buy: a ``pack`` by its code, or a number of ``credits``; a ``coupon``, or none."""

    pack: str = ""
    credits: int | None = None
    coupon: str = ""


class VerifyPaymentRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The checkout's reply to the browser, as it came."""

    razorpay_order_id: Annotated[str, msgspec.Meta(max_length=100)]
    razorpay_payment_id: Annotated[str, msgspec.Meta(max_length=100)]
    razorpay_signature: Annotated[str, msgspec.Meta(max_length=200)]


class RefundRequestBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why, and how much in paise; left out, all that is left."""

    reason: str
    amount_paise: int | None = None


class CouponRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A coupon: ``percent`` or ``fixed_paise``. No ``purposes`` are all; no end is none."""

    code: str
    percent: int | None = None
    fixed_paise: int | None = None
    minimum_paise: int = 0
    purposes: list[OrderPurpose] = []
    valid_from: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    valid_until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    max_redemptions: int | None = None


class CouponSwitch(msgspec.Struct, forbid_unknown_fields=True):
    """Whether the coupon may be used."""

    active: bool


class PackView(msgspec.Struct):
    """Credits on offer, and their price with taxes."""

    code: str
    title: str
    credits: int
    amount_paise: int
    amount: str

    @classmethod
    def of(cls, pack: TopUp) -> "PackView":
        return cls(
            pack.code, pack.title, pack.credits, pack.amount_paise, rupees(pack.amount_paise)
        )


class PackListView(msgspec.Struct):
    """The packs, and the bounds of a number of credits chosen freely."""

    items: list[PackView]
    least_credits: int = LEAST_CREDITS
    most_credits: int = MOST_CREDITS


class CheckoutView(msgspec.Struct):
    """How to pay: the gateway's public key and order, and its page where it has one."""

    gateway: str
    key_id: str
    gateway_order_id: str
    customer_id: str
    url: str

    @classmethod
    def of(cls, checkout: Checkout) -> "CheckoutView":
        return cls(
            checkout.gateway,
            checkout.key_id,
            checkout.gateway_order_id,
            checkout.customer_id,
            checkout.url,
        )


class OrderView(msgspec.Struct):
    """An order. ``amount_paise`` is to be paid, taxes included; ``checkout`` says how."""

    id: UUID
    purpose: str
    reference: str
    description: str
    status: str
    credits: int
    amount_paise: int
    discount_paise: int
    currency: str
    amount: str
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    checkout: CheckoutView | None

    @classmethod
    def of(cls, order: Order, checkout: Checkout | None = None) -> "OrderView":
        return cls(
            id=order.id,
            purpose=order.purpose.value,
            reference=order.reference,
            description=order.description,
            status=order.status.value,
            credits=order.credits,
            amount_paise=order.amount_paise,
            discount_paise=order.discount_paise,
            currency=order.currency,
            amount=rupees(order.amount_paise),
            created_at=order.created_at,
            expires_at=order.expires_at,
            paid_at=order.paid_at,
            checkout=None if checkout is None else CheckoutView.of(checkout),
        )


class OrderPageView(msgspec.Struct):
    """A page of orders; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[OrderView]
    next_cursor: str | None


class PaymentView(msgspec.Struct):
    """An attempt to pay."""

    id: UUID
    gateway_id: str
    status: str
    amount_paise: int
    refunded_paise: int
    method: str
    error_code: str
    error: str
    created_at: datetime
    captured_at: datetime | None

    @classmethod
    def of(cls, payment: Payment) -> "PaymentView":
        return cls(
            payment.id,
            payment.gateway_payment_id,
            payment.status.value,
            payment.amount_paise,
            payment.refunded_paise,
            payment.method,
            payment.error_code,
            payment.error,
            payment.created_at,
            payment.captured_at,
        )


class OrderDetailView(msgspec.Struct):
    """An order and the attempts to pay it, oldest first."""

    order: OrderView
    payments: list[PaymentView]

    @classmethod
    def of(
        cls, order: Order, payments: Sequence[Payment], checkout: Checkout | None
    ) -> "OrderDetailView":
        return cls(OrderView.of(order, checkout), [PaymentView.of(payment) for payment in payments])


class TransactionView(msgspec.Struct):
    """A payment, refund or chargeback. ``payment_id`` is what a refund gives back."""

    id: UUID
    order_id: UUID
    subscription_id: UUID | None
    payment_id: UUID | None
    kind: str
    purpose: str
    description: str
    status: str
    amount_paise: int
    refunded_paise: int
    currency: str
    amount: str
    method: str
    gateway_id: str
    reason: str
    error_code: str
    error: str
    created_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, movement: Movement) -> "TransactionView":
        return cls(
            id=movement.id,
            order_id=movement.order_id,
            subscription_id=movement.subscription_id,
            payment_id=movement.payment_id,
            kind=movement.kind.value,
            purpose=movement.purpose.value,
            description=movement.description,
            status=movement.status.value,
            amount_paise=movement.amount_paise,
            refunded_paise=movement.refunded_paise,
            currency=movement.currency,
            amount=rupees(movement.amount_paise),
            method=movement.method,
            gateway_id=movement.gateway_id,
            reason=movement.reason,
            error_code=movement.error_code,
            error=movement.error,
            created_at=movement.created_at,
            settled_at=movement.settled_at,
        )


class TransactionPageView(msgspec.Struct):
    """A page of transactions; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[TransactionView]
    next_cursor: str | None


class OverseenOrderView(msgspec.Struct):
    """An order as an operator sees it, whoever it is of."""

    user_id: UUID
    order: OrderView


class OverseenOrderPageView(msgspec.Struct):
    """A page of everybody's orders."""

    items: list[OverseenOrderView]
    next_cursor: str | None


class OverseenTransactionView(msgspec.Struct):
    """A transaction as an operator sees it, whoever it is of."""

    user_id: UUID
    transaction: TransactionView


class OverseenTransactionPageView(msgspec.Struct):
    """A page of everybody's transactions."""

    items: list[OverseenTransactionView]
    next_cursor: str | None


class RefundView(msgspec.Struct):
    """A refund, as it stands."""

    id: UUID
    payment_id: UUID
    order_id: UUID
    user_id: UUID
    kind: str
    status: str
    amount_paise: int
    amount: str
    reason: str
    gateway_id: str
    error: str
    created_at: datetime

    @classmethod
    def of(cls, refund: Refund) -> "RefundView":
        return cls(
            id=refund.id,
            payment_id=refund.payment_id,
            order_id=refund.order_id,
            user_id=refund.user_id,
            kind=refund.kind.value,
            status=refund.status.value,
            amount_paise=refund.amount_paise,
            amount=rupees(refund.amount_paise),
            reason=refund.reason,
            gateway_id=refund.gateway_refund_id,
            error=refund.error,
            created_at=refund.created_at,
        )


class CouponView(msgspec.Struct):
    """A coupon, and how often it was used."""

    id: UUID
    code: str
    percent: int | None
    fixed_paise: int | None
    minimum_paise: int
    purposes: list[str]
    valid_from: datetime
    valid_until: datetime | None
    max_redemptions: int | None
    redeemed: int
    active: bool
    created_at: datetime

    @classmethod
    def of(cls, coupon: Coupon) -> "CouponView":
        return cls(
            id=coupon.id,
            code=coupon.code,
            percent=coupon.percent,
            fixed_paise=coupon.fixed_paise,
            minimum_paise=coupon.minimum_paise,
            purposes=sorted(purpose.value for purpose in coupon.purposes),
            valid_from=coupon.valid_from,
            valid_until=coupon.valid_until,
            max_redemptions=coupon.max_redemptions,
            redeemed=coupon.redeemed,
            active=coupon.active,
            created_at=coupon.created_at,
        )


class CouponPageView(msgspec.Struct):
    """A page of coupons; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[CouponView]
    next_cursor: str | None


class GatewayEventView(msgspec.Struct):
    """An event of the gateway's. ``body`` is as it came."""

    id: UUID
    gateway: str
    event_id: str
    status: str
    attempts: int
    error: str
    body: str
    received_at: datetime
    processed_at: datetime | None

    @classmethod
    def of(cls, webhook: Webhook) -> "GatewayEventView":
        return cls(
            webhook.id,
            webhook.gateway,
            webhook.event_id,
            webhook.status.value,
            webhook.attempts,
            webhook.error,
            webhook.body.decode(errors="replace"),
            webhook.received_at,
            webhook.processed_at,
        )


class GatewayEventPageView(msgspec.Struct):
    """A page of events; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[GatewayEventView]
    next_cursor: str | None


class EventKeptView(msgspec.Struct):
    """The event is kept: now, or since it came before."""

    kept: bool = True


class CheckoutReplyView(msgspec.Struct):
    """What a browser sends on to have its payment verified."""

    razorpay_order_id: str
    razorpay_payment_id: str
    razorpay_signature: str
