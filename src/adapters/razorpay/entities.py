"""Razorpay's entities, as far as they concern us, and what they mean in our words."""

from typing import Any

import msgspec

from application.ports.payment_gateway import (
    DisputeStatus,
    EventUnreadable,
    GatewayDispute,
    GatewayEvent,
    GatewayPayment,
    GatewayRefund,
)
from domain.billing.payments import Mandate, TransactionStatus


class PaymentEntity(msgspec.Struct):
    """https://razorpay.com/docs/api/payments/entity. Amounts are paise."""

    id: str
    amount: int
    currency: str
    status: str
    order_id: str | None = None
    method: str | None = None
    captured: bool | None = None
    customer_id: str | None = None
    token_id: str | None = None
    error_code: str | None = None
    error_description: str | None = None


class RefundEntity(msgspec.Struct):
    """https://razorpay.com/docs/api/refunds/entity. Empty notes are a list."""

    id: str
    amount: int
    currency: str
    payment_id: str
    status: str
    notes: dict[str, Any] | list[Any] | None = None


class DisputeEntity(msgspec.Struct):
    """https://razorpay.com/docs/api/disputes/entity."""

    id: str
    payment_id: str
    amount: int
    currency: str
    status: str
    amount_deducted: int = 0
    reason_code: str | None = None


class OrderEntity(msgspec.Struct):
    """https://razorpay.com/docs/api/orders/entity."""

    id: str
    amount: int
    currency: str


class CustomerEntity(msgspec.Struct):
    """https://razorpay.com/docs/api/customers/entity."""

    id: str
    contact: str | None = None


class PaymentList(msgspec.Struct):
    """A collection of payments."""

    items: list[PaymentEntity]


class RefundList(msgspec.Struct):
    """A collection of refunds."""

    items: list[RefundEntity]


class RecurringReply(msgspec.Struct):
    """The answer to a charge of a mandate."""

    razorpay_payment_id: str


class ErrorBody(msgspec.Struct):
    """What is wrong with a request."""

    code: str = ""
    description: str = ""


class ErrorReply(msgspec.Struct):
    """https://razorpay.com/docs/api/understand#error-response."""

    error: ErrorBody = msgspec.field(default_factory=ErrorBody)


class _Payment(msgspec.Struct):
    entity: PaymentEntity


class _Refund(msgspec.Struct):
    entity: RefundEntity


class _Dispute(msgspec.Struct):
    entity: DisputeEntity


class _Payload(msgspec.Struct):
    payment: _Payment | None = None
    refund: _Refund | None = None
    dispute: _Dispute | None = None


class EventBody(msgspec.Struct):
    """https://razorpay.com/docs/webhooks/payments. A snapshot at the moment of the event."""

    event: str
    payload: _Payload


_PAYMENT = {
    "authorized": TransactionStatus.AUTHORIZED,
    "captured": TransactionStatus.CAPTURED,
    "failed": TransactionStatus.FAILED,
}
_REFUND = {
    "pending": TransactionStatus.PENDING,
    "processed": TransactionStatus.PROCESSED,
    "failed": TransactionStatus.FAILED,
}
_DISPUTE = {
    "open": DisputeStatus.OPEN,
    "action_required": DisputeStatus.OPEN,
    "under_review": DisputeStatus.UNDER_REVIEW,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    "closed": DisputeStatus.CLOSED,
}
KEY_NOTE = "refund_key"
"""The note under which a refund carries our key for it."""


def payment_of(entity: PaymentEntity) -> GatewayPayment:
    """The payment. One given back whole was captured, unless the gateway gave it back itself."""
    status = _PAYMENT.get(entity.status)
    if entity.status == "refunded" and entity.captured:
        status = TransactionStatus.CAPTURED
    mandate = None
    if entity.customer_id and entity.token_id:
        mandate = Mandate(customer_id=entity.customer_id, token_id=entity.token_id)
    return GatewayPayment(
        id=entity.id,
        gateway_order_id=entity.order_id or "",
        status=status,
        amount_paise=entity.amount,
        currency=entity.currency,
        method=entity.method or "",
        error_code=entity.error_code or "",
        error=entity.error_description or "",
        mandate=mandate,
    )


def refund_of(entity: RefundEntity) -> GatewayRefund:
    """The refund.

    Raises:
        EventUnreadable: its status is one that we do not know.
    """
    status = _REFUND.get(entity.status)
    if status is None:
        raise EventUnreadable(f"a refund is {entity.status!r}")
    notes = entity.notes if isinstance(entity.notes, dict) else {}
    return GatewayRefund(
        id=entity.id,
        gateway_payment_id=entity.payment_id,
        status=status,
        amount_paise=entity.amount,
        currency=entity.currency,
        key=str(notes.get(KEY_NOTE, "")),
    )


def event_of(body: EventBody) -> GatewayEvent:
    """What an event says.

    Raises:
        EventUnreadable: a status in it is one that we do not know.
    """
    payload = body.payload
    payment = payload.payment.entity if payload.payment else None
    refund = refund_of(payload.refund.entity) if payload.refund else None
    if payment is not None and payment.captured is False and refund is not None:
        # Never captured, so never ours: the gateway gave it back by itself.
        return GatewayEvent(type=body.event)
    dispute = None
    if payload.dispute is not None:
        entity = payload.dispute.entity
        status = _DISPUTE.get(entity.status)
        if status is None:
            raise EventUnreadable(f"a dispute is {entity.status!r}")
        dispute = GatewayDispute(
            id=entity.id,
            gateway_payment_id=entity.payment_id,
            status=status,
            amount_paise=entity.amount,
            deducted_paise=entity.amount_deducted,
            currency=entity.currency,
            reason=entity.reason_code or "",
        )
    return GatewayEvent(
        type=body.event,
        payment=None if payment is None else payment_of(payment),
        refund=refund,
        dispute=dispute,
    )
