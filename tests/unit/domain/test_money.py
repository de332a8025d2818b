"""Money: rounded once, up, and by less than a credit."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shared.money import NANO_PER_USD, ExchangeRate, rupees

RATES = st.integers(1, 100_000).map(
    lambda paise: ExchangeRate(
        paise_per_usd=paise, valid_from=datetime(2026, 11, 1, tzinfo=UTC), source="test"
    )
)
COSTS = st.integers(0, 10**15)


def exact(rate: ExchangeRate, nano_usd: int) -> Fraction:
    """The cost in credits before rounding."""
    return Fraction(nano_usd * rate.paise_per_usd, NANO_PER_USD)


@given(RATES, COSTS)
def test_credits_are_never_below_the_exact_cost(rate: ExchangeRate, cost: int) -> None:
    assert rate.credits_for(cost) >= exact(rate, cost)


@given(RATES, COSTS)
def test_credits_are_less_than_one_above_the_exact_cost(rate: ExchangeRate, cost: int) -> None:
    assert rate.credits_for(cost) - exact(rate, cost) < 1


@given(RATES, st.integers(0, 100_000))
def test_whole_dollars_are_exact(rate: ExchangeRate, dollars: int) -> None:
    assert rate.credits_for(dollars * NANO_PER_USD) == dollars * rate.paise_per_usd


@given(RATES, st.lists(COSTS, min_size=1, max_size=8))
def test_rounding_the_sum_costs_no_more_than_rounding_each(
    rate: ExchangeRate, costs: list[int]
) -> None:
    assert rate.credits_for(sum(costs)) <= sum(rate.credits_for(cost) for cost in costs)


@given(RATES, COSTS, COSTS)
def test_a_greater_cost_is_never_fewer_credits(rate: ExchangeRate, one: int, two: int) -> None:
    assert rate.credits_for(min(one, two)) <= rate.credits_for(max(one, two))


@given(RATES, st.integers(max_value=-1))
def test_a_negative_cost_is_refused(rate: ExchangeRate, cost: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        rate.credits_for(cost)


@pytest.mark.parametrize(
    ("credits", "shown"),
    [(0, "₹0.00"), (5, "₹0.05"), (1234, "₹12.34"), (100_000, "₹1000.00"), (-7, "-₹0.07")],
)
def test_credits_are_shown_as_rupees(credits: int, shown: str) -> None:
    assert rupees(credits) == shown


@given(st.integers())
def test_nothing_is_lost_in_showing(credits: int) -> None:
    assert int(rupees(credits).replace("₹", "").replace(".", "")) == credits
