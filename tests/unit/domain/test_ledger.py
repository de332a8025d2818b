"""The ledger's entries: every one balances, and names the lots of a person's credits."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.ledger import (
    IN_LOTS,
    AccountKind,
    EntryKind,
    Grant,
    JournalEntry,
    LotKind,
    Posting,
    Settlement,
    UnbalancedEntry,
)
from domain.shared.ids import RunId, UserId

USER, RUN = UserId(UUID(int=1)), RunId(UUID(int=2))
POSTINGS = st.sampled_from(AccountKind).flatmap(
    lambda account: st.builds(
        Posting,
        account=st.just(account),
        amount=st.integers(1, 10**9),
        lot=st.integers(1, 9) if account in IN_LOTS else st.none(),
    )
)


@given(st.lists(POSTINGS))
def test_an_entry_that_does_not_sum_to_zero_cannot_be_made(postings: list[Posting]) -> None:
    with pytest.raises(UnbalancedEntry):
        JournalEntry(key="any", user_id=USER, kind=EntryKind.HOUSE, postings=tuple(postings))


def test_an_entry_of_one_posting_cannot_be_made() -> None:
    nothing = Posting(account=AccountKind.GRANTS, amount=0)
    with pytest.raises(UnbalancedEntry):
        JournalEntry(key="any", user_id=USER, kind=EntryKind.HOUSE, postings=(nothing,))


@pytest.mark.parametrize("account", AccountKind)
def test_credits_of_a_person_are_of_a_lot_and_the_houses_are_not(account: AccountKind) -> None:
    with pytest.raises(ValueError, match="lot"):
        Posting(account=account, amount=1, lot=None if account in IN_LOTS else 1)


@given(st.integers(max_value=0))
def test_a_grant_gives_a_positive_amount(credits: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Grant(user_id=USER, key="any", credits=credits, kind=LotKind.TOP_UP)


def test_the_house_bears_its_costs_in_its_own_accounts_alone() -> None:
    with pytest.raises(ValueError, match="own accounts"):
        Settlement(
            user_id=USER,
            key="any",
            run_id=RUN,
            step="idea",
            used=0,
            house={AccountKind.AVAILABLE: 1},
        )
