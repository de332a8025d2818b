"""An account: whatever is asked of it in whatever order, it balances, lot by lot."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.billing.account import Account
from domain.billing.ledger import (
    HOUSE_BORNE,
    AccountKind,
    Balance,
    CapReached,
    ClawBack,
    EntryKind,
    Grant,
    HouseCost,
    InsufficientCredits,
    JournalEntry,
    Lot,
    LotKind,
    Reservation,
    Settlement,
)
from domain.shared.ids import RunId, UserId

USER, RUN = UserId(UUID(int=1)), RunId(UUID(int=2))
NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def lot(number: int, remaining: int, **changes: object) -> Lot:
    plain = Lot(
        number=number,
        kind=LotKind.TOP_UP,
        granted=1_000,
        remaining=remaining,
        expires_at=None,
        reference="",
        granted_at=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # checked by use


def account(*lots: Lot, owed: int = 0, **changes: object) -> Account:
    free = sum(each.remaining for each in lots)
    plain = Account(
        user_id=USER,
        now=NOW,
        balance=Balance(available=free, reserved=0, owed=owed),
        lots_made=len(lots),
        lots=lots,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # checked by use


def wanted(credits: int, room: int | None = None) -> Reservation:
    return Reservation(user_id=USER, key="r", run_id=RUN, step="idea", credits=credits, room=room)


def drawn(entry: JournalEntry, kind: AccountKind) -> dict[int | None, int]:
    return {posting.lot: posting.amount for posting in entry.postings if posting.account is kind}


class TestSpendOrder:
    def test_a_plans_before_a_gift_before_a_correction_before_what_was_bought(self) -> None:
        lots = [lot(rank + 1, 10, kind=kind) for rank, kind in enumerate(reversed(LotKind))]
        (entry,) = account(*lots).reserve(wanted(35))
        assert drawn(entry, AccountKind.RESERVED) == {4: 10, 3: 10, 2: 10, 1: 5}

    def test_of_one_kind_what_lapses_first(self) -> None:
        (entry,) = account(
            lot(1, 10),
            lot(2, 10, expires_at=NOW + 2 * DAY),
            lot(3, 10, expires_at=NOW + DAY),
        ).reserve(wanted(21))
        assert drawn(entry, AccountKind.RESERVED) == {3: 10, 2: 10, 1: 1}

    def test_of_one_time_the_oldest(self) -> None:
        (entry,) = account(lot(2, 10), lot(1, 10)).reserve(wanted(15))
        assert drawn(entry, AccountKind.RESERVED) == {1: 10, 2: 5}

    def test_a_claw_back_begins_with_the_lot_it_is_about(self) -> None:
        lots = (lot(1, 10, kind=LotKind.PLAN_GRANT), lot(2, 10, reference="pay_1"))
        claw = ClawBack(user_id=USER, key="c", credits=15, reference="pay_1")
        (entry,), clawed = account(*lots).claw_back(claw)
        assert drawn(entry, AccountKind.AVAILABLE) == {2: -10, 1: -5}
        assert (clawed.taken, clawed.owed) == (15, 0)


class TestExpiry:
    def test_a_lot_lapses_at_its_moment_and_not_before(self) -> None:
        full = lot(1, 10, expires_at=NOW)
        assert account(full, now=NOW - timedelta(microseconds=1)).expire() == ()
        (entry,) = account(full).expire()
        assert drawn(entry, AccountKind.EXPIRED) == {None: 10}

    def test_what_a_step_holds_does_not_lapse_under_it(self) -> None:
        held = account(lot(1, 0, expires_at=NOW - DAY), held={1: 10})
        assert held.expire() == ()
        (entry,), charged = held.settle(settlement(used=10))
        assert (entry.kind, charged) == (EntryKind.SETTLE, 10)

    def test_what_comes_back_too_late_lapses(self) -> None:
        held = account(lot(1, 0, expires_at=NOW - DAY), held={1: 10})
        entries, charged = held.settle(settlement(used=4))
        assert [entry.kind for entry in entries] == [EntryKind.SETTLE, EntryKind.EXPIRE]
        assert drawn(entries[1], AccountKind.EXPIRED) == {None: 6}
        assert charged == 4

    def test_of_a_hold_what_would_lapse_is_used_first(self) -> None:
        held = account(
            lot(1, 0, kind=LotKind.PLAN_GRANT),
            lot(2, 0, expires_at=NOW - DAY),
            held={1: 10, 2: 10},
        )
        entries, _ = held.settle(settlement(used=10))
        assert [entry.kind for entry in entries] == [EntryKind.SETTLE, EntryKind.RELEASE]
        assert drawn(entries[0], AccountKind.RESERVED) == {2: -10}

    def test_a_reservation_first_lets_lapse_what_is_over(self) -> None:
        entries = account(lot(1, 10, expires_at=NOW), lot(2, 10)).reserve(wanted(10))
        assert [entry.kind for entry in entries] == [EntryKind.EXPIRE, EntryKind.RESERVE]
        assert drawn(entries[1], AccountKind.RESERVED) == {2: 10}


class TestSettling:
    def test_what_the_house_bears_is_by_its_reason(self) -> None:
        house = {AccountKind.HOUSE_REVIEW: 3, AccountKind.HOUSE_CRASH: 4}
        entries, charged = account(lot(1, 0), held={1: 10}).settle(settlement(used=12, house=house))
        borne = {
            posting.account: -posting.amount
            for entry in entries
            if entry.kind is EntryKind.HOUSE
            for posting in entry.postings
            if posting.amount < 0
        }
        assert borne == {**house, AccountKind.HOUSE_EXCESS: 2}
        assert charged == 10

    def test_what_the_house_bears_later_is_an_entry_of_its_own(self) -> None:
        late = HouseCost(
            user_id=USER,
            key="late:1",
            run_id=RUN,
            step="idea",
            account=AccountKind.HOUSE_CRASH,
            credits=4,
        )
        entry = account(lot(1, 5)).bear(late)
        assert (entry.key, entry.kind, entry.run_id) == ("late:1", EntryKind.HOUSE, RUN)
        assert [(posting.account, posting.amount) for posting in entry.postings] == [
            (AccountKind.HOUSE_CRASH, -4),
            (AccountKind.REVENUE, 4),
        ]

    @pytest.mark.parametrize(
        "wrong", [{"credits": 0}, {"account": AccountKind.REVENUE}], ids=["nothing", "not its"]
    )
    def test_the_house_bears_something_and_on_an_account_for_that(
        self, wrong: dict[str, Any]
    ) -> None:
        plain = {"account": AccountKind.HOUSE_CRASH, "credits": 1} | wrong
        with pytest.raises(ValueError, match=r"credits|house"):
            HouseCost(user_id=USER, key="late:1", run_id=RUN, step="idea", **plain)

    def test_nothing_held_and_nothing_used_is_no_entry(self) -> None:
        assert account().settle(settlement(used=0)) == ((), 0)

    def test_what_goes_back_pays_a_debt_first(self) -> None:
        entries, _ = account(lot(1, 0), owed=6, held={1: 10}).settle(settlement(used=0))
        (release,) = entries
        assert drawn(release, AccountKind.OWED) == {None: 6}
        assert drawn(release, AccountKind.AVAILABLE) == {1: 4}

    def test_every_key_of_a_settlement_is_known_beforehand(self) -> None:
        every = dict.fromkeys(HOUSE_BORNE, 1)
        booked = account(lot(1, 0), lot(2, 0, expires_at=NOW), held={1: 10, 2: 10}).settle(
            settlement(used=11, house=every)
        )[0]
        assert {entry.key for entry in booked} <= set(settlement(0).keys)


class TestRoom:
    def test_what_the_run_holds_already_counts(self) -> None:
        holding = account(lot(1, 100), held_by_run=30)
        assert holding.reserve(wanted(20, room=50))
        with pytest.raises(CapReached):
            holding.reserve(wanted(21, room=50))


def settlement(used: int, house: dict[AccountKind, int] | None = None) -> Settlement:
    return Settlement(user_id=USER, key="s", run_id=RUN, step="idea", used=used, house=house or {})


@dataclass
class Books:
    """An account kept by nothing but its postings."""

    entries: list[JournalEntry] = field(default_factory=list)
    lots: dict[int, Lot] = field(default_factory=dict)
    held: Counter[tuple[str, int]] = field(default_factory=Counter)
    sums: Counter[AccountKind] = field(default_factory=Counter)

    def account(self, now: datetime, step: str = "") -> Account:
        return Account(
            user_id=USER,
            now=now,
            balance=Balance(
                available=self.sums[AccountKind.AVAILABLE],
                reserved=self.sums[AccountKind.RESERVED],
                owed=-self.sums[AccountKind.OWED],
            ),
            lots_made=len(self.lots),
            lots=tuple(self.lots.values()),
            held={number: part for (of, number), part in self.held.items() if of == step and part},
            held_by_run=sum(self.held.values()),
        )

    def book(self, *entries: JournalEntry) -> None:
        for entry in entries:
            assert entry.key not in {other.key for other in self.entries}
            self.entries.append(entry)
            for posting in entry.postings:
                self.sums[posting.account] += posting.amount
                if posting.lot is None:
                    continue
                if posting.account is AccountKind.AVAILABLE:
                    before = self.lots[posting.lot]
                    after = before.remaining + posting.amount
                    self.lots[posting.lot] = replace(before, remaining=after)
                else:
                    self.held[entry.step, posting.lot] += posting.amount


CREDITS = st.integers(1, 60)
STEPS = st.sampled_from(["idea", "srs", "code"])


class AnyOrder(RuleBasedStateMachine):
    """Grants, reservations, settlements, lapses and claw-backs, while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.now = NOW
        self.keys = count()
        self.given = self.taken = self.charged = 0

    def key(self) -> str:
        return f"k{next(self.keys)}"

    @rule(credits=CREDITS, kind=st.sampled_from(LotKind), days=st.none() | st.integers(-1, 4))
    def grant(self, credits: int, kind: LotKind, days: int | None) -> None:
        entry, made = self.books.account(self.now).grant(
            Grant(
                user_id=USER,
                key=self.key(),
                credits=credits,
                kind=kind,
                expires_at=None if days is None else self.now + days * DAY,
                reference=f"pay_{len(self.books.lots) % 3}",
            )
        )
        self.books.lots[made.number] = replace(made, remaining=0)
        self.books.book(entry)
        assert self.books.lots[made.number] == made
        self.given += credits

    @rule(credits=CREDITS, step=STEPS, room=st.none() | st.integers(0, 80))
    def reserve(self, credits: int, step: str, room: int | None) -> None:
        account = self.books.account(self.now, step)
        asked = replace(wanted(credits, room), step=step, key=self.key())
        usable = sum(one.remaining for one in account.lots if not one.lapsed(self.now))
        try:
            entries = account.reserve(asked)
        except CapReached:
            assert room is not None
            assert account.held_by_run + credits > room
        except InsufficientCredits:
            assert usable < credits
        else:
            assert usable >= credits
            self.books.book(*entries)
            if room is not None:
                assert sum(self.books.held.values()) <= room

    @rule(used=st.integers(0, 80), step=STEPS, house=st.integers(0, 5))
    def settle(self, used: int, step: str, house: int) -> None:
        account = self.books.account(self.now, step)
        held = sum(account.held.values())
        ending = replace(settlement(used), step=step, key=self.key())
        entries, charged = account.settle(replace(ending, house={AccountKind.HOUSE_REPAIR: house}))
        self.books.book(*entries)
        assert charged == min(used, held)
        assert not any(part for (of, _), part in self.books.held.items() if of == step)
        self.charged += charged

    @rule(credits=CREDITS, which=st.integers(0, 2))
    def claw_back(self, credits: int, which: int) -> None:
        claw = ClawBack(user_id=USER, key=self.key(), credits=credits, reference=f"pay_{which}")
        entries, clawed = self.books.account(self.now).claw_back(claw)
        self.books.book(*entries)
        assert clawed.taken + clawed.owed == credits
        assert not clawed.owed or self.books.sums[AccountKind.AVAILABLE] == 0
        self.taken += credits

    @rule()
    def expire(self) -> None:
        self.books.book(*self.books.account(self.now).expire())
        assert not [
            one for one in self.books.lots.values() if one.remaining and one.lapsed(self.now)
        ]

    @rule(hours=st.integers(1, 72))
    def time_goes_on(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @invariant()
    def everything_adds_up(self) -> None:
        books = self.books
        assert sum(books.sums.values()) == 0
        assert all(sum(p.amount for p in entry.postings) == 0 for entry in books.entries)
        assert (
            sum(one.remaining for one in books.lots.values()) == books.sums[AccountKind.AVAILABLE]
        )
        assert sum(books.held.values()) == books.sums[AccountKind.RESERVED]
        assert all(0 <= one.remaining <= one.granted for one in books.lots.values())
        assert min(books.held.values(), default=0) >= 0

    @invariant()
    def nobody_is_below_zero_and_nobody_has_credits_and_a_debt(self) -> None:
        sums = self.books.sums
        assert sums[AccountKind.AVAILABLE] >= 0
        assert sums[AccountKind.OWED] <= 0
        assert not (sums[AccountKind.AVAILABLE] and sums[AccountKind.OWED])

    @invariant()
    def a_person_has_what_was_given_less_what_was_taken_charged_and_lapsed(self) -> None:
        sums = self.books.sums
        mine = sum(sums[kind] for kind in (AccountKind.AVAILABLE, AccountKind.RESERVED))
        net = mine + sums[AccountKind.OWED]
        assert net == self.given - self.taken - self.charged - sums[AccountKind.EXPIRED]


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=min(settings().max_examples * 15 // 2, 2_000), stateful_step_count=40
)
