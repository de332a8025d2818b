"""The simulated gateway over a real server, as a platform on a laptop has it."""

import asyncio
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from adapters.simulated_gateway import RedisGatewayStore, SimulatedGateway
from application.ports.payment_gateway import GatewayUnavailable
from tests.contracts.payment_gateway_contract import PaymentGatewayContract, placed
from tests.integration.redis.private_valkey import PrivateValkey
from tests.unit.billing.test_simulated_gateway import Page

SECRET = b"a secret of tests"


class TestInRedis(PaymentGatewayContract):
    @pytest.fixture
    def gateway(self, redis: Redis) -> SimulatedGateway:
        return SimulatedGateway(RedisGatewayStore(redis), SECRET)

    @pytest.fixture
    def cashier(self, gateway: SimulatedGateway) -> Page:
        return Page(gateway)

    async def test_approvals_in_two_processes_pay_once(
        self,
        gateway: SimulatedGateway,
        connect: Callable[[str], Redis],
        running_valkey: PrivateValkey,
    ) -> None:
        other = SimulatedGateway(RedisGatewayStore(connect(running_valkey.url)), SECRET)
        order = await placed(gateway)
        approvals = await asyncio.gather(
            *(each.approve(order.gateway_order_id) for each in (gateway, other) * 10)
        )
        assert len({approval.reply.gateway_payment_id for approval in approvals}) == 1
        assert len(await other.payments_of(order.gateway_order_id)) == 1


async def test_without_its_server_it_is_away(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> None:
    gateway = SimulatedGateway(RedisGatewayStore(connect(valkey.url)), SECRET)
    order = await placed(gateway)
    valkey.kill()
    with pytest.raises(GatewayUnavailable):
        await gateway.payments_of(order.gateway_order_id)
    with pytest.raises(GatewayUnavailable):
        await gateway.approve(order.gateway_order_id)
