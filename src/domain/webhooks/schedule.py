"""When a delivery is tried again, and when an endpoint is given up."""

from collections.abc import Sequence
from datetime import datetime, timedelta

_MINUTE, _HOUR = 60.0, 3600.0

RETRY_SECONDS: Sequence[float] = (
    5.0,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    21 * _HOUR,
)
"""Seconds from each failed attempt to the next: ten attempts in three days. The shape is the
one that Standard Webhooks 1.0.0 recommends ("Deliverability and reliability")."""

MAX_ATTEMPTS = len(RETRY_SECONDS) + 1

JITTER = 0.1
"""The share by which a wait is longer or shorter at random, so that what failed together does
not come again together."""

LONGEST_RETRY_AFTER = 24 * _HOUR
"""What an endpoint may ask for in ``Retry-After``, at most."""

GIVE_UP_EVENTS = 10
"""So many events in a row that no attempt delivered, and the endpoint is switched off."""

GIVE_UP_AFTER = timedelta(days=5)
"""Nothing but failures for so long, and the endpoint is switched off."""


def wait_seconds(attempt: int, chance: float, retry_after: float | None) -> float | None:
    """Seconds from the failed attempt (the first is 1) to the next, or None after the last.

    ``chance`` is from 0 to 1. An endpoint's ``Retry-After`` makes the wait longer, never
    shorter, within its bound.
    """
    if not 1 <= attempt < MAX_ATTEMPTS:
        return None
    planned = RETRY_SECONDS[attempt - 1] * (1 - JITTER + 2 * JITTER * chance)
    return max(planned, min(retry_after or 0.0, LONGEST_RETRY_AFTER))


def gives_up(failing_since: datetime | None, failed_events: int, now: datetime) -> bool:
    """Whether an endpoint with this record has failed too long."""
    too_long = failing_since is not None and now - failing_since >= GIVE_UP_AFTER
    return too_long or failed_events >= GIVE_UP_EVENTS
