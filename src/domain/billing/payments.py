"""Payments and refunds, as they stand with us: they only ever move forward.

What a gateway tells comes repeated, late and out of order. So nothing here reacts to an
event: what was observed is held against what is known, and only news counts.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.billing.orders import CURRENCY, Order
from domain.shared.errors import DomainError, InvalidValue
from domain.shared.ids import OrderId, TransactionId, UserId
from domain.shared.money import rupees


class TransactionKind(StrEnum):
    """The ways in which money moves between a person and the house."""

    PAYMENT = "payment"
    REFUND = "refund"
    CHARGEBACK = "chargeback"


class TransactionStatus(StrEnum):
    """Where a movement of money stands.

    A payment fails, or is ``authorized`` and then ``captured``. A refund is ``requested`` by
    us, ``pending`` once the gateway has it, then ``processed`` or ``failed``. A chargeback is
    ``processed`` when it is known. The highest rank that was seen of a payment counts.
    """

    FAILED = "failed"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    REQUESTED = "requested"
    PENDING = "pending"
    PROCESSED = "processed"


_RANK = {
    TransactionStatus.FAILED: 0,
    TransactionStatus.AUTHORIZED: 1,
    TransactionStatus.CAPTURED: 2,
}


class PaymentMismatch(DomainError):
    """A payment is not of the amount or currency that its order asks for, or what went back
    of it not of those that are known."""

    code = "payment_mismatch"


class NothingToRefund(DomainError):
    """More is asked back than is left of the payment."""

    code = "nothing_to_refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """A payer's standing leave to be charged again, as the gateway names it."""

    customer_id: str
    token_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One attempt to pay an order. ``gateway_payment_id`` names it everywhere.

    ``refunded_paise`` counts what was given back, is on its way back, or was charged back.
    """

    id: TransactionId
    user_id: UserId
    order_id: OrderId
    gateway_payment_id: str
    status: TransactionStatus
    amount_paise: int
    currency: str
    created_at: datetime
    method: str = ""
    refunded_paise: int = 0
    error_code: str = ""
    error: str = ""
    mandate: Mandate | None = None
    captured_at: datetime | None = None

    @property
    def captured(self) -> bool:
        """Whether the money is ours."""
        return self.status is TransactionStatus.CAPTURED

    @property
    def refundable_paise(self) -> int:
        """What could still be given back."""
        return self.amount_paise - self.refunded_paise if self.captured else 0

    @property
    def key(self) -> str:
        """What its credit is booked under: every way that leads to it names this payment."""
        return f"payment:{self.gateway_payment_id}"

    def advanced(self, status: TransactionStatus, at: datetime) -> "Payment":
        """The payment after ``status`` was observed: never a step back."""
        if _RANK[status] <= _RANK[self.status]:
            return self
        if status is not TransactionStatus.CAPTURED:
            return replace(self, status=status)
        return replace(self, status=status, captured_at=at, error_code="", error="")

    def give_back(
        self, refund_id: TransactionId, amount_paise: int, reason: str, at: datetime
    ) -> "Refund":
        """A refund of a part of it, yet to be asked of the gateway. What is left is not held to."""
        return Refund(
            id=refund_id,
            user_id=self.user_id,
            order_id=self.order_id,
            payment_id=self.id,
            gateway_payment_id=self.gateway_payment_id,
            amount_paise=amount_paise,
            currency=self.currency,
            kind=TransactionKind.REFUND,
            status=TransactionStatus.REQUESTED,
            created_at=at,
            reason=reason,
        )

    def asked_back(self, amount_paise: int | None) -> int:
        """The amount to give back where so much is asked for, or all that is left (None).

        Raises:
            NothingToRefund: all is asked for, and nothing is left.
        """
        if amount_paise is None and self.refundable_paise == 0:
            raise self._too_much()
        return self.refundable_paise if amount_paise is None else amount_paise

    def check_refund(self, amount_paise: int) -> None:
        """Hold a refund to what is left.

        Raises:
            InvalidValue: it is not a positive amount.
            NothingToRefund: more than is left of it, or it was never captured.
        """
        if amount_paise <= 0:
            raise InvalidValue("amount_paise", "Give back at least one paisa.")
        if amount_paise > self.refundable_paise:
            raise self._too_much()

    def check_currency(self, currency: str) -> None:
        """Hold what the gateway says went back to the currency that was paid in.

        Raises:
            PaymentMismatch: it is another.
        """
        if currency != self.currency:
            raise PaymentMismatch(
                f"The payment was made in {self.currency}, what went back is in {currency}. It "
                "was set aside; support will look at it.",
                order_id=str(self.order_id),
            )

    def _too_much(self) -> NothingToRefund:
        left = self.refundable_paise
        return NothingToRefund(
            f"Only {rupees(left)} of this payment can still be given back: "
            "that or less, or leave amount_paise out for all of it."
            if left
            else "Nothing of this payment can be given back: nothing of it arrived, or all of it "
            "went back.",
            refundable_paise=left,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money given back, or taken back by the payer's bank (a chargeback).

    ``requested_by`` is the operator who asked, or None where the house or the gateway did.
    ``attempt`` counts the times it was asked of the gateway anew after a failure.
    """

    id: TransactionId
    user_id: UserId
    order_id: OrderId
    payment_id: TransactionId
    gateway_payment_id: str
    amount_paise: int
    currency: str
    kind: TransactionKind
    status: TransactionStatus
    created_at: datetime
    reason: str = ""
    gateway_refund_id: str = ""
    requested_by: UserId | None = None
    attempt: int = 1
    error: str = ""
    reversed_at: datetime | None = None

    @property
    def key(self) -> str:
        """What its claw-back is booked under."""
        return f"refund:{self.id}"

    def check_amount(self, amount_paise: int) -> None:
        """Hold what the gateway says went back to what was asked for.

        Raises:
            PaymentMismatch: it is another amount.
        """
        if amount_paise != self.amount_paise:
            raise PaymentMismatch(
                f"The refund is of {rupees(self.amount_paise)}, the gateway says "
                f"{rupees(amount_paise)}. It was set aside; support will look at it.",
                order_id=str(self.order_id),
            )


def check_amount(order: Order, amount_paise: int, currency: str) -> None:
    """Hold what was paid to what was asked for.

    Raises:
        PaymentMismatch: another amount, or another currency.
    """
    if (amount_paise, currency) != (order.amount_paise, order.currency):
        raise PaymentMismatch(
            f"The payment is of {_money(amount_paise, currency)}, the order of "
            f"{_money(order.amount_paise, order.currency)}. It was set aside; support will look "
            "at it.",
            order_id=str(order.id),
        )


def _money(minor: int, currency: str) -> str:
    return rupees(minor) if currency == CURRENCY else f"{minor} of the smallest unit of {currency}"


def share(credits: int, part_paise: int, whole_paise: int, before_paise: int = 0) -> int:
    """The credits that belong to a part of a total, after ``before_paise`` of it.

    Parts add up to the whole whatever their sizes: each is the difference of two rounded
    running totals.
    """
    return (credits * (before_paise + part_paise)) // whole_paise - (
        credits * before_paise
    ) // whole_paise
