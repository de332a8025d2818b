"""What every ``PaymentGateway`` keeps: one order however often told, and signatures that hold."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import pytest

from application.ports.payment_gateway import (
    CheckoutReply,
    EventUnreadable,
    GatewayEvent,
    GatewayRefused,
    MandateCharge,
    Payer,
    PaymentGateway,
    RefundRequest,
    SignatureInvalid,
)
from domain.billing.orders import Order
from domain.billing.payments import TransactionStatus
from domain.shared.ids import UserId
from tests.contracts.samples import make_order, new_id

PAYER = Payer(name="Asha Rao", email="asha@example.org")


class Cashier(Protocol):
    """The other side of a gateway: what its payers do, and what it sends of it."""

    async def pay(self, gateway_order_id: str, *, success: bool = True) -> CheckoutReply: ...

    async def let_mandate_fail(self, token_id: str) -> None: ...

    async def event(
        self, type_: str, gateway_payment_id: str
    ) -> tuple[Mapping[str, str], bytes]: ...


def some_order(**changes: Any) -> Order:
    return make_order(UserId(new_id()), **changes)


async def placed(gateway: PaymentGateway, **changes: Any) -> Order:
    """An order that the gateway knows."""
    order = some_order(**changes)
    known = await gateway.create_order(order, PAYER)
    return replace(
        order,
        gateway_order_id=known.gateway_order_id,
        gateway_customer_id=known.customer_id,
    )


class PaymentGatewayContract:
    async def test_the_same_order_is_one_order_there(self, gateway: PaymentGateway) -> None:
        order = some_order()
        first = await gateway.create_order(order, PAYER)
        assert first.gateway_order_id
        assert await gateway.create_order(order, PAYER) == first

    async def test_two_orders_are_two(self, gateway: PaymentGateway) -> None:
        one, two = await placed(gateway), await placed(gateway)
        assert one.gateway_order_id != two.gateway_order_id

    async def test_the_checkout_names_the_order(self, gateway: PaymentGateway) -> None:
        order = await placed(gateway)
        checkout = gateway.checkout(order)
        assert (checkout.gateway, checkout.gateway_order_id) == (
            gateway.name,
            order.gateway_order_id,
        )

    async def test_an_order_without_an_attempt_has_no_payment(
        self, gateway: PaymentGateway
    ) -> None:
        assert await gateway.payments_of((await placed(gateway)).gateway_order_id) == ()

    async def test_an_order_that_nobody_made_is_refused(self, gateway: PaymentGateway) -> None:
        with pytest.raises(GatewayRefused):
            await gateway.payments_of("order_nowhere")
        with pytest.raises(GatewayRefused):
            await gateway.payment("pay_nowhere")

    async def test_a_payment_is_seen_captured(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id)
        seen = await gateway.payment(reply.gateway_payment_id)
        assert seen.status is TransactionStatus.CAPTURED
        assert (seen.gateway_order_id, seen.amount_paise, seen.currency) == (
            order.gateway_order_id,
            order.amount_paise,
            "INR",
        )
        assert await gateway.payments_of(order.gateway_order_id) == (seen,)

    async def test_a_failed_attempt_says_why(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id, success=False)
        seen = await gateway.payment(reply.gateway_payment_id)
        assert seen.status is TransactionStatus.FAILED
        assert seen.error_code
        assert seen.error

    async def test_capturing_what_is_captured_gives_it(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id)
        for _ in range(2):
            seen = await gateway.capture(reply.gateway_payment_id, order.amount_paise)
            assert seen.status is TransactionStatus.CAPTURED

    async def test_what_has_failed_cannot_be_captured(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id, success=False)
        with pytest.raises(GatewayRefused):
            await gateway.capture(reply.gateway_payment_id, order.amount_paise)

    # Refunds

    async def test_a_refund_repeated_is_one_refund(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id)
        request = _refund(reply, order.amount_paise // 4)
        first = await gateway.refund(request)
        assert (first.amount_paise, first.key) == (order.amount_paise // 4, request.key)
        assert await gateway.refund(request) == first
        assert await gateway.refunds_of(reply.gateway_payment_id) == (first,)

    async def test_parts_can_be_given_back_up_to_the_whole(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id)
        await gateway.refund(_refund(reply, 100))
        await gateway.refund(_refund(reply, order.amount_paise - 100))
        with pytest.raises(GatewayRefused):
            await gateway.refund(_refund(reply, 1))

    async def test_what_was_given_back_whole_was_captured(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id)
        await gateway.refund(_refund(reply, order.amount_paise))
        seen = await gateway.payment(reply.gateway_payment_id)
        assert seen.status is TransactionStatus.CAPTURED

    # Mandates

    async def test_a_mandate_can_be_charged_later(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        first = await placed(gateway, recurring=True)
        assert first.gateway_customer_id
        reply = await cashier.pay(first.gateway_order_id)
        mandate = (await gateway.payment(reply.gateway_payment_id)).mandate
        assert mandate is not None
        later = await placed(gateway)
        payment_id = await gateway.charge_mandate(_charge(later, mandate))
        seen = await gateway.payment(payment_id)
        assert (seen.status, seen.gateway_order_id) == (
            TransactionStatus.CAPTURED,
            later.gateway_order_id,
        )

    async def test_a_mandate_may_fail(self, gateway: PaymentGateway, cashier: Cashier) -> None:
        first = await placed(gateway, recurring=True)
        reply = await cashier.pay(first.gateway_order_id)
        mandate = (await gateway.payment(reply.gateway_payment_id)).mandate
        assert mandate is not None
        await cashier.let_mandate_fail(mandate.token_id)
        later = await placed(gateway)
        payment_id = await gateway.charge_mandate(_charge(later, mandate))
        assert (await gateway.payment(payment_id)).status is TransactionStatus.FAILED

    async def test_an_ordinary_order_gives_no_mandate(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        reply = await cashier.pay((await placed(gateway)).gateway_order_id)
        assert (await gateway.payment(reply.gateway_payment_id)).mandate is None

    # Signatures

    async def test_a_reply_holds_only_as_it_was_signed(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        reply = await cashier.pay((await placed(gateway)).gateway_order_id)
        gateway.check_reply(reply)
        for changed in (
            replace(reply, gateway_order_id="order_other"),
            replace(reply, gateway_payment_id="pay_other"),
            replace(reply, signature="0" * 64),
            replace(reply, signature=""),
            replace(reply, signature="süß"),
        ):
            with pytest.raises(SignatureInvalid):
                gateway.check_reply(changed)

    async def test_an_event_holds_only_as_it_was_signed(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id)
        headers, body = await cashier.event("payment.captured", reply.gateway_payment_id)
        event = gateway.check_event(headers, body)
        assert event.body == body
        assert event.id
        with pytest.raises(SignatureInvalid):
            gateway.check_event(headers, body.replace(b"captured", b"Captured"))
        with pytest.raises(SignatureInvalid):
            gateway.check_event(headers, body + b" ")
        with pytest.raises(SignatureInvalid):
            gateway.check_event({}, body)

    async def test_an_event_tells_of_its_payment(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id)
        _, body = await cashier.event("payment.captured", reply.gateway_payment_id)
        assert gateway.read_event(body) == GatewayEvent(
            type="payment.captured", payment=await gateway.payment(reply.gateway_payment_id)
        )

    async def test_repeats_of_an_event_share_their_id(
        self, gateway: PaymentGateway, cashier: Cashier
    ) -> None:
        order = await placed(gateway)
        reply = await cashier.pay(order.gateway_order_id)
        headers, body = await cashier.event("payment.captured", reply.gateway_payment_id)
        again, other = await cashier.event("order.paid", reply.gateway_payment_id)
        assert gateway.check_event(headers, body).id == gateway.check_event(headers, body).id
        assert gateway.check_event(headers, body).id != gateway.check_event(again, other).id

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"nonsense", b'{"event": 1}'])
    async def test_what_is_no_event_cannot_be_read(
        self, gateway: PaymentGateway, body: bytes
    ) -> None:
        with pytest.raises(EventUnreadable):
            gateway.read_event(body)


def _refund(reply: CheckoutReply, amount_paise: int) -> RefundRequest:
    return RefundRequest(
        key=f"{new_id()}-1",
        gateway_payment_id=reply.gateway_payment_id,
        amount_paise=amount_paise,
        reason="asked for",
    )


def _charge(order: Order, mandate: Any) -> MandateCharge:
    return MandateCharge(
        gateway_order_id=order.gateway_order_id,
        mandate=mandate,
        amount_paise=order.amount_paise,
        email=PAYER.email,
        description=order.description,
    )
