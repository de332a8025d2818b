"""Time and identifiers under a test's control."""

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class MovableClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        """Let that much time pass; a negative one sets the clock back."""
        self._now += by

    def set(self, now: datetime) -> None:
        """Make it that moment."""
        self._now = now


class CountingIds:
    """The same identifiers in every run: version 7 in form, one greater than the one before."""

    def __init__(self, first: int = 1) -> None:
        self._numbers = itertools.count(first)
        self._milliseconds = int(START.timestamp() * 1000)

    def new(self) -> UUID:
        # RFC 9562 §5.7: 48 bits of milliseconds, the version, 12 bits, the variant, 62 bits.
        return UUID(int=self._milliseconds << 80 | 7 << 76 | 2 << 62 | next(self._numbers))
