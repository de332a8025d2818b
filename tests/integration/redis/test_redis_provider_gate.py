"""The shared gate on a real server, and without one."""

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from adapters.redis import RedisProviderGate
from application.ports.provider_gate import CircuitState
from application.runs.circuit_policy import Pace
from tests.contracts.provider_gate_contract import (
    RULE,
    UNLIMITED,
    GateOf,
    ProviderGateContract,
    Wait,
    trip,
)
from tests.integration.redis.private_valkey import PrivateValkey, eventually

TOLD_TIME = "local now = 1000000 + tonumber(redis.call('GET', 'the-time') or '0')\n"


class TestRedisProviderGate(ProviderGateContract):
    @pytest.fixture
    def gate_of(self, redis: Redis) -> GateOf:
        return lambda pace, rule: RedisProviderGate(
            redis, "Some Provider", rule, pace, clock=TOLD_TIME
        )

    @pytest.fixture
    def wait(self, redis: Redis) -> Wait:
        async def wait(seconds: float) -> None:
            await redis.incrbyfloat("the-time", seconds)

        return wait

    async def test_processes_share_one_gate(self, redis: Redis, gate_of: GateOf) -> None:
        one, other = gate_of(UNLIMITED, RULE), gate_of(UNLIMITED, RULE)
        await trip(one)
        assert await other.admit(1) is not None
        assert (await other.circuit()).state is CircuitState.OPEN

    async def test_what_it_keeps_does_not_stay_forever(self, redis: Redis, gate_of: GateOf) -> None:
        gate = gate_of(Pace(requests_per_minute=10), RULE)
        await gate.admit(1)
        await trip(gate)
        [key] = await redis.keys("provider:*")
        assert 0 < await redis.ttl(key) <= 3_600

    async def test_the_servers_own_time_passes(self, redis: Redis) -> None:
        gate = RedisProviderGate(redis, "Some Provider", RULE, UNLIMITED)
        await trip(gate)

        async def half_open() -> bool:
            return (await gate.circuit()).state is CircuitState.HALF_OPEN

        await eventually(half_open, 20)


async def test_without_redis_a_process_takes_a_small_share_and_keeps_its_own_circuit(
    valkey: PrivateValkey, connect: Callable[[str], Redis]
) -> None:
    gate = RedisProviderGate(connect(valkey.url), "gone", RULE, Pace(requests_per_minute=50))
    valkey.kill()
    answers = [await gate.admit(1) for _ in range(8)]
    assert answers.count(None) == 5
    for _ in range(RULE.failures):
        await gate.failed(0, retry_after=60)
    assert (await gate.circuit()).state is CircuitState.OPEN
