"""The credit ledger's words: accounts, entries that sum to zero, and what may be asked of it.

An account's balance is the sum of its postings; every entry's postings sum to zero, so
the whole ledger does. Credits come from the house in lots, wait in a person's reserved
account while a step runs, and end as revenue, lapse, or go back where they came from.
What a request does to an account is decided in :mod:`domain.billing.account`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.shared.errors import DomainError
from domain.shared.ids import RunId, UserId


class AccountKind(StrEnum):
    """What an account is for. The first three are a person's, the rest the house's.

    ``OWED`` is what the person owes the house, as a number below zero. The ``HOUSE_…``
    accounts say what the house bears, by its reason: ``COST`` is for calls and steps that
    came to nothing, ``CRASH`` for calls whose answer a crash lost, ``REVIEW`` and ``REPAIR``
    for mending our own faults, ``EXCESS`` for a use above what was held.
    """

    AVAILABLE = "available"
    RESERVED = "reserved"
    OWED = "owed"
    GRANTS = "grants"
    EXPIRED = "expired"
    REVENUE = "revenue"
    HOUSE_COST = "house_cost"
    HOUSE_CRASH = "house_crash"
    HOUSE_REVIEW = "house_review"
    HOUSE_REPAIR = "house_repair"
    HOUSE_EXCESS = "house_excess"


PERSONAL = frozenset({AccountKind.AVAILABLE, AccountKind.RESERVED, AccountKind.OWED})
IN_LOTS = frozenset({AccountKind.AVAILABLE, AccountKind.RESERVED})
"""The accounts whose credits come from lots: their postings name one."""

HOUSE_BORNE = frozenset(
    {
        AccountKind.HOUSE_COST,
        AccountKind.HOUSE_CRASH,
        AccountKind.HOUSE_REVIEW,
        AccountKind.HOUSE_REPAIR,
        AccountKind.HOUSE_EXCESS,
    }
)


class EntryKind(StrEnum):
    """What an entry of the journal records."""

    GRANT = "grant"
    CLAW_BACK = "claw_back"
    RESERVE = "reserve"
    SETTLE = "settle"
    RELEASE = "release"
    EXPIRE = "expire"
    HOUSE = "house"


class LotKind(StrEnum):
    """Where a lot of credits came from, in the order in which lots are spent.

    What is given for a month goes before what was given away, and that before what was
    paid for: so nothing that was bought is used up while something free would lapse.
    """

    PLAN_GRANT = "plan_grant"
    PROMOTION = "promotion"
    ADJUSTMENT = "adjustment"
    TOP_UP = "top_up"


class InsufficientCredits(DomainError):
    """The balance does not cover what would have to be held."""

    code = "insufficient_credits"


class CapReached(DomainError):
    """The run may not spend as much as its next call could come to."""

    code = "cap_reached"


class CreditsOwed(DomainError):
    """Somebody who owes the house may begin nothing new. What was accepted goes on."""

    code = "credits_owed"


class UnbalancedEntry(DomainError):
    """An entry's postings do not sum to zero: a fault of ours, never a person's."""

    code = "unbalanced_entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """Credits added to (positive) or taken from (negative) one account of one owner.

    ``lot`` is the number of the person's lot they belong to, where the account has lots.
    """

    account: AccountKind
    amount: int
    lot: int | None = None

    def __post_init__(self) -> None:
        if (self.account in IN_LOTS) != (self.lot is not None):
            raise ValueError(f"a posting to {self.account} names the wrong lot: {self.lot}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Postings that belong together. ``key`` makes booking it twice impossible.

    Raises:
        UnbalancedEntry: the postings do not sum to zero, or there are fewer than two.
    """

    key: str
    user_id: UserId
    kind: EntryKind
    postings: tuple[Posting, ...]
    run_id: RunId | None = None
    step: str = ""

    def __post_init__(self) -> None:
        if len(self.postings) < 2 or sum(posting.amount for posting in self.postings) != 0:
            raise UnbalancedEntry(f"the postings of {self.key} do not sum to zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A person's credits: free to use, held by steps under way, and owed to the house.

    Nobody has free credits and owes some: what comes in pays what is owed first.
    """

    available: int
    reserved: int
    owed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Credits that came together and lapse together, as far as they are free.

    ``number`` counts the person's lots from 1; ``remaining`` is neither held nor gone.
    ``reference`` names what they were given for, e.g. a payment.
    """

    number: int
    kind: LotKind
    granted: int
    remaining: int
    expires_at: datetime | None
    reference: str
    granted_at: datetime

    def lapsed(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Credits for a person, as a lot of their own; ``key`` makes giving them twice impossible.

    Raises:
        ValueError: it is not a positive number of credits.
    """

    user_id: UserId
    key: str
    credits: int
    kind: LotKind
    expires_at: datetime | None = None
    reference: str = ""

    def __post_init__(self) -> None:
        _positive(self.credits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClawBack:
    """Credits taken back, e.g. after a refund; first from the lot with that reference.

    Raises:
        ValueError: it is not a positive number of credits.
    """

    user_id: UserId
    key: str
    credits: int
    reference: str = ""

    def __post_init__(self) -> None:
        _positive(self.credits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClawedBack:
    """What a claw-back found free and took, and what the person owes now because of it."""

    taken: int
    owed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Credits to be held for a step before it may spend them, booked once by ``key``.

    ``room`` is what the run may still be charged, by its cap and what it was charged before;
    what its steps hold already counts against it. None is without bound.

    Raises:
        ValueError: it is not a positive number of credits.
    """

    user_id: UserId
    key: str
    run_id: RunId
    step: str
    credits: int
    room: int | None = None

    def __post_init__(self) -> None:
        _positive(self.credits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The end of a step's hold, booked once by ``key``.

    ``used`` is for the person to pay, as far as it was held; ``house`` is what the house
    bears besides, by its account.

    Raises:
        ValueError: an amount is negative, or an account is not of what the house bears.
    """

    user_id: UserId
    key: str
    run_id: RunId
    step: str
    used: int
    house: Mapping[AccountKind, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.used, *self.house.values(), 0) < 0:
            raise ValueError("an amount of credits cannot be negative")
        if not self.house.keys() <= HOUSE_BORNE:
            raise ValueError("only the house's own accounts bear its costs")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of every entry it may come to."""
        kinds = (EntryKind.SETTLE, EntryKind.RELEASE, EntryKind.EXPIRE, *sorted(HOUSE_BORNE))
        return tuple(f"{self.key}:{kind.value}" for kind in kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseCost:
    """What the house bears of a step that was settled before, booked once by ``key``.

    Raises:
        ValueError: it is not a positive number of credits, or the account is not of what the
            house bears.
    """

    user_id: UserId
    key: str
    run_id: RunId
    step: str
    account: AccountKind
    credits: int

    def __post_init__(self) -> None:
        _positive(self.credits)
        if self.account not in HOUSE_BORNE:
            raise ValueError("only the house's own accounts bear its costs")


def _positive(credits: int) -> None:
    if credits <= 0:
        raise ValueError("an entry moves a positive number of credits")
