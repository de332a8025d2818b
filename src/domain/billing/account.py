"""What a request does to one person's account: pure decisions, written down as entries.

An adapter reads the account under its lock, asks here, and applies the postings of the
answer to balances, lots and holds alike. So no adapter decides anything about credits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.billing.ledger import (
    AccountKind,
    Balance,
    CapReached,
    ClawBack,
    ClawedBack,
    EntryKind,
    Grant,
    HouseCost,
    InsufficientCredits,
    JournalEntry,
    Lot,
    LotKind,
    Posting,
    Reservation,
    Settlement,
)
from domain.shared.ids import UserId

_ORDER = {kind: rank for rank, kind in enumerate(LotKind)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person's account as it stands at ``now``.

    ``lots`` are those with anything left free or, to settle, those of the hold; ``held`` is
    the step's hold by lot, ``held_by_run`` what all steps of its run hold. ``lots_made``
    counts all lots there ever were.
    """

    user_id: UserId
    now: datetime
    balance: Balance
    lots_made: int
    lots: tuple[Lot, ...] = ()
    held: Mapping[int, int] = field(default_factory=dict)
    held_by_run: int = 0

    def grant(self, grant: Grant) -> tuple[JournalEntry, Lot]:
        """Give credits as a new lot; what is owed is paid from it first."""
        paid = min(self.balance.owed, grant.credits)
        lot = Lot(
            number=self.lots_made + 1,
            kind=grant.kind,
            granted=grant.credits,
            remaining=grant.credits - paid,
            expires_at=grant.expires_at,
            reference=grant.reference,
            granted_at=self.now,
        )
        entry = self._entry(
            grant.key,
            EntryKind.GRANT,
            Posting(account=AccountKind.GRANTS, amount=-grant.credits),
            Posting(account=AccountKind.OWED, amount=paid),
            Posting(account=AccountKind.AVAILABLE, amount=lot.remaining, lot=lot.number),
        )
        return entry, lot

    def claw_back(self, claw: ClawBack) -> tuple[tuple[JournalEntry, ...], ClawedBack]:
        """Take back what is free, from the lot it was given in first; the rest is owed.

        What has lapsed is gone already: nobody pays with it. What is held stays held.
        """
        free = self._free(lambda lot: (lot.reference != claw.reference, *spend_order(lot)))
        taken = min(claw.credits, sum(free.values()))
        entry = self._entry(
            claw.key,
            EntryKind.CLAW_BACK,
            *_postings(AccountKind.AVAILABLE, _draw(free, taken), -1),
            Posting(account=AccountKind.OWED, amount=taken - claw.credits),
            Posting(account=AccountKind.GRANTS, amount=claw.credits),
        )
        return (*self.expire(), entry), ClawedBack(taken=taken, owed=claw.credits - taken)

    def reserve(self, wanted: Reservation) -> tuple[JournalEntry, ...]:
        """Hold credits of the lots that are to be spent first.

        What has lapsed cannot be held any more; from then on what is held cannot lapse.

        Raises:
            CapReached: the run's steps would hold more than its room.
            InsufficientCredits: less is free.
        """
        if wanted.room is not None and self.held_by_run + wanted.credits > wanted.room:
            left = max(0, wanted.room - self.held_by_run)
            raise CapReached(
                f"The next call may need {wanted.credits} credits; the run's cap leaves {left}. "
                "Retry it with a higher cap: what is finished is kept.",
                needed=wanted.credits,
                left=left,
            )
        free = self._free(spend_order)
        available = sum(free.values())
        if available < wanted.credits:
            raise InsufficientCredits(
                f"This needs {wanted.credits} credits free; {available} are.",
                needed=wanted.credits,
                available=available,
            )
        draws = _draw(free, wanted.credits)
        entry = self._entry(
            wanted.key,
            EntryKind.RESERVE,
            *_postings(AccountKind.AVAILABLE, draws, -1),
            *_postings(AccountKind.RESERVED, draws, 1),
            of=wanted,
        )
        return (*self.expire(), entry)

    def settle(self, settled: Settlement) -> tuple[tuple[JournalEntry, ...], int]:
        """End a step's hold: what was used becomes revenue, the rest goes back.

        A use above the hold is the house's excess, never the person's. Of the hold, what
        would lapse is used first. What goes back pays what is owed, and lapses where its
        lot's time is over. Also returns the credits charged.
        """
        held = sum(self.held.values())
        charged = min(held, settled.used)
        by_use = sorted(self.lots, key=lambda lot: (not lot.lapsed(self.now), *spend_order(lot)))
        mine = {lot.number: self.held[lot.number] for lot in by_use if lot.number in self.held}
        used = _draw(mine, charged)
        rest = {number: part - used.get(number, 0) for number, part in mine.items()}
        lapsed = {lot.number for lot in by_use if lot.lapsed(self.now)}
        lapsing = {number: part for number, part in rest.items() if number in lapsed and part}
        back = {number: part for number, part in rest.items() if number not in lapsed and part}
        paid = _draw(back, min(self.balance.owed, sum(back.values())))
        free = {number: part - paid.get(number, 0) for number, part in back.items()}
        house = dict(settled.house)
        excess = house.get(AccountKind.HOUSE_EXCESS, 0) + settled.used - charged
        house[AccountKind.HOUSE_EXCESS] = excess
        moves: list[tuple[str, EntryKind, tuple[Posting, ...]]] = [
            (
                EntryKind.SETTLE.value,
                EntryKind.SETTLE,
                (
                    *_postings(AccountKind.RESERVED, used, -1),
                    Posting(account=AccountKind.REVENUE, amount=charged),
                ),
            ),
            (
                EntryKind.RELEASE.value,
                EntryKind.RELEASE,
                (
                    *_postings(AccountKind.RESERVED, back, -1),
                    Posting(account=AccountKind.OWED, amount=sum(paid.values())),
                    *_postings(AccountKind.AVAILABLE, free, 1),
                ),
            ),
            (
                EntryKind.EXPIRE.value,
                EntryKind.EXPIRE,
                (
                    *_postings(AccountKind.RESERVED, lapsing, -1),
                    Posting(account=AccountKind.EXPIRED, amount=sum(lapsing.values())),
                ),
            ),
        ]
        moves += [
            (
                account.value,
                EntryKind.HOUSE,
                (
                    Posting(account=account, amount=-borne),
                    Posting(account=AccountKind.REVENUE, amount=borne),
                ),
            )
            for account, borne in house.items()
        ]
        entries = tuple(
            self._entry(f"{settled.key}:{name}", kind, *postings, of=settled)
            for name, kind, postings in moves
            if any(posting.amount for posting in postings)
        )
        return entries, charged

    def bear(self, cost: HouseCost) -> JournalEntry:
        """Book a cost of the house's that came to light after its step's settlement."""
        return self._entry(
            cost.key,
            EntryKind.HOUSE,
            Posting(account=cost.account, amount=-cost.credits),
            Posting(account=AccountKind.REVENUE, amount=cost.credits),
            of=cost,
        )

    def expire(self) -> tuple[JournalEntry, ...]:
        """Let lapse what is free of the lots whose time is over. What is held stays."""
        return tuple(
            self._entry(
                f"expire:{self.user_id}:{lot.number}:{self.now.isoformat()}",
                EntryKind.EXPIRE,
                Posting(account=AccountKind.AVAILABLE, amount=-lot.remaining, lot=lot.number),
                Posting(account=AccountKind.EXPIRED, amount=lot.remaining),
            )
            for lot in self.lots
            if lot.remaining and lot.lapsed(self.now)
        )

    def _free(self, order: Callable[[Lot], tuple[object, ...]]) -> dict[int, int]:
        """What is free and has not lapsed, by lot, in that order."""
        usable = [lot for lot in self.lots if lot.remaining and not lot.lapsed(self.now)]
        return {lot.number: lot.remaining for lot in sorted(usable, key=order)}

    def _entry(
        self,
        key: str,
        kind: EntryKind,
        *postings: Posting,
        of: Reservation | Settlement | HouseCost | None = None,
    ) -> JournalEntry:
        """An entry of the postings that move anything."""
        return JournalEntry(
            key=key,
            user_id=self.user_id,
            kind=kind,
            postings=tuple(posting for posting in postings if posting.amount),
            run_id=of.run_id if of else None,
            step=of.step if of else "",
        )


def spend_order(lot: Lot) -> tuple[int, bool, float, int]:
    """The key that sorts lots into the order they are spent in.

    By kind, then what lapses first, then the oldest.
    """
    until = 0.0 if lot.expires_at is None else lot.expires_at.timestamp()
    return _ORDER[lot.kind], lot.expires_at is None, until, lot.number


def _draw(parts: Mapping[int, int], credits: int) -> dict[int, int]:
    """How much to take of which part, in their order, to come to ``credits``.

    Raises:
        ValueError: they do not come to as much.
    """
    draws: dict[int, int] = {}
    missing = credits
    for number, part in parts.items():
        drawn = min(part, missing)
        if drawn:
            draws[number] = drawn
            missing -= drawn
    if missing:
        raise ValueError(f"the lots lack {missing} of {credits} credits")
    return draws


def _postings(account: AccountKind, draws: Mapping[int, int], sign: int) -> tuple[Posting, ...]:
    return tuple(
        Posting(account=account, amount=sign * amount, lot=lot) for lot, amount in draws.items()
    )
