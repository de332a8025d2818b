"""Rate limits: policies, and the one rule by which a request is within them.

The rule is the generic cell rate algorithm in its continuous-state form (ITU-T I.371, annex
A.1), in integers so that every implementation gives the same answers: a bucket drains
steadily, ``quota`` requests a window, and holds one quota. An idle caller may use the whole
quota at once, and then as much as has drained.
"""

import math
from dataclasses import dataclass, field

from domain.shared.errors import DomainError, InvalidValue

MAX_WINDOW_SECONDS = 31 * 24 * 60 * 60
_EXACT = 2**52
"""Twice this is the largest integer that a double, Lua's only number, holds exactly."""

_NAMES = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    """``quota`` requests in ``window_seconds``, for each caller of the kind ``of``.

    ``name``: what the policy is called, e.g. ``key-minute``. ``window_ms``: the window in
    milliseconds, and what one request adds to a bucket's level. ``capacity``: the level of a full
    bucket.

    Raises:
        InvalidValue: quota or window is out of range.
    """

    of: str
    quota: int
    window_seconds: int
    name: str = field(init=False, repr=False, compare=False)
    window_ms: int = field(init=False, repr=False, compare=False)
    capacity: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.window_seconds <= MAX_WINDOW_SECONDS:
            raise InvalidValue(
                "limits", f"Give each a window_seconds of 1 to {MAX_WINDOW_SECONDS} (31 days)."
            )
        window_ms = self.window_seconds * 1_000
        most = _EXACT // window_ms
        if not 1 <= self.quota <= most:
            raise InvalidValue(
                "limits", f"Give the one of {self.window_seconds} s a quota of 1 to {most}."
            )
        name = _NAMES.get(self.window_seconds, f"{self.window_seconds}s")
        object.__setattr__(self, "name", f"{self.of}-{name}")
        object.__setattr__(self, "window_ms", window_ms)
        object.__setattr__(self, "capacity", self.quota * window_ms)

    def share(self, part: float) -> "RatePolicy":
        """The same policy with a part of its quota, one request at least."""
        return RatePolicy(
            of=self.of,
            quota=max(1, math.floor(self.quota * part)),
            window_seconds=self.window_seconds,
        )


def drained(policy: RatePolicy, level: int, elapsed_ms: int) -> int:
    """What is left of a bucket's level after a while; a clock set back drains nothing."""
    return max(0, level - max(0, elapsed_ms) * policy.quota)


def filled(policy: RatePolicy, level: int, cost: int) -> int | None:
    """The level with a request of that cost in it, or None when it does not conform.

    A cost above the quota counts as the whole quota: it passes when nothing was used before.
    A negative cost gives back.
    """
    after = max(0, level + min(cost, policy.quota) * policy.window_ms)
    return after if cost <= 0 or after <= policy.capacity else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a caller stands under one policy, as of an answer.

    ``remaining`` requests of cost 1 pass at once; the whole quota does after
    ``reset_seconds``. ``retry_seconds`` is the wait until the refused request conforms, or,
    of one that was admitted, until the next of cost 1 does; 0 when it would now.
    """

    policy: RatePolicy
    remaining: int
    reset_seconds: int
    retry_seconds: int


def standing(policy: RatePolicy, level: int, cost: int = 1) -> Standing:
    """Where a caller stands whose bucket has this level, before a request of that cost."""
    beyond = level + min(cost, policy.quota) * policy.window_ms - policy.capacity
    return Standing(
        policy=policy,
        remaining=max(0, policy.capacity - level) // policy.window_ms,
        reset_seconds=_seconds(level, policy),
        retry_seconds=_seconds(max(0, beyond), policy),
    )


class RateLimited(DomainError):
    """Too many requests; ``retry_after_seconds`` says when the next one passes."""

    code = "rate_limited"

    def __init__(self, violated: tuple[Standing, ...]) -> None:
        wait = max((each.retry_seconds for each in violated), default=1)
        names = ", ".join(each.policy.name for each in violated)
        super().__init__(
            f"Too many requests under {names}. Send the next one in {wait} s.",
            retry_after_seconds=wait,
            violated_policies=[each.policy.name for each in violated],
        )


def _seconds(level: int, policy: RatePolicy) -> int:
    """How long so much takes to drain, in whole seconds, rounded up."""
    return -(-level // (policy.quota * 1_000))
