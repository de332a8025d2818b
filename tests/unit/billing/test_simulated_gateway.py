"""The simulated gateway keeps the gateways' contract, and pays an order once."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from adapters.simulated_gateway import SimulatedGateway
from application.ports.payment_gateway import (
    CheckoutReply,
    GatewayEvent,
    GatewayRefused,
    SignatureInvalid,
)
from tests.contracts.payment_gateway_contract import PaymentGatewayContract, placed
from tests.fakes.gateway_store import InMemoryGatewayStore, simulated_gateway


class Page:
    """Who approves and declines on the page."""

    def __init__(self, gateway: SimulatedGateway) -> None:
        self._gateway = gateway

    async def pay(self, gateway_order_id: str, *, success: bool = True) -> CheckoutReply:
        act = self._gateway.approve if success else self._gateway.decline
        return (await act(gateway_order_id)).reply

    async def let_mandate_fail(self, token_id: str) -> None:
        await self._gateway.let_mandate(token_id, good=False)

    async def event(self, type_: str, gateway_payment_id: str) -> tuple[Mapping[str, str], bytes]:
        payment = await self._gateway.payment(gateway_payment_id)
        return self._gateway.signed(GatewayEvent(type=type_, payment=payment))


class TestSimulatedGateway(PaymentGatewayContract):
    @pytest.fixture
    def gateway(self) -> SimulatedGateway:
        return simulated_gateway()

    @pytest.fixture
    def cashier(self, gateway: SimulatedGateway) -> Page:
        return Page(gateway)

    async def test_approvals_at_once_pay_once(self, gateway: SimulatedGateway) -> None:
        order = await placed(gateway)
        approvals = await asyncio.gather(
            *(gateway.approve(order.gateway_order_id) for _ in range(10))
        )
        assert len({approval.reply.gateway_payment_id for approval in approvals}) == 1
        assert len(await gateway.payments_of(order.gateway_order_id)) == 1

    async def test_a_declined_order_can_be_approved_later(self, gateway: SimulatedGateway) -> None:
        order = await placed(gateway)
        await gateway.decline(order.gateway_order_id)
        await gateway.approve(order.gateway_order_id)
        description, amount, currency, paid = await gateway.describe(order.gateway_order_id)
        assert (description, amount, currency, paid) == (
            order.description,
            order.amount_paise,
            "INR",
            True,
        )

    async def test_what_another_gateway_signed_does_not_hold(
        self, gateway: SimulatedGateway
    ) -> None:
        other = SimulatedGateway(InMemoryGatewayStore(), b"another secret")
        order = await placed(other)
        approval = await other.approve(order.gateway_order_id)
        with pytest.raises(SignatureInvalid):
            gateway.check_reply(approval.reply)
        with pytest.raises(SignatureInvalid):
            gateway.check_event(*approval.events[0])

    async def test_nobody_pays_an_order_that_is_not_there(self, gateway: SimulatedGateway) -> None:
        with pytest.raises(GatewayRefused):
            await gateway.approve("order_nowhere")

    async def test_an_order_told_again_keeps_its_payment(self, gateway: SimulatedGateway) -> None:
        from tests.contracts.payment_gateway_contract import PAYER

        order = await placed(gateway)
        await gateway.approve(order.gateway_order_id)
        await gateway.create_order(replace(order, gateway_order_id=""), PAYER)
        assert len(await gateway.payments_of(order.gateway_order_id)) == 1
