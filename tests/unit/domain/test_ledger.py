"""The ledger: every entry balances, and a hold is split without remainder."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.ledger import (
    PERSONAL,
    AccountKind,
    JournalEntry,
    Posting,
    UnbalancedEntry,
    grant,
    reserve,
    settle,
)
from domain.shared.ids import RunId, UserId

USER, RUN = UserId(UUID(int=1)), RunId(UUID(int=2))
CREDITS = st.integers(0, 10**9)
AMOUNTS = st.integers(1, 10**9)


def sums(entries: Iterable[JournalEntry]) -> Counter[AccountKind]:
    """What the entries together do to each account."""
    total: Counter[AccountKind] = Counter(dict.fromkeys(AccountKind, 0))
    for entry in entries:
        for posting in entry.postings:
            total[posting.account] += posting.amount
    return total


def settled(held: int, used: int, house: int) -> tuple[JournalEntry, ...]:
    """A step's hold, ended."""
    return settle(USER, RUN, "idea", held=held, used=used, house=house, key="settle:1")


class TestSettling:
    @given(CREDITS, CREDITS, CREDITS)
    def test_all_that_was_held_leaves_the_hold(self, held: int, used: int, house: int) -> None:
        assert sums(settled(held, used, house))[AccountKind.RESERVED] == -held

    @given(CREDITS, CREDITS, CREDITS)
    def test_what_was_charged_and_what_goes_back_are_what_was_held(
        self, held: int, used: int, house: int
    ) -> None:
        moved = {entry.kind: entry.postings[1].amount for entry in settled(held, used, house)}
        assert moved.get("settle", 0) + moved.get("release", 0) == held

    @given(CREDITS, CREDITS, CREDITS)
    def test_a_person_pays_what_was_used_and_at_most_what_was_held(
        self, held: int, used: int, house: int
    ) -> None:
        total = sums(settled(held, used, house))
        assert -sum(total[kind] for kind in PERSONAL) == min(held, used)

    @given(CREDITS, CREDITS, CREDITS)
    def test_the_house_bears_its_own_and_the_excess(self, held: int, used: int, house: int) -> None:
        total = sums(settled(held, used, house))
        assert -total[AccountKind.HOUSE_COST] == house + max(used - held, 0)

    @given(CREDITS, CREDITS, CREDITS)
    def test_revenue_is_all_that_was_used_whoever_bears_it(
        self, held: int, used: int, house: int
    ) -> None:
        assert sums(settled(held, used, house))[AccountKind.REVENUE] == used + house

    @given(CREDITS, CREDITS, CREDITS)
    def test_no_two_entries_of_a_settlement_share_a_key(
        self, held: int, used: int, house: int
    ) -> None:
        keys = [entry.key for entry in settled(held, used, house)]
        assert len(keys) == len(set(keys))

    @given(CREDITS, CREDITS, CREDITS)
    def test_no_entry_moves_nothing(self, held: int, used: int, house: int) -> None:
        entries = settled(held, used, house)
        assert all(posting.amount for entry in entries for posting in entry.postings)

    def test_nothing_held_and_nothing_used_is_no_entry(self) -> None:
        assert settled(0, 0, 0) == ()

    @given(CREDITS, CREDITS, CREDITS)
    def test_every_entry_names_the_step_it_settles(self, held: int, used: int, house: int) -> None:
        for entry in settled(held, used, house):
            assert (entry.user_id, entry.run_id, entry.step) == (USER, RUN, "idea")


class TestBalance:
    @given(AMOUNTS, CREDITS, CREDITS, CREDITS)
    def test_every_entry_sums_to_zero(self, amount: int, held: int, used: int, house: int) -> None:
        entries = (
            grant(USER, amount, "grant:1"),
            reserve(USER, RUN, "idea", amount, "reserve:1"),
            *settled(held, used, house),
        )
        assert [sum(sums([entry]).values()) for entry in entries] == [0] * len(entries)

    @given(st.lists(st.builds(Posting, account=st.sampled_from(AccountKind), amount=AMOUNTS)))
    def test_an_entry_that_does_not_sum_to_zero_cannot_be_made(
        self, postings: list[Posting]
    ) -> None:
        with pytest.raises(UnbalancedEntry):
            JournalEntry(key="any", user_id=USER, kind="any", postings=tuple(postings))

    def test_an_entry_of_one_posting_cannot_be_made(self) -> None:
        nothing = Posting(account=AccountKind.AVAILABLE, amount=0)
        with pytest.raises(UnbalancedEntry):
            JournalEntry(key="any", user_id=USER, kind="any", postings=(nothing,))

    @given(AMOUNTS)
    def test_a_grant_comes_from_the_house(self, credits: int) -> None:
        total = sums([grant(USER, credits, "grant:1")])
        assert (total[AccountKind.GRANTS], total[AccountKind.AVAILABLE]) == (-credits, credits)

    @given(AMOUNTS)
    def test_a_reservation_takes_nothing_from_the_person(self, credits: int) -> None:
        total = sums([reserve(USER, RUN, "idea", credits, "reserve:1")])
        assert (total[AccountKind.AVAILABLE], total[AccountKind.RESERVED]) == (-credits, credits)

    @given(st.integers(max_value=0))
    def test_an_entry_moves_a_positive_amount(self, credits: int) -> None:
        with pytest.raises(ValueError, match="positive"):
            grant(USER, credits, "grant:1")
