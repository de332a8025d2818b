"""The gate of one process keeps the contract."""

from datetime import timedelta

import pytest

from application.runs.local_gate import LocalProviderGate
from tests.contracts.provider_gate_contract import GateOf, ProviderGateContract, Wait
from tests.fakes.clock import START, MovableClock


class TestLocalProviderGate(ProviderGateContract):
    @pytest.fixture
    def clock(self) -> MovableClock:
        return MovableClock()

    @pytest.fixture
    def gate_of(self, clock: MovableClock) -> GateOf:
        def now() -> float:
            return (clock.now() - START).total_seconds()

        return lambda pace, rule: LocalProviderGate(rule, pace, now)

    @pytest.fixture
    def wait(self, clock: MovableClock) -> Wait:
        async def move(seconds: float) -> None:
            clock.move(timedelta(seconds=seconds))

        return move
