"""Where a supply is, and how its price divides into value and tax."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.gst import (
    BASIS,
    OTHER_COUNTRIES,
    STATES,
    Supply,
    Taxed,
    add_tax,
    percent,
    place_name,
    place_of_supply,
    split_inclusive,
    state_tax_name,
    supply_to,
)

AMOUNTS = st.integers(0, 10**12)
RATES = st.sampled_from([0, 25, 300, 500, 1_200, 1_800, 2_800, 4_000]) | st.integers(0, BASIS)
SUPPLIES = st.sampled_from(Supply)


@given(total=AMOUNTS, rate=RATES, supply=SUPPLIES)
def test_the_parts_of_an_inclusive_price_sum_to_it(total: int, rate: int, supply: Supply) -> None:
    assert split_inclusive(total, rate, supply).total == total


@given(total=AMOUNTS, rate=RATES, supply=SUPPLIES)
def test_central_and_state_tax_are_equal_and_exclude_integrated_tax(
    total: int, rate: int, supply: Supply
) -> None:
    parts = split_inclusive(total, rate, supply)
    assert parts.cgst == parts.sgst
    if supply is Supply.INTRA_STATE:
        assert parts.igst == 0
    else:
        assert parts.cgst == 0
    if not supply.taxed:
        assert parts.tax == 0


@given(total=AMOUNTS, rate=RATES, supply=SUPPLIES.filter(lambda supply: supply.taxed))
def test_the_tax_is_within_a_paisa_of_the_exact_one(total: int, rate: int, supply: Supply) -> None:
    exact = total * rate / (BASIS + rate)
    assert abs(split_inclusive(total, rate, supply).tax - exact) <= 1 + exact * 1e-12


@given(value=AMOUNTS, rate=RATES, supply=SUPPLIES)
def test_tax_put_on_a_value_leaves_the_value(value: int, rate: int, supply: Supply) -> None:
    amounts = add_tax(value, rate, supply)
    assert amounts.taxable == value
    assert abs(amounts.tax - (value * rate / BASIS if supply.taxed else 0)) <= 1 + value * 1e-12


@given(rupees=st.integers(0, 10**8), supply=SUPPLIES.filter(lambda supply: supply.taxed))
def test_whole_rupees_at_18_percent_come_back(rupees: int, supply: Supply) -> None:
    amounts = add_tax(rupees * 100, 1_800, supply)
    assert split_inclusive(amounts.total, 1_800, supply) == amounts


def test_1180_rupees_at_18_percent() -> None:
    assert split_inclusive(118_000, 1_800, Supply.INTRA_STATE) == Taxed(
        taxable=100_000, cgst=9_000, sgst=9_000
    )
    assert split_inclusive(118_000, 1_800, Supply.INTER_STATE) == Taxed(
        taxable=100_000, igst=18_000
    )


@pytest.mark.parametrize(
    "parts",
    [
        {"taxable": -1},
        {"taxable": 1, "cgst": 1},
        {"taxable": 1, "cgst": 1, "sgst": 1, "igst": 1},
    ],
)
def test_parts_that_no_law_knows_cannot_be_made(parts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"negative|equal"):
        Taxed(**parts)


@pytest.mark.parametrize(
    ("buyer_state", "buyer_country", "place"),
    [("27", "IN", "27"), ("", "IN", "29"), ("", "US", OTHER_COUNTRIES)],
)
def test_the_place_of_supply_is_the_buyers_where_it_is_known(
    buyer_state: str, buyer_country: str, place: str
) -> None:
    found = place_of_supply(
        supplier_state="29", buyer_state=buyer_state, buyer_country=buyer_country
    )
    assert found == place


@pytest.mark.parametrize(
    ("place", "registered", "undertaking", "supply"),
    [
        ("29", True, False, Supply.INTRA_STATE),
        ("27", True, False, Supply.INTER_STATE),
        (OTHER_COUNTRIES, True, True, Supply.EXPORT_WITHOUT_TAX),
        (OTHER_COUNTRIES, True, False, Supply.EXPORT_WITH_TAX),
        ("29", False, False, Supply.UNREGISTERED),
        (OTHER_COUNTRIES, False, True, Supply.UNREGISTERED),
    ],
)
def test_the_place_of_supply_chooses_the_tax(
    place: str, registered: bool, undertaking: bool, supply: Supply
) -> None:
    found = supply_to(place, supplier_state="29", registered=registered, undertaking=undertaking)
    assert found is supply


def test_every_place_has_its_name() -> None:
    assert place_name("29") == "29-Karnataka"
    assert place_name(OTHER_COUNTRIES) == "96-Other Countries"
    assert all(place_name(code).startswith(f"{code}-") for code in STATES)


def test_a_union_territory_without_a_legislature_has_its_own_tax() -> None:
    assert state_tax_name("04") == "UTGST"
    assert state_tax_name("07") == "SGST"


@pytest.mark.parametrize(("rate", "shown"), [(1_800, "18%"), (25, "0.25%"), (150, "1.5%")])
def test_rates_are_shown_without_needless_zeros(rate: int, shown: str) -> None:
    assert percent(rate) == shown
