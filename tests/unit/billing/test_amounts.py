"""Amounts in figures and words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.amounts import in_figures, in_words

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {word: number for number, word in enumerate(_ONES.split(" "))}
_NUMBERS |= {word: 10 * number for number, word in enumerate(_TENS.split(" "), start=2)}
_SCALES = {"hundred": 100, "thousand": 1_000, "lakh": 100_000, "crore": 10_000_000}


def read(words: str) -> int:
    """The number that words say."""
    return _read(words.replace("-", " ").split())


def _read(words: list[str]) -> int:
    for name, scale in sorted(_SCALES.items(), key=lambda item: -item[1]):
        if name in words:
            place = len(words) - 1 - words[::-1].index(name)
            return _read(words[:place]) * scale + _read(words[place + 1 :])
    return sum(_NUMBERS[word] for word in words)


@pytest.mark.parametrize(
    ("paise", "figures", "words"),
    [
        (0, "0.00", "Rupees zero only"),
        (5, "0.05", "Rupees zero and five paise only"),
        (99_999, "999.99", "Rupees nine hundred ninety-nine and ninety-nine paise only"),
        (100_000, "1,000.00", "Rupees one thousand only"),
        (10_000_000, "1,00,000.00", "Rupees one lakh only"),
        (
            1_23_45_678_90,
            "1,23,45,678.90",
            "Rupees one crore twenty-three lakh forty-five thousand six hundred seventy-eight"
            " and ninety paise only",
        ),
        (1_000_000_000_00, "1,00,00,00,000.00", "Rupees one hundred crore only"),
    ],
)
def test_amounts_are_written_the_indian_way(paise: int, figures: str, words: str) -> None:
    assert (in_figures(paise), in_words(paise)) == (figures, words)


def test_a_credit_is_shown_with_its_sign() -> None:
    assert in_figures(-123_456_70) == "-1,23,456.70"


@given(st.integers(0, 10**16))
def test_figures_and_words_say_the_same_number(paise: int) -> None:
    assert int(in_figures(paise).replace(",", "").replace(".", "")) == paise
    words = in_words(paise).removeprefix("Rupees ").removesuffix(" only")
    whole, _, rest = words.partition(" and ")
    assert read(whole) == paise // 100
    assert read(rest.removesuffix(" paise")) == paise % 100


@given(st.integers(0, 10**16))
def test_groups_have_three_digits_and_then_two(paise: int) -> None:
    first, *groups = in_figures(paise)[:-3].split(",")
    assert 1 <= len(first) <= 3
    if groups:
        assert len(first) <= 2
        assert [len(group) for group in groups] == [2] * (len(groups) - 1) + [3]
