"""What every ``ProviderGate`` keeps: a rate over all callers, and a circuit."""

import asyncio
from collections.abc import Awaitable, Callable

from application.ports.provider_gate import CircuitState, ProviderGate, RefusalReason
from application.runs.circuit_policy import CircuitRule, Pace

Wait = Callable[[float], Awaitable[None]]
GateOf = Callable[[Pace, CircuitRule], ProviderGate]
"""A gate of a provider that nothing was asked of before."""

RULE = CircuitRule(failures=3, open_seconds=0.2, cap_seconds=0.5, probe_seconds=0.4)
UNLIMITED = Pace()
TOKENS = 10


async def trip(gate: ProviderGate) -> float:
    """Fail calls until the circuit opens; for how long it did."""
    shut = 0.0
    for _ in range(RULE.failures):
        assert await gate.admit(TOKENS) is None
        shut = await gate.failed(0, retry_after=None)
    return shut


class ProviderGateContract:
    # The rate

    async def test_without_limits_everything_passes(self, gate_of: GateOf) -> None:
        gate = gate_of(UNLIMITED, RULE)
        assert [await gate.admit(1_000_000) for _ in range(50)] == [None] * 50

    async def test_requests_beyond_a_minutes_are_refused_until_there_is_room(
        self, gate_of: GateOf
    ) -> None:
        gate = gate_of(Pace(requests_per_minute=3), RULE)
        admitted = [await gate.admit(0) for _ in range(3)]
        refusal = await gate.admit(0)
        assert admitted == [None] * 3
        assert refusal is not None
        assert refusal.reason is RefusalReason.OVER_RATE
        assert 15 < refusal.seconds <= 20

    async def test_of_many_requests_at_once_no_more_pass_than_the_limit(
        self, gate_of: GateOf
    ) -> None:
        gate = gate_of(Pace(requests_per_minute=5), RULE)
        answers = await asyncio.gather(*(gate.admit(0) for _ in range(20)))
        assert answers.count(None) == 5

    async def test_room_comes_back_with_time(self, gate_of: GateOf, wait: Wait) -> None:
        gate = gate_of(Pace(tokens_per_minute=6_000), RULE)
        assert await gate.admit(6_000) is None
        refusal = await gate.admit(10)
        assert refusal is not None
        assert 0 < refusal.seconds <= 0.1
        await wait(0.15)
        assert await gate.admit(10) is None

    async def test_what_was_used_beyond_the_estimate_is_owed(self, gate_of: GateOf) -> None:
        gate = gate_of(Pace(tokens_per_minute=600), RULE)
        assert await gate.admit(100) is None
        await gate.answered(800)
        refusal = await gate.admit(10)
        assert refusal is not None
        assert 25 < refusal.seconds <= 31

    async def test_what_was_not_used_is_given_back(self, gate_of: GateOf) -> None:
        gate = gate_of(Pace(tokens_per_minute=600), RULE)
        assert await gate.admit(600) is None
        await gate.answered(-500)
        assert await gate.admit(400) is None

    async def test_a_call_larger_than_a_minutes_tokens_passes_when_all_is_free(
        self, gate_of: GateOf
    ) -> None:
        gate = gate_of(Pace(tokens_per_minute=600), RULE)
        assert await gate.admit(1_200) is None
        refusal = await gate.admit(0)
        assert refusal is not None
        assert 55 < refusal.seconds <= 60

    # The circuit

    async def test_a_circuit_begins_closed(self, gate_of: GateOf) -> None:
        assert (await gate_of(UNLIMITED, RULE).circuit()).state is CircuitState.CLOSED

    async def test_failures_in_a_row_open_it(self, gate_of: GateOf) -> None:
        gate = gate_of(UNLIMITED, RULE)
        shut = await trip(gate)
        refusal = await gate.admit(TOKENS)
        circuit = await gate.circuit()
        assert shut == RULE.open_seconds
        assert refusal is not None
        assert refusal.reason is RefusalReason.CIRCUIT_OPEN
        assert 0 < refusal.seconds <= shut
        assert circuit.state is CircuitState.OPEN
        assert 0 < circuit.seconds <= shut

    async def test_an_answer_in_between_keeps_it_closed(self, gate_of: GateOf) -> None:
        gate = gate_of(UNLIMITED, RULE)
        for _ in range(4):
            assert await gate.failed(0, retry_after=None) == 0
            assert await gate.failed(0, retry_after=None) == 0
            await gate.answered(0)
        assert (await gate.circuit()).state is CircuitState.CLOSED

    async def test_it_stays_open_as_long_as_the_provider_asked(self, gate_of: GateOf) -> None:
        gate = gate_of(UNLIMITED, RULE)
        for _ in range(RULE.failures - 1):
            await gate.failed(0, retry_after=None)
        assert await gate.failed(0, retry_after=90) == 90

    async def test_half_open_it_lets_one_probe_through(self, gate_of: GateOf, wait: Wait) -> None:
        gate = gate_of(UNLIMITED, RULE)
        await trip(gate)
        await wait(0.25)
        assert (await gate.circuit()).state is CircuitState.HALF_OPEN
        answers = await asyncio.gather(*(gate.admit(TOKENS) for _ in range(10)))
        assert answers.count(None) == 1

    async def test_a_probe_that_is_answered_closes_it(self, gate_of: GateOf, wait: Wait) -> None:
        gate = gate_of(UNLIMITED, RULE)
        await trip(gate)
        await wait(0.25)
        assert await gate.admit(TOKENS) is None
        await gate.answered(0)
        assert [await gate.admit(TOKENS) for _ in range(5)] == [None] * 5
        assert await gate.failed(0, retry_after=None) == 0

    async def test_a_probe_that_fails_opens_it_for_longer_up_to_the_cap(
        self, gate_of: GateOf, wait: Wait
    ) -> None:
        gate = gate_of(UNLIMITED, RULE)
        await trip(gate)
        shut = []
        for pause in (0.25, 0.45, 0.55):
            await wait(pause)
            assert await gate.admit(TOKENS) is None
            shut.append(await gate.failed(0, retry_after=None))
        assert shut == [0.4, 0.5, 0.5]

    async def test_a_late_failure_does_not_keep_it_open(self, gate_of: GateOf) -> None:
        gate = gate_of(UNLIMITED, RULE)
        shut = await trip(gate)
        assert 0 < await gate.failed(0, retry_after=None) <= shut

    async def test_a_probe_that_says_nothing_is_given_up(self, gate_of: GateOf, wait: Wait) -> None:
        gate = gate_of(UNLIMITED, RULE)
        await trip(gate)
        await wait(0.25)
        assert await gate.admit(TOKENS) is None
        assert await gate.admit(TOKENS) is not None
        await wait(0.45)
        assert await gate.admit(TOKENS) is None
