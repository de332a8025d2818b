"""Whether the model provider may be called now: its rate, and its circuit.

Both are shared by every process that calls the provider, because the provider sees them
as one caller.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class CircuitState(StrEnum):
    """Closed: calls pass. Open: none does. Half open: one does, and decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """The circuit as it is; ``seconds`` until its next probe may pass."""

    state: CircuitState
    seconds: float = 0.0


class RefusalReason(StrEnum):
    """Why a call may not be made now."""

    CIRCUIT_OPEN = "model_circuit_open"
    OVER_RATE = "model_over_rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """No call now. Asking again makes sense after ``seconds``."""

    reason: RefusalReason
    seconds: float


class ProviderGate(Protocol):
    """Stands before every call. Never raises: without its shared state it gets stricter."""

    async def admit(self, tokens: int) -> Refusal | None:
        """Ask to make a call of about that many tokens; None is leave to make it.

        A call with more tokens than a whole minute's is let through when nothing was used
        before it, and owes the rest.
        """
        ...

    async def answered(self, tokens_beyond: int) -> None:
        """The provider answered an admitted call, which closes the circuit.

        ``tokens_beyond`` are those used above what it was admitted with, or below, negative.
        """
        ...

    async def failed(self, tokens_beyond: int, *, retry_after: float | None) -> float:
        """The provider failed an admitted call, by being away, overloaded or limiting us.

        Returns for how many seconds no call passes now: 0.0 while the circuit is closed.
        """
        ...

    async def circuit(self) -> Circuit:
        """The circuit as it is."""
        ...
