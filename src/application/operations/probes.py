"""Checks of what lies behind ports: the queue's depth, and the model provider."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from application.ports.claims import RunClaims
from application.ports.clock import Clock
from application.ports.health import ProbeFailed
from application.ports.language_model import LanguageModel, ModelCallFailed
from application.ports.persistence import DatabaseUnavailable
from application.ports.provider_gate import CircuitState, ProviderGate

MODEL_CHECK_EVERY = timedelta(seconds=30)
"""A provider is asked this often at most, however often we are."""


@dataclass(frozen=True, slots=True)
class QueueProbe:
    """How many runs wait for a worker."""

    claims: RunClaims
    name: str = "queue"
    required: bool = False

    async def check(self) -> str:
        """The depth, in words.

        Raises:
            ProbeFailed: the database, which knows it, does not answer.
        """
        try:
            depth = await self.claims.depth()
        except DatabaseUnavailable as error:
            raise ProbeFailed("the depth is not known: the database does not answer") from error
        return f"{depth} waiting"


@dataclass(slots=True)
class ModelProbe:
    """Whether the model provider can be reached; runs wait and go on when it cannot."""

    model: LanguageModel
    clock: Clock
    gate: ProviderGate
    name: str = "model_provider"
    required: bool = False
    _asked_at: datetime | None = field(default=None, repr=False)
    _failure: str = field(default="", repr=False)

    async def check(self) -> str:
        """Who answers, and the state of the circuit to them.

        Raises:
            ProbeFailed: the provider cannot be reached, as of the last time it was asked, or
                it is not called for now because it kept failing.
        """
        now = self.clock.now()
        if self._asked_at is None or now - self._asked_at >= MODEL_CHECK_EVERY:
            try:
                await self.model.ping()
                self._failure = ""
            except ModelCallFailed as failure:
                self._failure = f"{self.model.provider.name}: {failure.kind.value}"
            self._asked_at = now
        if self._failure:
            raise ProbeFailed(self._failure)
        if self.model.provider.offline:
            return self.model.provider.name
        circuit = await self.gate.circuit()
        detail = f"{self.model.provider.name}, circuit {circuit.state.value.replace('_', ' ')}"
        if circuit.state is CircuitState.OPEN:
            raise ProbeFailed(f"{detail}: next probe in {circuit.seconds:.0f} s")
        return detail
