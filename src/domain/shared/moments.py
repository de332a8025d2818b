"""Moments that somebody gave: each with its offset from UTC, and one that can be counted on."""

from datetime import UTC, datetime
from typing import Final

from domain.shared.errors import InvalidValue

FIRST: Final = datetime(2, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""A year less at each end than Python has: room for every time zone and overlap, and clear of
``datetime.min`` and ``datetime.max``, which asyncpg keeps as infinite and gives back naive."""


def given_moment(field: str, moment: datetime) -> datetime:
    """The moment in UTC.

    Raises:
        InvalidValue: it has no offset, or lies too far away to be meant.
    """
    if moment.tzinfo is None:
        raise InvalidValue(field, "Give a moment with its offset, as in 2026-12-01T09:00:00Z.")
    if not FIRST <= moment < END:
        raise InvalidValue(field, "Give a moment of the years 2 to 9998.")
    return moment.astimezone(UTC)
