"""What a part of a period is worth: integers whose parts sum to the whole.

The worth of a stretch is the difference of two figures rounded down, each counted from the
period's start. Whatever the cuts, the differences telescope, and nothing is lost or made.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A stretch of time that is paid for as one. ``end`` is not in it.

    Raises:
        ValueError: it is empty.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("a period ends after it starts")

    def elapsed(self, whole: int, at: datetime) -> int:
        """How much of ``whole`` (paise or credits) is over at ``at``, rounded down."""
        inside = min(max(at, self.start), self.end)
        return whole * ((inside - self.start) // _TICK) // ((self.end - self.start) // _TICK)

    def unused(self, whole: int, at: datetime) -> int:
        """What is left of ``whole`` from ``at`` on: with :meth:`elapsed` exactly the whole."""
        return whole - self.elapsed(whole, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proration:
    """A change in the middle of a period: paise not used of the old, charged for the new.

    ``credits_each`` are the further credits of a seat that was there before, and
    ``credits_added_seat`` those of a new one, both for the rest of the period.
    """

    unused_paise: int
    charge_paise: int
    credits_each: int
    credits_added_seat: int

    @property
    def due_paise(self) -> int:
        """What is to be paid now. Negative for a cheaper plan, which waits for the period's end."""
        return self.charge_paise - self.unused_paise


def prorate(
    period: Period, at: datetime, *, old: tuple[int, int], new: tuple[int, int]
) -> Proration:
    """The change at ``at`` from ``old`` to ``new``: each the paise of all seats, credits of one."""
    added = period.unused(new[1], at)
    return Proration(
        unused_paise=period.unused(old[0], at),
        charge_paise=period.unused(new[0], at),
        credits_each=max(0, added - period.unused(old[1], at)),
        credits_added_seat=added,
    )
