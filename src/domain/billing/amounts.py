"""Amounts as an invoice writes them: Indian grouping, and words with lakh and crore.

Written here because the domain stands on the standard library; the rules are these few lines.
"""

from domain.shared.money import PAISE_PER_RUPEE

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10_000_000, "crore"), (100_000, "lakh"), (1_000, "thousand"), (100, "hundred"))


def in_figures(paise: int) -> str:
    """Rupees with two decimals, grouped the Indian way: ``1,23,456.70``."""
    sign = "-" if paise < 0 else ""
    whole, rest = divmod(abs(paise), PAISE_PER_RUPEE)
    head, tail = str(whole)[:-3], str(whole)[-3:]
    groups = [tail]
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return f"{sign}{','.join(groups)}.{rest:02d}"


def in_words(paise: int) -> str:
    """Rupees in words, e.g. ``Rupees one lakh two thousand and fifty paise only``.

    Raises:
        ValueError: the amount is negative.
    """
    if paise < 0:
        raise ValueError("an amount in words is not negative")
    whole, rest = divmod(paise, PAISE_PER_RUPEE)
    words = f"Rupees {_words(whole)}"
    return f"{words} and {_words(rest)} paise only" if rest else f"{words} only"


def _words(number: int) -> str:
    if number < len(_ONES):
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{_TENS[tens]}-{_ONES[ones]}" if ones else _TENS[tens]
    for scale, name in _SCALES:
        count, rest = divmod(number, scale)
        if count:
            words = f"{_words(count)} {name}"
            return f"{words} {_words(rest)}" if rest else words
    raise AssertionError("unreachable: a number from 100 on has a scale")
