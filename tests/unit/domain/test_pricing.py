"""Prices: the row in force on a day, for a length of prompt."""

from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.billing.pricing import ModelPrice, UnknownPrice, price_of
from domain.billing.usage import TokenUsage

START = date(2026, 1, 1)


def price(
    valid_from: date = START, prompt_up_to: int | None = None, model: str = "model-a"
) -> ModelPrice:
    """A row whose figures do not matter."""
    return ModelPrice(
        model=model,
        valid_from=valid_from,
        prompt_up_to=prompt_up_to,
        input=2_000,
        output=10_000,
        cache_write=2_500,
        cache_write_1h=4_000,
        cache_read=100,
        source="test",
    )


DAYS = st.integers(0, 40).map(lambda days: START + timedelta(days=days))
BANDS = st.none() | st.integers(0, 20)
ROWS = st.lists(st.builds(price, DAYS, BANDS, st.sampled_from(["model-a", "model-b"])))
USAGES = st.builds(
    TokenUsage,
    input=st.integers(0, 10**6),
    output=st.integers(0, 10**6),
    cache_write=st.integers(0, 10**6),
    cache_read=st.integers(0, 10**6),
)


def holds(row: ModelPrice, prompt: int) -> bool:
    """Whether the row's band is for a prompt of that length."""
    return row.prompt_up_to is None or prompt <= row.prompt_up_to


class TestTheRowInForce:
    @given(ROWS, DAYS, st.integers(0, 25))
    def test_it_is_the_narrowest_band_of_the_newest_day(
        self, rows: list[ModelPrice], on: date, prompt: int
    ) -> None:
        valid = [row for row in rows if row.model == "model-a" and row.valid_from <= on]
        newest = [
            row for row in valid if all(row.valid_from >= other.valid_from for other in valid)
        ]
        fitting = [row for row in newest if holds(row, prompt)]
        assume(fitting)
        chosen = price_of(rows, "model-a", on, prompt)
        assert chosen in fitting
        assert all(
            row.prompt_up_to is None
            or (chosen.prompt_up_to is not None and chosen.prompt_up_to <= row.prompt_up_to)
            for row in fitting
        )

    @given(ROWS, DAYS, st.integers(0, 25))
    def test_it_does_not_depend_on_the_order_of_the_rows(
        self, rows: list[ModelPrice], on: date, prompt: int
    ) -> None:
        assume(any(row.model == "model-a" and row.valid_from <= on for row in rows))
        try:
            chosen = price_of(rows, "model-a", on, prompt)
        except UnknownPrice:
            with pytest.raises(UnknownPrice):
                price_of(rows[::-1], "model-a", on, prompt)
        else:
            assert price_of(rows[::-1], "model-a", on, prompt) == chosen

    def test_a_price_holds_from_its_first_day(self) -> None:
        old, new = price(START), price(START + timedelta(days=7))
        assert price_of([old, new], "model-a", START + timedelta(days=6), 1) == old
        assert price_of([old, new], "model-a", START + timedelta(days=7), 1) == new

    def test_a_band_holds_up_to_and_with_its_bound(self) -> None:
        narrow, wide = price(prompt_up_to=100), price()
        assert price_of([wide, narrow], "model-a", START, 100) == narrow
        assert price_of([wide, narrow], "model-a", START, 101) == wide

    def test_an_older_days_band_does_not_fill_in_for_a_newer_day(self) -> None:
        rows = [price(START), price(START + timedelta(days=1), prompt_up_to=100)]
        with pytest.raises(UnknownPrice):
            price_of(rows, "model-a", START + timedelta(days=1), 101)

    def test_a_model_has_no_price_before_its_first_row(self) -> None:
        with pytest.raises(UnknownPrice):
            price_of([price(START)], "model-a", START - timedelta(days=1), 1)

    def test_a_model_has_no_price_of_anothers(self) -> None:
        with pytest.raises(UnknownPrice, match="model-b"):
            price_of([price()], "model-b", START, 1)


class TestCost:
    def test_each_bucket_has_its_own_price(self) -> None:
        usage = TokenUsage(input=1, output=10, cache_write=100, cache_read=1_000)
        assert price().cost(usage) == 2_000 + 100_000 + 250_000 + 100_000

    @given(USAGES, USAGES)
    def test_the_cost_of_a_sum_is_the_sum_of_the_costs(
        self, one: TokenUsage, two: TokenUsage
    ) -> None:
        assert price().cost(one + two) == price().cost(one) + price().cost(two)

    @given(USAGES)
    def test_no_prompt_costs_more_than_the_dearest_bucket(self, usage: TokenUsage) -> None:
        row = price()
        assert row.cost(usage) <= usage.prompt * row.dearest_input + usage.output * row.output
