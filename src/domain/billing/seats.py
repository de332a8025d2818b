"""Seats: who uses what a subscription pays for.

A seat has a number from 1 to the subscription's count. Its buyer gives it to somebody by
email; whoever has an account with that address holds it from then on. Credits belong to
the seat's number and the period: a seat that changes hands brings its new holder the plan's
limits at once, and credits from the next period on, so that passing seats round makes none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.shared.errors import Conflict
from domain.shared.ids import SeatId, SubscriptionId, UserId


class NoFreeSeat(Conflict):
    """Every seat that is paid for is given to somebody."""

    code = "no_free_seat"


class SeatTaken(Conflict):
    """The person has a seat of this subscription already."""

    code = "seat_taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A seat that was given. ``holder_id`` is None until somebody has that email's account."""

    id: SeatId
    subscription_id: SubscriptionId
    user_id: UserId
    number: int
    email: str
    holder_id: UserId | None
    assigned_at: datetime
    withdrawn_at: datetime | None = None


def free_number(seats: Sequence[Seat], count: int) -> int:
    """The lowest number that nobody has.

    Raises:
        NoFreeSeat: there is none.
    """
    taken = {seat.number for seat in seats if seat.withdrawn_at is None}
    for number in range(1, count + 1):
        if number not in taken:
            return number
    raise NoFreeSeat(
        f"All {count} seats are given to somebody. Withdraw one, or change the plan to more seats.",
        seats=count,
    )
