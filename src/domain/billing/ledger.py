"""The credit ledger: double entry, integers, nothing ever changed.

An account's balance is the sum of its postings; every entry's postings sum to zero, so
the whole ledger does. Credits enter from the house's grants account, wait in a person's
reserved account while a step runs, and end as revenue or back where they came from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.shared.errors import DomainError
from domain.shared.ids import RunId, UserId


class AccountKind(StrEnum):
    """What an account is for. The first two are a person's, the rest the house's."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    GRANTS = "grants"
    REVENUE = "revenue"
    HOUSE_COST = "house_cost"


PERSONAL = frozenset({AccountKind.AVAILABLE, AccountKind.RESERVED})


class InsufficientCredits(DomainError):
    """The balance does not cover what would have to be held."""

    code = "insufficient_credits"


class UnbalancedEntry(DomainError):
    """An entry's postings do not sum to zero: a fault of ours, never a person's."""

    code = "unbalanced_entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """Credits added to (positive) or taken from (negative) one account of one owner."""

    account: AccountKind
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Postings that belong together. ``key`` makes booking it twice impossible.

    Raises:
        UnbalancedEntry: the postings do not sum to zero, or there are fewer than two.
    """

    key: str
    user_id: UserId
    kind: str
    postings: tuple[Posting, ...]
    run_id: RunId | None = None
    step: str = ""

    def __post_init__(self) -> None:
        if len(self.postings) < 2 or sum(posting.amount for posting in self.postings) != 0:
            raise UnbalancedEntry(f"the postings of {self.key} do not sum to zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A person's credits: free to use, and held by steps under way."""

    available: int
    reserved: int


def grant(user_id: UserId, credits: int, key: str) -> JournalEntry:
    """Give a person credits."""
    return _entry(key, user_id, "grant", AccountKind.GRANTS, AccountKind.AVAILABLE, credits)


def reserve(user_id: UserId, run_id: RunId, step: str, credits: int, key: str) -> JournalEntry:
    """Hold credits for a step before it may spend anything."""
    return _entry(
        key, user_id, "reserve", AccountKind.AVAILABLE, AccountKind.RESERVED, credits, run_id, step
    )


def settle(
    user_id: UserId, run_id: RunId, step: str, *, held: int, used: int, house: int, key: str
) -> tuple[JournalEntry, ...]:
    """End a step's hold: what was used becomes revenue, the rest goes back.

    A use above the hold is the house's excess, never the person's. ``house`` is what the
    house bears besides: it is booked as a cost against the same revenue.
    """
    charged = min(held, used)
    borne = house + (used - charged)
    moves: Sequence[tuple[str, AccountKind, AccountKind, int]] = (
        ("settle", AccountKind.RESERVED, AccountKind.REVENUE, charged),
        ("release", AccountKind.RESERVED, AccountKind.AVAILABLE, held - charged),
        ("house", AccountKind.HOUSE_COST, AccountKind.REVENUE, borne),
    )
    return tuple(
        _entry(f"{key}:{kind}", user_id, kind, source, target, credits, run_id, step)
        for kind, source, target, credits in moves
        if credits
    )


def _entry(
    key: str,
    user_id: UserId,
    kind: str,
    source: AccountKind,
    target: AccountKind,
    credits: int,
    run_id: RunId | None = None,
    step: str = "",
) -> JournalEntry:
    if credits <= 0:
        raise ValueError("an entry moves a positive number of credits")
    return JournalEntry(
        key=key,
        user_id=user_id,
        kind=kind,
        postings=(
            Posting(account=source, amount=-credits),
            Posting(account=target, amount=credits),
        ),
        run_id=run_id,
        step=step,
    )
