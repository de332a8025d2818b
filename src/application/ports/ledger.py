"""The account of credits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.billing.days import ALWAYS, Days
from domain.billing.ledger import (
    AccountKind,
    Balance,
    ClawBack,
    ClawedBack,
    EntryKind,
    Grant,
    HouseCost,
    Lot,
    Reservation,
    Settlement,
)
from domain.shared.ids import RunId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryQuery:
    """Which entries: the newest with numbers below ``before``, of a kind, a run or some days."""

    limit: int
    before: int | None = None
    kind: EntryKind | None = None
    run_id: RunId | None = None
    days: Days = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedEntry:
    """An entry as it is booked: its number, its moment, and its postings by account."""

    number: int
    at: datetime
    kind: EntryKind
    run_id: RunId | None
    step: str
    sums: Mapping[AccountKind, int]


class LapsedCredits(Protocol):
    """Whose credits have lapsed, looked up across all people: for the dispatcher."""

    async def owners(self, limit: int) -> Sequence[UserId]:
        """Some of the people with free credits whose time is over.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...


class Ledger(Protocol):
    """The person's account, and the house's side of it."""

    async def open(self, user_id: UserId) -> None:
        """Open the account with a balance of zero."""
        ...

    async def balance(self, user_id: UserId) -> Balance:
        """What is free and what is held."""
        ...

    async def owed(self) -> int:
        """What the transaction's person owes: clawed back, and spent by then."""
        ...

    async def grant(self, grant: Grant) -> bool:
        """Give credits as a lot, once: False when its key was booked before.

        What is owed is paid from it first.
        """
        ...

    async def claw_back(self, claw: ClawBack) -> ClawedBack | None:
        """Take credits back, once: None when its key was booked before.

        What is free is taken, of the lot with its reference first; the rest is owed.
        """
        ...

    async def reserve(self, wanted: Reservation) -> bool:
        """Hold credits for a step, once: False when its key was booked before.

        Raises:
            CapReached: the run's steps would hold more than its room.
            InsufficientCredits: less is free. Nothing was changed, and the block may go on.
        """
        ...

    async def lock(self) -> None:
        """Keep everybody else from the person's account until the commit.

        What is read by statements after this one is what the account's last change left.
        """
        ...

    async def bear(self, cost: HouseCost) -> bool:
        """Book what the house bears of a settled step, once: False when its key was before.

        Holds and balance are left as they are.
        """
        ...

    async def settle(self, settled: Settlement) -> int:
        """End a step's hold, and note on its run what it was charged; returns that.

        Once: a settlement whose key was booked before changes nothing, and what it charged
        then is returned.
        """
        ...

    async def expire(self) -> int:
        """Let lapse what is free of lots whose time is over; returns how many credits."""
        ...

    async def lots(self) -> Sequence[Lot]:
        """The person's lots with anything free that has not lapsed, in the order of spending."""
        ...

    async def account(self) -> tuple[Balance, Sequence[Lot]]:
        """:meth:`balance` and :meth:`lots` of one moment, whatever moves meanwhile.

        What has lapsed is no longer free, even before it is booked.
        """
        ...

    async def entries(self, query: EntryQuery) -> Sequence[BookedEntry]:
        """The person's entries that fit, newest first."""
        ...

    async def held(self, run_id: RunId, step: str) -> int:
        """What the step holds."""
        ...

    async def held_steps(self, run_id: RunId) -> Sequence[str]:
        """The run's steps that hold anything."""
        ...
