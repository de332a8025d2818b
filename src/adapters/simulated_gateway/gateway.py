"""The ``PaymentGateway`` that asks nobody for money."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from adapters.simulated_gateway.store import GatewayStore
from application.ports.payment_gateway import (
    Checkout,
    CheckoutReply,
    EventUnreadable,
    GatewayEvent,
    GatewayPayment,
    GatewayRefund,
    GatewayRefused,
    MandateCharge,
    Payer,
    PlacedOrder,
    RefundRequest,
    SignatureInvalid,
    SignedEvent,
)
from domain.billing.orders import Order
from domain.billing.payments import Mandate, TransactionStatus

T = TypeVar("T")

SIGNATURE_HEADER = "x-simulated-signature"
EVENT_ID_HEADER = "x-simulated-event-id"
PAGE = "/simulated-gateway/orders"


class _Account(msgspec.Struct):
    """An order with everything that happened to it."""

    id: str
    amount: int
    currency: str
    description: str
    customer_id: str
    payments: list[GatewayPayment] = []
    refunds: list[GatewayRefund] = []

    @property
    def paid(self) -> GatewayPayment | None:
        """The payment that was captured, if one was."""
        captured = [p for p in self.payments if p.status is TransactionStatus.CAPTURED]
        return captured[0] if captured else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What came of the page: the browser's reply, and events as they are sent."""

    reply: CheckoutReply
    events: tuple[tuple[Mapping[str, str], bytes], ...]


class SimulatedGateway:
    """Keeps its orders in a store, and signs with ``secret``."""

    name = "simulated"

    def __init__(self, store: GatewayStore, secret: bytes) -> None:
        self._store = store
        self._secret = secret

    def checkout(self, order: Order) -> Checkout:
        return Checkout(
            gateway=self.name,
            key_id=self.name,
            gateway_order_id=order.gateway_order_id,
            customer_id=order.gateway_customer_id,
            url=f"{PAGE}/{order.gateway_order_id}",
        )

    async def create_order(self, order: Order, payer: Payer) -> PlacedOrder:
        gateway_order_id = f"order_{order.id.hex}"
        known = hashlib.sha256(payer.email.encode()).hexdigest()[:16]
        account = _Account(
            id=gateway_order_id,
            amount=order.amount_paise,
            currency=order.currency,
            description=order.description,
            customer_id=f"cust_{known}" if order.recurring else "",
        )
        # Told again, the first one stays as it is.
        await self._store.swap(_order(gateway_order_id), b"", msgspec.json.encode(account))
        return PlacedOrder(gateway_order_id=gateway_order_id, customer_id=account.customer_id)

    async def payments_of(self, gateway_order_id: str) -> tuple[GatewayPayment, ...]:
        return tuple((await self._account(gateway_order_id)).payments)

    async def payment(self, gateway_payment_id: str) -> GatewayPayment:
        account = await self._paid_account(gateway_payment_id)
        return _named(account, gateway_payment_id)

    async def capture(self, gateway_payment_id: str, amount_paise: int) -> GatewayPayment:
        def change(account: _Account) -> GatewayPayment:
            payment = _named(account, gateway_payment_id)
            if payment.status is TransactionStatus.CAPTURED:
                return payment
            authorized = payment.status is TransactionStatus.AUTHORIZED
            if not authorized or payment.amount_paise != amount_paise:
                raise GatewayRefused("The simulated gateway cannot capture this payment.")
            done = replace(payment, status=TransactionStatus.CAPTURED)
            account.payments[account.payments.index(payment)] = done
            return done

        account = await self._paid_account(gateway_payment_id)
        return await self._change(account.id, change)

    async def refund(self, request: RefundRequest) -> GatewayRefund:
        refund_id = f"rfnd_{hashlib.sha256(request.key.encode()).hexdigest()[:16]}"

        def change(account: _Account) -> GatewayRefund:
            for known in account.refunds:
                if known.id == refund_id:
                    return known
            payment = _named(account, request.gateway_payment_id)
            given = sum(
                other.amount_paise
                for other in account.refunds
                if other.gateway_payment_id == payment.id
            )
            captured = payment.status is TransactionStatus.CAPTURED
            if not captured or given + request.amount_paise > payment.amount_paise:
                raise GatewayRefused("The simulated gateway cannot give back so much.")
            refund = GatewayRefund(
                id=refund_id,
                gateway_payment_id=payment.id,
                status=TransactionStatus.PROCESSED,
                amount_paise=request.amount_paise,
                currency=payment.currency,
                key=request.key,
            )
            account.refunds.append(refund)
            return refund

        account = await self._paid_account(request.gateway_payment_id)
        return await self._change(account.id, change)

    async def refunds_of(self, gateway_payment_id: str) -> tuple[GatewayRefund, ...]:
        account = await self._paid_account(gateway_payment_id)
        return tuple(r for r in account.refunds if r.gateway_payment_id == gateway_payment_id)

    async def charge_mandate(self, charge: MandateCharge) -> str:
        token = charge.mandate.token_id
        good = await self._store.get(_token(token)) == b"good"

        def change(account: _Account) -> GatewayPayment:
            if account.paid is not None:
                raise GatewayRefused("The order has been paid.")
            return self._attempt(account, approved=good, mandate=charge.mandate)

        payment = await self._change(charge.gateway_order_id, change)
        await self._point(payment, charge.gateway_order_id)
        return payment.id

    async def let_mandate(self, token_id: str, *, good: bool) -> None:
        """Have charges to a mandate succeed or fail from now on."""
        name = _token(token_id)
        while not await self._store.swap(
            name, await self._store.get(name), b"good" if good else b"bad"
        ):
            continue

    async def describe(self, gateway_order_id: str) -> tuple[str, int, str, bool]:
        """An order's description, amount in paise, currency, and whether it has been paid.

        Raises:
            GatewayRefused: there is no such order.
        """
        account = await self._account(gateway_order_id)
        return account.description, account.amount, account.currency, account.paid is not None

    async def approve(self, gateway_order_id: str) -> Approval:
        """Pay an order; one that has been paid is not paid again.

        Raises:
            GatewayRefused: there is no such order.
        """

        def change(account: _Account) -> GatewayPayment:
            if account.paid is not None:
                return account.paid
            mandate = None
            if account.customer_id:
                mandate = Mandate(
                    customer_id=account.customer_id, token_id=f"token_{secrets.token_hex(8)}"
                )
            return self._attempt(account, approved=True, mandate=mandate)

        payment = await self._change(gateway_order_id, change)
        await self._point(payment, gateway_order_id)
        if payment.mandate is not None:
            await self._store.swap(_token(payment.mandate.token_id), b"", b"good")
        return self._told(payment, "payment.captured", "order.paid")

    async def decline(self, gateway_order_id: str) -> Approval:
        """Let an attempt to pay an order fail.

        Raises:
            GatewayRefused: there is no such order.
        """
        payment = await self._change(
            gateway_order_id, lambda account: self._attempt(account, approved=False)
        )
        await self._point(payment, gateway_order_id)
        return self._told(payment, "payment.failed")

    def check_reply(self, reply: CheckoutReply) -> None:
        expected = self._sign(f"{reply.gateway_order_id}|{reply.gateway_payment_id}".encode())
        if not hmac.compare_digest(expected.encode(), reply.signature.encode()):
            raise SignatureInvalid

    def check_event(self, headers: Mapping[str, str], body: bytes) -> SignedEvent:
        given = headers.get(SIGNATURE_HEADER, "")
        if not hmac.compare_digest(self._sign(body).encode(), given.encode()):
            raise SignatureInvalid
        event_id = headers.get(EVENT_ID_HEADER) or hashlib.sha256(body).hexdigest()
        return SignedEvent(id=event_id, body=body)

    def read_event(self, body: bytes) -> GatewayEvent:
        try:
            return msgspec.json.decode(body, type=GatewayEvent)
        except msgspec.MsgspecError as error:
            raise EventUnreadable(str(error)) from error

    def signed(self, event: GatewayEvent) -> tuple[Mapping[str, str], bytes]:
        """An event as it is sent: its headers and its body."""
        body = msgspec.json.encode(event)
        event_id = f"evt_{secrets.token_hex(8)}"
        return {SIGNATURE_HEADER: self._sign(body), EVENT_ID_HEADER: event_id}, body

    def _told(self, payment: GatewayPayment, *types: str) -> Approval:
        signature = self._sign(f"{payment.gateway_order_id}|{payment.id}".encode())
        return Approval(
            reply=CheckoutReply(
                gateway_order_id=payment.gateway_order_id,
                gateway_payment_id=payment.id,
                signature=signature,
            ),
            events=tuple(self.signed(GatewayEvent(type=type_, payment=payment)) for type_ in types),
        )

    def _attempt(
        self, account: _Account, *, approved: bool, mandate: Mandate | None = None
    ) -> GatewayPayment:
        payment = GatewayPayment(
            id=f"pay_{secrets.token_hex(8)}",
            gateway_order_id=account.id,
            status=TransactionStatus.CAPTURED if approved else TransactionStatus.FAILED,
            amount_paise=account.amount,
            currency=account.currency,
            method="simulated",
            error_code="" if approved else "declined",
            error="" if approved else "The payment was declined.",
            mandate=mandate if approved else None,
        )
        account.payments.append(payment)
        return payment

    def _sign(self, message: bytes) -> str:
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()

    async def _point(self, payment: GatewayPayment, gateway_order_id: str) -> None:
        await self._store.swap(_payment(payment.id), b"", gateway_order_id.encode())

    async def _paid_account(self, gateway_payment_id: str) -> _Account:
        gateway_order_id = await self._store.get(_payment(gateway_payment_id))
        if not gateway_order_id:
            raise GatewayRefused("The simulated gateway knows no such payment.")
        return await self._account(gateway_order_id.decode())

    async def _account(self, gateway_order_id: str) -> _Account:
        return _read(await self._store.get(_order(gateway_order_id)))

    async def _change(self, gateway_order_id: str, change: Callable[[_Account], T]) -> T:
        """Change an order's account, again from the start if somebody else did in between."""
        while True:
            before = await self._store.get(_order(gateway_order_id))
            account = _read(before)
            result = change(account)
            after = msgspec.json.encode(account)
            if after == before or await self._store.swap(_order(gateway_order_id), before, after):
                return result


def _read(document: bytes) -> _Account:
    if not document:
        raise GatewayRefused("The simulated gateway knows no such order.")
    return msgspec.json.decode(document, type=_Account)


def _named(account: _Account, gateway_payment_id: str) -> GatewayPayment:
    for payment in account.payments:
        if payment.id == gateway_payment_id:
            return payment
    raise GatewayRefused("The simulated gateway knows no such payment.")


def _order(name: str) -> str:
    return f"order:{name}"


def _payment(name: str) -> str:
    return f"payment:{name}"


def _token(name: str) -> str:
    return f"token:{name}"
