"""GST identification numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from application.billing.gstin import checked_gstin
from domain.billing.gst import STATES
from domain.shared.errors import InvalidValue
from tests.contracts.invoice_samples import GSTIN_KARNATAKA, GSTIN_MAHARASHTRA

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize(
    "text",
    ["27AAPFU0939F1ZV", " 27aapfu0939f1zv ", "27 AAPFU0939F 1ZV", "27-AAPFU0939F-1ZV"],
)
def test_a_valid_number_is_kept_in_its_one_spelling(text: str) -> None:
    assert checked_gstin("gstin", text) == GSTIN_MAHARASHTRA


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_state_has_numbers(state: str) -> None:
    stem = f"{state}AAPFU0939F1Z"
    number = stem + luhn.calc_check_digit(stem, _ALPHABET)
    assert checked_gstin("gstin", number) == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("27AAPFU0939F1Z", "15 characters"),
        ("27AAPFU0939F1ZV5", "15 characters"),
        ("२७AAPFU0939F1ZV", "15 characters"),
        ("27AAPFU0939F1AV", "15 characters"),
        ("00AAPFU0939F1ZV", "state"),
        ("25AAPFU0939F1ZV", "state"),
        ("27AAPFU0939F1ZO", "check digit"),
        ("72AAPFU0939F1ZV", "state"),
        ("27AAPFU0993F1ZV", "check digit"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as refusal:
        checked_gstin("gstin", text)
    assert refusal.value.field == "gstin"


@given(place=st.integers(2, 13), other=st.sampled_from(_ALPHABET))
def test_one_wrong_character_is_found(place: int, other: str) -> None:
    wrong = GSTIN_KARNATAKA[:place] + other + GSTIN_KARNATAKA[place + 1 :]
    if wrong == GSTIN_KARNATAKA:
        return
    with pytest.raises(InvalidValue):
        checked_gstin("gstin", wrong)
