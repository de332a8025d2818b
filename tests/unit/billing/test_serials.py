"""Serial numbers and the financial years they count in."""

import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.days import day_of
from domain.billing.serials import FinancialYear, check_prefix, serial_number
from domain.shared.errors import InvalidValue


@pytest.mark.parametrize(
    ("day", "label"),
    [
        (date(2026, 4, 1), "2026-27"),
        (date(2027, 3, 31), "2026-27"),
        (date(2026, 3, 31), "2025-26"),
        (date(2099, 12, 31), "2099-00"),
    ],
)
def test_a_financial_year_begins_on_the_first_of_april(day: date, label: str) -> None:
    assert FinancialYear.of(day).label == label


def test_the_day_is_that_of_india() -> None:
    # 18:30 UTC is midnight in India.
    assert day_of(datetime(2027, 3, 31, 18, 29, 59, tzinfo=UTC)) == date(2027, 3, 31)
    assert day_of(datetime(2027, 3, 31, 18, 30, tzinfo=UTC)) == date(2027, 4, 1)


@given(st.dates(date(1900, 1, 1), date(2900, 1, 1)))
def test_a_label_names_its_year(day: date) -> None:
    year = FinancialYear.of(day)
    assert FinancialYear.named(year.label) == year


@pytest.mark.parametrize("label", ["2026", "2026-28", "26-27", "2026/27", "", "2026-27 "])
def test_what_names_no_year_is_refused(label: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        FinancialYear.named(label)
    assert refusal.value.field == "financial_year"


@given(
    prefix=st.from_regex(r"[A-Z0-9]{1,3}", fullmatch=True),
    start=st.integers(2017, 2999),
    sequence=st.integers(1, 999_999),
)
def test_a_number_keeps_rule_46(prefix: str, start: int, sequence: int) -> None:
    number = serial_number(check_prefix("p", prefix), FinancialYear(start), sequence)
    assert len(number) <= 16
    assert re.fullmatch(r"[A-Za-z0-9/-]+", number)
    assert number.endswith(f"/{sequence:06d}")


def test_a_full_series_is_an_error_and_no_seventeenth_character() -> None:
    assert len(serial_number("BB", FinancialYear(2026), 9_999_999)) == 16
    with pytest.raises(ValueError, match="full"):
        serial_number("BB", FinancialYear(2026), 10_000_000)


@pytest.mark.parametrize("prefix", ["", "ABCD", "b", "A/", "A-", "₹"])
def test_a_prefix_that_does_not_fit_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidValue):
        check_prefix("INVOICE_PREFIX", prefix)
