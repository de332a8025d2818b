"""Whoever takes the money: orders, payments, refunds, mandates, and what it tells of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from domain.billing.orders import CURRENCY, Order
from domain.billing.payments import Mandate, TransactionStatus
from domain.shared.errors import DomainError


class GatewayUnavailable(DomainError):
    """The gateway did not answer, or not in time. Whether it acted must be looked up."""

    code = "gateway_unavailable"

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            "The payment gateway does not answer. Nothing was charged by us; try again shortly."
        )
        self.reason = reason


class GatewayRefused(DomainError):
    """The gateway will not do this, however often it is asked; it said why."""

    code = "gateway_refused"


class PaymentsNotConfigured(DomainError):
    """This platform has no payment gateway."""

    code = "payments_not_configured"

    def __init__(self) -> None:
        super().__init__("Nothing can be bought here: the operator has set no payment gateway.")


class SignatureInvalid(DomainError):
    """What came is not what the gateway signed."""

    code = "signature_invalid"

    def __init__(self) -> None:
        super().__init__("The signature does not belong to this message. Send it unchanged.")


class EventUnreadable(Exception):
    """A signed event that says nothing this code understands. It must be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What a browser needs to let somebody pay: the gateway's public key and its order.

    ``url`` is a page to pay on, where the gateway has one of its own; ``customer_id`` is for an
    order that asks for a mandate.
    """

    gateway: str
    key_id: str
    gateway_order_id: str
    customer_id: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who is asked to pay."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """What the gateway calls an order, and the payer whose mandate a recurring one asks for."""

    gateway_order_id: str
    customer_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutReply:
    """What the gateway handed the browser when it had been paid."""

    gateway_order_id: str
    gateway_payment_id: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPayment:
    """A payment as the gateway has it, at the moment it said so.

    ``status`` is failed, authorized or captured; one under way is None. A captured one that
    was given back whole is still captured: the refunds tell the rest.
    """

    id: str
    gateway_order_id: str
    status: TransactionStatus | None
    amount_paise: int
    currency: str
    method: str = ""
    error_code: str = ""
    error: str = ""
    mandate: Mandate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRefund:
    """A refund as the gateway has it. ``key`` is ours, where we asked for it.

    ``status`` is pending, processed or failed.
    """

    id: str
    gateway_payment_id: str
    status: TransactionStatus
    amount_paise: int
    currency: str
    key: str = ""


class DisputeStatus(StrEnum):
    """Where a payer's complaint to their bank stands."""

    OPEN = "open"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayDispute:
    """A payer's complaint to their bank. ``deducted_paise`` is taken from us once it is lost."""

    id: str
    gateway_payment_id: str
    status: DisputeStatus
    amount_paise: int
    deducted_paise: int
    currency: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayEvent:
    """What an event says. One that is of no use to us says nothing of the three."""

    type: str
    payment: GatewayPayment | None = None
    refund: GatewayRefund | None = None
    dispute: GatewayDispute | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedEvent:
    """An event whose signature holds: the id that its repeats share, and its bytes."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """Money to be given back. The same ``key`` is the same refund, however often it is sent."""

    key: str
    gateway_payment_id: str
    amount_paise: int
    reason: str
    currency: str = CURRENCY


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateCharge:
    """An order to be charged to a payer who is not there."""

    gateway_order_id: str
    mandate: Mandate
    amount_paise: int
    email: str
    description: str
    currency: str = CURRENCY


class PaymentGateway(Protocol):
    """Takes payments.

    Every call raises :class:`GatewayUnavailable` when no answer came, :class:`GatewayRefused`
    when the answer was no, and :class:`PaymentsNotConfigured` where there is no gateway.
    """

    @property
    def name(self) -> str:
        """What it is called in records and answers."""
        ...

    def checkout(self, order: Order) -> Checkout:
        """How an order that the gateway knows is paid in a browser."""
        ...

    async def create_order(self, order: Order, payer: Payer) -> PlacedOrder:
        """Tell the gateway of an order.

        The same order is the same one there, however often it is told. A mandate of
        a recurring order will belong to ``payer``.
        """
        ...

    async def payments_of(self, gateway_order_id: str) -> tuple[GatewayPayment, ...]:
        """Every attempt to pay an order."""
        ...

    async def payment(self, gateway_payment_id: str) -> GatewayPayment:
        """One payment as it stands now."""
        ...

    async def capture(self, gateway_payment_id: str, amount_paise: int) -> GatewayPayment:
        """Take what was authorised; one that is captured already is simply given."""
        ...

    async def refund(self, request: RefundRequest) -> GatewayRefund:
        """Give back a part of a captured payment, or all of it. Safe to repeat."""
        ...

    async def refunds_of(self, gateway_payment_id: str) -> tuple[GatewayRefund, ...]:
        """Every refund of a payment."""
        ...

    async def charge_mandate(self, charge: MandateCharge) -> str:
        """Charge an order to a mandate; returns the payment's id. Its outcome comes later.

        Not safe to repeat: look at :meth:`payments_of` first.
        """
        ...

    def check_reply(self, reply: CheckoutReply) -> None:
        """Hold a browser's reply to the gateway's signature, in constant time.

        Raises:
            SignatureInvalid: it is not what the gateway signed.
        """
        ...

    def check_event(self, headers: Mapping[str, str], body: bytes) -> SignedEvent:
        """Hold an event to the gateway's signature, in constant time. ``headers`` are lower case.

        Raises:
            SignatureInvalid: it is not what the gateway signed.
        """
        ...

    def read_event(self, body: bytes) -> GatewayEvent:
        """What a signed event says.

        Raises:
            EventUnreadable: it is not of a form that we know.
        """
        ...
