"""The usage log: what was asked for with a key, request by request."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.billing.days import INDIA
from domain.shared.ids import ApiKeyId, RunId, UserId

MAX_LATENCY_US: Final = 2**31 - 1
"""36 minutes: a download that takes longer counts as that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request with a key, as it was answered.

    ``id`` is its own wherever it is kept, so that keeping it twice changes nothing. ``route`` is
    the method and the path's template, never the path. ``latency_us``: microseconds until the
    answer's last byte was handed over. ``run_id``: the run that it started, if it did.

    ``requests`` is 1, or how many requests in a row were refused for their rate that this one
    stands for: it is the first of them, and ``latency_us`` is what they took on average.
    """

    id: UUID
    user_id: UserId
    key_id: ApiKeyId
    at: datetime
    route: str
    status: int
    latency_us: int
    request_id: str
    run_id: RunId | None = None
    requests: int = 1


class Window(StrEnum):
    """Over how long the live figure of a key is counted."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


WINDOWS: Final = {
    Window.MINUTE: timedelta(minutes=1),
    Window.HOUR: timedelta(hours=1),
    Window.DAY: timedelta(days=1),
}


def window_number(window: Window, at: datetime) -> int:
    """Which minute, hour or day of India's clock a moment falls into, counted from 1970."""
    return (int(at.timestamp()) + _OFFSET_SECONDS) // _SECONDS[window]


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour of India's clock that a moment falls into, in UTC.

    Days of usage are India's (:mod:`domain.billing.days`), whose hours begin at half past of
    UTC's: these sum to days, UTC's would not.
    """
    local = at.astimezone(INDIA)
    return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)


_OFFSET_SECONDS = int(INDIA.utcoffset(None).total_seconds())
_SECONDS = {window: int(span.total_seconds()) for window, span in WINDOWS.items()}
