"""What is done about a failed model call, as data."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from application.ports.language_model import FailureKind, ModelCallFailed

PARK_ABOVE_SECONDS = 5.0
"""A longer wait gives the run back instead of keeping a worker's place for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """How often to try again, and how long to wait: up to ``base`` doubled each time."""

    tries: int
    base_seconds: float
    cap_seconds: float


RULES: Mapping[FailureKind, RetryRule] = MappingProxyType(
    {
        FailureKind.TRANSIENT: RetryRule(tries=5, base_seconds=0.5, cap_seconds=20),
        FailureKind.RATE_LIMITED: RetryRule(tries=10, base_seconds=2, cap_seconds=120),
        FailureKind.OVERLOADED: RetryRule(tries=10, base_seconds=2, cap_seconds=120),
        FailureKind.TOO_LONG: RetryRule(tries=0, base_seconds=0, cap_seconds=0),
        FailureKind.REFUSED: RetryRule(tries=0, base_seconds=0, cap_seconds=0),
        FailureKind.PERMANENT: RetryRule(tries=0, base_seconds=0, cap_seconds=0),
    }
)


def next_delay(
    failure: ModelCallFailed,
    failures_before: int,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float | None:
    """Seconds to wait before the next try, or None when there shall be none.

    Full jitter (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015),
    and never sooner than the provider asked. ``failures_before`` counts earlier failed
    calls for the same question, from the journal, so a crash does not reset it.
    """
    rule = RULES[failure.kind]
    if failures_before + 1 > rule.tries:
        return None
    jittered = uniform(0, min(rule.cap_seconds, rule.base_seconds * 2**failures_before))
    return max(jittered, failure.retry_after or 0)
