"""How much of something may be asked for at a time, counted over all processes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.keys.rate_limit import RatePolicy, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One caller's request under one policy. A negative cost gives back.

    ``bucket``: what the caller's requests under the policy are counted in. It outlives a change of
    the quota: editing a limit buys no fresh start.
    """

    policy: RatePolicy
    caller: str
    cost: int = 1
    bucket: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bucket = f"{self.policy.of}:{self.caller}:{self.policy.window_seconds}"
        object.__setattr__(self, "bucket", bucket)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the request is within every policy, and where its caller stands under each."""

    admitted: bool
    standings: tuple[Standing, ...]

    @property
    def violated(self) -> tuple[Standing, ...]:
        """The policies a refused request is beyond."""
        return () if self.admitted else tuple(each for each in self.standings if each.retry_seconds)


class RateLimiter(Protocol):
    """Counts requests. Never raises, and never opens: without its shared state it is stricter."""

    async def charge(self, charges: Sequence[Charge]) -> Verdict:
        """Count a request under every policy, or, when it is beyond one, under none.

        The standings are in the order of the charges. A bucket may be charged once.
        """
        ...
