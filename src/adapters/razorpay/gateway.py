"""The ``PaymentGateway`` over Razorpay's REST API."""

import asyncio
import hashlib
import hmac
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import msgspec
import structlog

from adapters.razorpay.entities import (
    KEY_NOTE,
    CustomerEntity,
    ErrorReply,
    EventBody,
    OrderEntity,
    PaymentEntity,
    PaymentList,
    RecurringReply,
    RefundEntity,
    RefundList,
    event_of,
    payment_of,
    refund_of,
)
from application.ports.payment_gateway import (
    Checkout,
    CheckoutReply,
    EventUnreadable,
    GatewayEvent,
    GatewayPayment,
    GatewayRefund,
    GatewayRefused,
    GatewayUnavailable,
    MandateCharge,
    Payer,
    PlacedOrder,
    RefundRequest,
    SignatureInvalid,
    SignedEvent,
)
from domain.billing.orders import CURRENCY, Order
from domain.billing.payments import TransactionStatus

log = structlog.get_logger(__name__)

T = TypeVar("T")

BASE_URL = "https://api.razorpay.com"

SIGNATURE_HEADER = "x-razorpay-signature"
EVENT_ID_HEADER = "x-razorpay-event-id"

MANDATE_PAISE = 15_000 * 100
"""What a mandate may be charged at once: the most that needs no factor of the payer's each time
(Reserve Bank of India, e-mandate framework: ₹15,000)."""

_TRIES = 3
_BACKOFF_SECONDS = 0.25
_LONGEST_NOTE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RazorpaySettings:
    """The account's keys and address. Secrets are never shown. Times are seconds."""

    key_id: str
    key_secret: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    base_url: str = BASE_URL
    connect_timeout: float = 5.0
    read_timeout: float = 15.0


class RazorpayGateway:
    """Speaks to one account. Close it with :meth:`aclose`."""

    name = "razorpay"

    def __init__(self, settings: RazorpaySettings) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(
            base_url=settings.base_url,
            auth=(settings.key_id, settings.key_secret),
            timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout),
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    def checkout(self, order: Order) -> Checkout:
        return Checkout(
            gateway=self.name,
            key_id=self._settings.key_id,
            gateway_order_id=order.gateway_order_id,
            customer_id=order.gateway_customer_id,
        )

    async def create_order(self, order: Order, payer: Payer) -> PlacedOrder:
        body: dict[str, Any] = {
            "amount": order.amount_paise,
            "currency": order.currency,
            # With a unique receipt, telling of the same order again gives the first one.
            "receipt": str(order.id),
            "unique_receipt": True,
            "payment_capture": True,
            "notes": {"order_id": str(order.id), "purpose": order.purpose.value},
        }
        customer = ""
        if order.recurring:
            known = {"name": payer.name, "email": payer.email, "fail_existing": "0"}
            customer = (await self._post("/v1/customers", known, CustomerEntity)).id
            body["customer_id"] = customer
            body["token"] = {
                "max_amount": max(order.list_paise, MANDATE_PAISE),
                "frequency": "as_presented",
            }
        made = await self._post("/v1/orders", body, OrderEntity)
        if (made.amount, made.currency) != (order.amount_paise, order.currency):
            raise GatewayRefused("The payment gateway took the order at another amount.")
        return PlacedOrder(gateway_order_id=made.id, customer_id=customer)

    async def payments_of(self, gateway_order_id: str) -> tuple[GatewayPayment, ...]:
        found = await self._get(f"/v1/orders/{gateway_order_id}/payments", PaymentList)
        return tuple(payment_of(entity) for entity in found.items)

    async def payment(self, gateway_payment_id: str) -> GatewayPayment:
        return payment_of(await self._get(f"/v1/payments/{gateway_payment_id}", PaymentEntity))

    async def capture(self, gateway_payment_id: str, amount_paise: int) -> GatewayPayment:
        body = {"amount": amount_paise, "currency": CURRENCY}
        path = f"/v1/payments/{gateway_payment_id}/capture"
        try:
            return payment_of(await self._post(path, body, PaymentEntity))
        except GatewayRefused:
            # It refuses what is captured already, and that is what was wanted.
            now = await self.payment(gateway_payment_id)
            if now.status is not TransactionStatus.CAPTURED:
                raise
            return now

    async def refund(self, request: RefundRequest) -> GatewayRefund:
        made = await self._post(
            f"/v1/payments/{request.gateway_payment_id}/refund",
            {
                "amount": request.amount_paise,
                "notes": {KEY_NOTE: request.key, "reason": request.reason[:_LONGEST_NOTE]},
            },
            RefundEntity,
            headers={"X-Refund-Idempotency": request.key},
        )
        return _refund(made)

    async def refunds_of(self, gateway_payment_id: str) -> tuple[GatewayRefund, ...]:
        found = await self._get(f"/v1/payments/{gateway_payment_id}/refunds?count=100", RefundList)
        return tuple(_refund(entity) for entity in found.items)

    async def charge_mandate(self, charge: MandateCharge) -> str:
        customer_id = charge.mandate.customer_id
        customer = await self._get(f"/v1/customers/{customer_id}", CustomerEntity)
        made = await self._post(
            "/v1/payments/create/recurring",
            {
                "email": charge.email,
                "contact": customer.contact or "",
                "amount": charge.amount_paise,
                "currency": charge.currency,
                "order_id": charge.gateway_order_id,
                "customer_id": customer_id,
                "token": charge.mandate.token_id,
                "recurring": True,
                "description": charge.description,
            },
            RecurringReply,
            repeat=False,
        )
        return made.razorpay_payment_id

    def check_reply(self, reply: CheckoutReply) -> None:
        # https://razorpay.com/docs/payments/server-integration: order and payment with the key.
        message = f"{reply.gateway_order_id}|{reply.gateway_payment_id}"
        self._check(self._settings.key_secret, message.encode(), reply.signature)

    def check_event(self, headers: Mapping[str, str], body: bytes) -> SignedEvent:
        # https://razorpay.com/docs/webhooks/validate-test: the raw body with its own secret.
        self._check(self._settings.webhook_secret, body, headers.get(SIGNATURE_HEADER, ""))
        # An old sender without the header repeats the same bytes.
        event_id = headers.get(EVENT_ID_HEADER) or hashlib.sha256(body).hexdigest()
        return SignedEvent(id=event_id, body=body)

    def read_event(self, body: bytes) -> GatewayEvent:
        try:
            return event_of(msgspec.json.decode(body, type=EventBody))
        except msgspec.MsgspecError as error:
            raise EventUnreadable(str(error)) from error

    @staticmethod
    def _check(secret: str, message: bytes, signature: str) -> None:
        if not secret:
            raise SignatureInvalid
        expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise SignatureInvalid

    async def _get(self, path: str, type_: type[T]) -> T:
        return await self._call("GET", path, None, type_, {}, _TRIES)

    async def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        type_: type[T],
        *,
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> T:
        return await self._call("POST", path, body, type_, headers or {}, _TRIES if repeat else 1)

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        type_: type[T],
        headers: Mapping[str, str],
        tries: int,
    ) -> T:
        reason = ""
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(random.uniform(0, _BACKOFF_SECONDS * 2**attempt))
            try:
                answer = await self._http.request(method, path, json=body, headers=dict(headers))
            except httpx.TransportError as error:
                reason = type(error).__name__
                continue
            if answer.is_success:
                return _decoded(answer, type_)
            # 401 is a fault of the operator's keys, and no verdict on the request; 409 says
            # that the same refund is being worked on.
            if answer.status_code in (401, 409, 429) or answer.status_code >= 500:
                reason = f"status {answer.status_code}"
                continue
            raise GatewayRefused(_why(answer))
        log.warning("payment gateway away", path=path.partition("?")[0], reason=reason)
        raise GatewayUnavailable(reason)


def _decoded(answer: httpx.Response, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=type_)
    except msgspec.MsgspecError as error:
        raise GatewayUnavailable(f"unreadable answer: {error}") from error


def _refund(entity: RefundEntity) -> GatewayRefund:
    """The refund in an answer. A status that says nothing to us is looked up again later."""
    try:
        return refund_of(entity)
    except EventUnreadable as error:
        raise GatewayUnavailable(f"unreadable answer: {error}") from error


def _why(answer: httpx.Response) -> str:
    try:
        said = msgspec.json.decode(answer.content, type=ErrorReply).error
    except msgspec.MsgspecError:
        said = ErrorReply().error
    return f"The payment gateway refused: {said.description or answer.reason_phrase}"
