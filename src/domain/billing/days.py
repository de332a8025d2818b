"""Which day a moment belongs to, where money is concerned."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

from domain.shared.errors import InvalidValue

INDIA = timezone(timedelta(hours=5, minutes=30), "IST")
"""Indian Standard Time: one offset since 1945 and no summer time, so a moment and its day belong
together without a table of zones. Days of usage, of invoices and of subscriptions are India's:
tax periods and our customers' books are."""


def day_of(moment: datetime) -> date:
    """The day in India that an aware moment falls on."""
    return moment.astimezone(INDIA).date()


def beginning_of(day: date) -> datetime:
    """The first moment of a day in India, in UTC."""
    return datetime.combine(day, time(), INDIA).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Days:
    """From a first day in India to a last one, both included; None leaves that end open.

    Raises:
        InvalidValue: it ends before it begins, or no calendar goes on behind it. The ends go
            by the names they are asked for by, ``from`` and ``to``.
    """

    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None and self.last < self.first:
            raise InvalidValue("to", "Give a day that is not before 'from'.")
        for name, day in (("from", self.first), ("to", self.last)):
            if day is not None and not _FIRST <= day <= _LAST:
                raise InvalidValue(name, "Give a day of 2000 or later, as in 2026-11-24.")

    @property
    def begins(self) -> datetime | None:
        """The first moment in them, in UTC."""
        return None if self.first is None else beginning_of(self.first)

    @property
    def ends(self) -> datetime | None:
        """The first moment after them, in UTC."""
        return None if self.last is None else beginning_of(self.last + timedelta(days=1))

    def __contains__(self, moment: datetime) -> bool:
        """Whether an aware moment falls into them."""
        begins, ends = self.begins, self.ends
        return (begins is None or begins <= moment) and (ends is None or moment < ends)


ALWAYS = Days()
"""Every day."""

_FIRST, _LAST = date(2000, 1, 1), date(9000, 1, 1)
