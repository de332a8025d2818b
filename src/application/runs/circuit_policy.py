"""When calls are not even tried, as data."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from application.ports.language_model import FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitRule:
    """Opens after so many failures in a row, for ``open_seconds`` doubled each time it opens
    again, ``cap_seconds`` at most. A probe that says nothing for ``probe_seconds`` is given up.
    """

    failures: int
    open_seconds: float
    cap_seconds: float
    probe_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Requests and tokens a minute; 0 is no limit.

    Kept as buckets that fill steadily up to a minute's worth, which is how the provider
    keeps its own (platform.claude.com/docs/en/api/rate-limits).
    """

    requests_per_minute: int = 0
    tokens_per_minute: int = 0


COUNTED = frozenset({FailureKind.TRANSIENT, FailureKind.RATE_LIMITED, FailureKind.OVERLOADED})
"""Failures that say something about the provider. Any other is an answer."""

PROVIDER_CIRCUIT = CircuitRule(failures=4, open_seconds=5, cap_seconds=120, probe_seconds=30)
"""Over all runs. Fewer failures than the tries of a question, so that an outage uses none up."""

RUN_FAILURES = 3
"""Failed calls in a row, in whatever steps, after which a run leaves its worker's place."""

RUN_OPEN_SECONDS = 15.0
"""For how long it does."""

OUTAGE_TRIES = 60
"""Failed probes of one question that are not counted as its tries: hours, at the longest wait.
A question that the provider itself always breaks at comes to an end all the same."""

AWAY_SHARE = 0.1
"""What one process may use of the pace while it cannot know what the others use."""


def not_before(seconds: float, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """A wait of at least ``seconds``, with jitter so that those who wait do not come as one."""
    return max(seconds, 0.1) * uniform(1.0, 1.25)
