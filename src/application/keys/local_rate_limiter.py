"""The limiter of a single process: the rule itself, and the stand-in for shared counts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from application.ports.rate_limiter import Charge, Verdict
from domain.keys.rate_limit import drained, filled, standing

MAX_BUCKETS = 100_000
"""Buckets kept, some 20 MB. Past that the one that was asked for longest ago is forgotten."""


def monotonic_ms() -> int:
    """Milliseconds of this process's own clock."""
    return time.monotonic_ns() // 1_000_000


@dataclass(slots=True)
class LocalRateLimiter:
    """Counts in this process's memory. ``now`` gives milliseconds of any epoch."""

    now: Callable[[], int] = monotonic_ms
    max_buckets: int = MAX_BUCKETS
    _buckets: dict[str, tuple[int, int]] = field(default_factory=dict)

    async def charge(self, charges: Sequence[Charge]) -> Verdict:
        """Count a request under every policy, or under none."""
        return self.charged(charges)

    def charged(self, charges: Sequence[Charge]) -> Verdict:
        """As :meth:`charge`, without waiting for anything."""
        now = self.now()
        before = [self._level(charge, now) for charge in charges]
        after = [
            filled(charge.policy, level, charge.cost)
            for charge, level in zip(charges, before, strict=True)
        ]
        if any(level is None for level in after):
            refused = (
                standing(charge.policy, level, charge.cost)
                for charge, level in zip(charges, before, strict=True)
            )
            return Verdict(admitted=False, standings=tuple(refused))
        levels = [level for level in after if level is not None]
        for charge, level in zip(charges, levels, strict=True):
            self._keep(charge.bucket, level, now)
        return Verdict(
            admitted=True,
            standings=tuple(
                standing(charge.policy, level)
                for charge, level in zip(charges, levels, strict=True)
            ),
        )

    def _level(self, charge: Charge, now: int) -> int:
        level, at = self._buckets.get(charge.bucket, (0, now))
        return drained(charge.policy, level, now - at)

    def _keep(self, bucket: str, level: int, now: int) -> None:
        # Taken out first, so that the order is that of the last use.
        before = self._buckets.pop(bucket, None)
        if level:
            # A clock set back does not drain twice what has drained.
            at = now if before is None else max(now, before[1])
            self._buckets[bucket] = (level, at)
        while len(self._buckets) > self.max_buckets:
            del self._buckets[next(iter(self._buckets))]
