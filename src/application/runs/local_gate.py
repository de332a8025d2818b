"""The gate of a single process: the rules themselves, and the stand-in for a shared gate."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from application.ports.provider_gate import Circuit, CircuitState, Refusal, RefusalReason
from application.runs.circuit_policy import CircuitRule, Pace


@dataclass(slots=True)
class LocalProviderGate:
    """Rate and circuit in this process's memory. ``now`` gives seconds of any epoch."""

    rule: CircuitRule
    pace: Pace
    now: Callable[[], float] = time.monotonic
    _failures: int = 0
    _opened: int = 0
    _open_until: float | None = None
    _probe_until: float = 0.0
    _requests: "_Bucket" = field(init=False)
    _tokens: "_Bucket" = field(init=False)

    def __post_init__(self) -> None:
        now = self.now()
        self._requests = _Bucket(self.pace.requests_per_minute, now)
        self._tokens = _Bucket(self.pace.tokens_per_minute, now)

    async def admit(self, tokens: int) -> Refusal | None:
        """Ask to make a call of about that many tokens; None is leave to make it."""
        now = self.now()
        shut = self._shut_for(now)
        if shut > 0:
            return Refusal(reason=RefusalReason.CIRCUIT_OPEN, seconds=shut)
        wait = max(self._requests.wait(now, 1), self._tokens.wait(now, tokens))
        if wait > 0:
            return Refusal(reason=RefusalReason.OVER_RATE, seconds=wait)
        self._requests.take(1)
        self._tokens.take(tokens)
        if self._open_until is not None:
            self._probe_until = now + self.rule.probe_seconds
        return None

    async def answered(self, tokens_beyond: int) -> None:
        """The provider answered: the circuit closes."""
        self._tokens.take(tokens_beyond)
        self._failures = self._opened = 0
        self._open_until = None
        self._probe_until = 0.0

    async def failed(self, tokens_beyond: int, *, retry_after: float | None) -> float:
        """The provider failed; returns for how long no call passes now."""
        now = self.now()
        self._tokens.take(tokens_beyond)
        if self._open_until is not None and now < self._open_until:
            return self._open_until - now
        self._failures += 1
        if self._open_until is None and self._failures < self.rule.failures:
            return 0.0
        self._opened += 1
        doubled = self.rule.open_seconds * 2.0 ** min(self._opened - 1, 20)
        seconds = max(retry_after or 0.0, min(self.rule.cap_seconds, doubled))
        self._open_until = now + seconds
        self._probe_until = 0.0
        return seconds

    async def circuit(self) -> Circuit:
        """The circuit as it is."""
        now = self.now()
        if self._open_until is None:
            return Circuit(state=CircuitState.CLOSED)
        if now < self._open_until:
            return Circuit(state=CircuitState.OPEN, seconds=self._open_until - now)
        return Circuit(state=CircuitState.HALF_OPEN)

    def _shut_for(self, now: float) -> float:
        if self._open_until is None:
            return 0.0
        if now < self._open_until:
            return self._open_until - now
        # A probe is under way: look again soon, whatever it may take.
        return min(max(self._probe_until - now, 0.0), self.rule.open_seconds)


@dataclass(slots=True)
class _Bucket:
    """Fills steadily up to a minute's worth; may be owed to."""

    per_minute: int
    at: float
    level: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = float(self.per_minute)

    def wait(self, now: float, amount: int) -> float:
        """Seconds until the amount, or all that ever fits, is there."""
        if not self.per_minute:
            return 0.0
        gained = max(now - self.at, 0.0) * self.per_minute / 60
        self.level = min(self.per_minute, self.level + gained)
        self.at = now
        missing = min(amount, self.per_minute) - self.level
        return max(missing, 0.0) * 60 / self.per_minute

    def take(self, amount: int) -> None:
        """Use that much; a negative amount gives back."""
        self.level -= amount
