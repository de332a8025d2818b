"""Razorpay's adapter over HTTP, against a server that behaves and signs as it documents."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace

import pytest

from adapters.razorpay import RazorpayGateway, RazorpaySettings
from application.ports.payment_gateway import (
    CheckoutReply,
    DisputeStatus,
    GatewayRefused,
    GatewayUnavailable,
    MandateCharge,
    RefundRequest,
    SignatureInvalid,
)
from domain.billing.payments import TransactionStatus
from tests.contracts.payment_gateway_contract import (
    PAYER,
    PaymentGatewayContract,
    placed,
    some_order,
)
from tests.servers.razorpay_api import Fault, RazorpayServer


class Till:
    """Who pays at the server."""

    def __init__(self, server: RazorpayServer) -> None:
        self._server = server

    async def pay(self, gateway_order_id: str, *, success: bool = True) -> CheckoutReply:
        paid = self._server.pay(gateway_order_id, "captured" if success else "failed")
        return CheckoutReply(
            gateway_order_id=paid.order_id,
            gateway_payment_id=paid.payment_id,
            signature=paid.signature,
        )

    async def let_mandate_fail(self, token_id: str) -> None:
        self._server.refuse_mandate(token_id)

    async def event(self, type_: str, gateway_payment_id: str) -> tuple[Mapping[str, str], bytes]:
        return self._server.event(type_, gateway_payment_id)


@pytest.fixture
def server() -> Iterator[RazorpayServer]:
    with RazorpayServer() as running:
        yield running


def settings_of(server: RazorpayServer) -> RazorpaySettings:
    return RazorpaySettings(
        key_id=server.key_id,
        key_secret=server.key_secret,
        webhook_secret=server.webhook_secret,
        base_url=server.url,
        read_timeout=5.0,
    )


@pytest.fixture
async def gateway(server: RazorpayServer) -> AsyncIterator[RazorpayGateway]:
    opened = RazorpayGateway(settings_of(server))
    yield opened
    await opened.aclose()


@pytest.fixture
def cashier(server: RazorpayServer) -> Till:
    return Till(server)


class TestRazorpayGateway(PaymentGatewayContract):
    async def test_an_order_is_asked_for_at_our_price(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        order = await placed(gateway)
        (call,) = server.calls
        assert (call.body["amount"], call.body["currency"]) == (order.amount_paise, "INR")
        assert (call.body["receipt"], call.body["unique_receipt"]) == (str(order.id), True)

    async def test_what_was_authorised_is_captured(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        order = await placed(gateway)
        paid = server.pay(order.gateway_order_id, "authorized")
        assert (await gateway.payment(paid.payment_id)).status is TransactionStatus.AUTHORIZED
        seen = await gateway.capture(paid.payment_id, order.amount_paise)
        assert seen.status is TransactionStatus.CAPTURED

    async def test_a_payment_under_way_has_no_status_yet(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        order = await placed(gateway)
        paid = server.pay(order.gateway_order_id, "created")
        assert (await gateway.payment(paid.payment_id)).status is None

    async def test_what_the_gateway_gave_back_uncaptured_was_never_ours(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        order = await placed(gateway)
        paid = server.pay(order.gateway_order_id, "refunded")
        assert (await gateway.payment(paid.payment_id)).status is None

    @pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=502, after=True), Fault()])
    async def test_an_order_is_told_again_when_no_answer_came(
        self, gateway: RazorpayGateway, server: RazorpayServer, fault: Fault
    ) -> None:
        server.fail_next(fault)
        order = some_order()
        known = await gateway.create_order(order, PAYER)
        assert await gateway.create_order(order, PAYER) == known

    async def test_a_refund_in_a_state_that_nobody_knows_is_looked_up_again_later(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        order = await placed(gateway)
        paid = server.pay(order.gateway_order_id)
        request = RefundRequest(
            key="refund-one-1", gateway_payment_id=paid.payment_id, amount_paise=100, reason="-"
        )
        made = await gateway.refund(request)
        server.set_refund_status(made.id, "weighed")
        with pytest.raises(GatewayUnavailable):
            await gateway.refund(request)
        with pytest.raises(GatewayUnavailable):
            await gateway.refunds_of(paid.payment_id)

    @pytest.mark.parametrize("fault", [Fault(status=503), Fault(after=True)])
    async def test_a_refund_whose_answer_was_lost_is_made_once(
        self, gateway: RazorpayGateway, server: RazorpayServer, fault: Fault
    ) -> None:
        order = await placed(gateway)
        paid = server.pay(order.gateway_order_id)
        server.fail_next(fault)
        await gateway.refund(
            RefundRequest(
                key="0123456789-1",
                gateway_payment_id=paid.payment_id,
                amount_paise=500,
                reason="twice",
            )
        )
        assert [refund["amount"] for refund in server.refunds(paid.payment_id)] == [500]

    async def test_a_charge_of_a_mandate_is_never_repeated(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        first = await placed(gateway, recurring=True)
        paid = server.pay(first.gateway_order_id)
        mandate = (await gateway.payment(paid.payment_id)).mandate
        assert mandate is not None
        later = await placed(gateway)
        charge = MandateCharge(
            gateway_order_id=later.gateway_order_id,
            mandate=mandate,
            amount_paise=later.amount_paise,
            email=PAYER.email,
            description="renewal",
        )
        server.fail_next(Fault(status=503, after=True, on="/recurring"))
        with pytest.raises(GatewayUnavailable):
            await gateway.charge_mandate(charge)
        charges = [call for call in server.calls if call.path.endswith("/recurring")]
        assert len(charges) == 1
        assert len(server.payments(later.gateway_order_id)) == 1

    async def test_a_gateway_that_stays_away_is_said_to_be(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        server.fail_next(*[Fault(status=500)] * 3)
        with pytest.raises(GatewayUnavailable):
            await gateway.payments_of("order_1")
        assert len(server.calls) == 3

    async def test_nobody_answers_at_a_closed_port(self, server: RazorpayServer) -> None:
        away = RazorpayGateway(replace(settings_of(server), base_url="http://127.0.0.1:9"))
        with pytest.raises(GatewayUnavailable):
            await away.payment("pay_1")
        await away.aclose()

    async def test_wrong_keys_are_no_verdict_on_the_request(self, server: RazorpayServer) -> None:
        wrong = RazorpayGateway(replace(settings_of(server), key_secret="wrong"))
        with pytest.raises(GatewayUnavailable):
            await wrong.payments_of("order_1")
        await wrong.aclose()

    async def test_a_refusal_says_why(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        order = await placed(gateway)
        paid = server.pay(order.gateway_order_id, "authorized")
        with pytest.raises(GatewayRefused, match="should be captured"):
            await gateway.refund(
                RefundRequest(
                    key="0123456789-2",
                    gateway_payment_id=paid.payment_id,
                    amount_paise=1,
                    reason="",
                )
            )

    async def test_an_event_of_a_refund_tells_of_payment_and_refund(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        order = await placed(gateway)
        paid = server.pay(order.gateway_order_id)
        refund_id = server.refund_here(paid.payment_id, 700)
        _, body = server.event("refund.processed", paid.payment_id, refund_id=refund_id)
        event = gateway.read_event(body)
        assert event.payment is not None
        assert event.payment.status is TransactionStatus.CAPTURED
        assert event.refund is not None
        assert (event.refund.id, event.refund.amount_paise) == (refund_id, 700)

    async def test_an_event_of_a_dispute_tells_what_was_taken(
        self, gateway: RazorpayGateway, server: RazorpayServer
    ) -> None:
        order = await placed(gateway)
        paid = server.pay(order.gateway_order_id)
        dispute = {"id": "disp_1", "amount": 900, "amount_deducted": 900, "status": "lost"}
        _, body = server.event("payment.dispute.lost", paid.payment_id, dispute=dispute)
        seen = gateway.read_event(body).dispute
        assert seen is not None
        assert (seen.status, seen.deducted_paise) == (DisputeStatus.LOST, 900)

    async def test_the_documented_signature_is_the_one_that_holds(
        self, gateway: RazorpayGateway
    ) -> None:
        # Computed apart, with openssl: printf 'order_1|pay_1' | openssl dgst -sha256 -hmac …
        gateway.check_reply(
            CheckoutReply(
                gateway_order_id="order_1",
                gateway_payment_id="pay_1",
                signature=OPENSSL_SIGNATURE,
            )
        )
        with pytest.raises(SignatureInvalid):
            gateway.check_reply(
                CheckoutReply(
                    gateway_order_id="order_1",
                    gateway_payment_id="pay_2",
                    signature=OPENSSL_SIGNATURE,
                )
            )


OPENSSL_SIGNATURE = "07a74f0d54ff0d49f7e8c6670ee30f6854f5b787d46475823b38bec4e41ed8c5"
