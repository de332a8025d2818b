"""When a run's calls are made: behind the provider's gate and the run's own circuit."""

import asyncio
from dataclasses import dataclass

from application.ports.language_model import ModelCallFailed
from application.ports.provider_gate import ProviderGate, RefusalReason
from application.runs.circuit_policy import (
    COUNTED,
    RUN_FAILURES,
    RUN_OPEN_SECONDS,
    not_before,
)
from application.runs.failures import RetryLater
from application.runs.retry_policy import PARK_ABOVE_SECONDS
from domain.billing.usage import TokenUsage


@dataclass(slots=True)
class CallPacing:
    """One claim's way to the provider, shared by its steps.

    The run's own circuit lives as long as the claim: once open, the run is parked, and
    the next claim begins with a closed one.
    """

    gate: ProviderGate
    _failures: int = 0

    async def admitted(self, tokens: int) -> None:
        """Wait, not long, until a call of about that many tokens may be made.

        Raises:
            RetryLater: it would be long, or a circuit is open.
        """
        waited = 0.0
        while True:
            if self._failures >= RUN_FAILURES:
                raise RetryLater(not_before(RUN_OPEN_SECONDS), "run_circuit_open")
            refusal = await self.gate.admit(tokens)
            if refusal is None:
                return
            wait = not_before(refusal.seconds)
            waited += wait
            if refusal.reason is RefusalReason.CIRCUIT_OPEN or waited > PARK_ABOVE_SECONDS:
                raise RetryLater(wait, refusal.reason.value)
            await asyncio.sleep(wait)

    async def answered(self, admitted: int, usage: TokenUsage) -> None:
        """A call admitted with so many tokens brought a reply."""
        self._failures = 0
        await self.gate.answered(counted_tokens(usage) - admitted)

    async def failed(self, admitted: int, failure: ModelCallFailed) -> float:
        """A call failed; returns for how long the provider is not to be called at all."""
        beyond = counted_tokens(failure.usage) - admitted
        if failure.kind not in COUNTED:
            self._failures = 0
            await self.gate.answered(beyond)
            return 0.0
        self._failures += 1
        return await self.gate.failed(beyond, retry_after=failure.retry_after)


def counted_tokens(usage: TokenUsage) -> int:
    """The tokens that count towards a rate: all but those read from the provider's cache."""
    return usage.input + usage.cache_write + usage.output
