"""Consecutive serial numbers per financial year.

CGST Rules 2017, rule 46(b) for invoices and rule 53(1A)(c) for credit notes: consecutive, at
most sixteen characters of letters, digits, hyphen and slash, unique for a financial year, in
one or more series. Invoices and credit notes have a series each.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Self

from domain.shared.errors import InvalidValue

MAX_LENGTH = 16
_PREFIX = re.compile(r"[A-Z0-9]{1,3}")
_LABEL = re.compile(r"(\d{4})-(\d{2})")
_DIGITS = 6
_FIRST_MONTH = 4
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class DocumentKind(StrEnum):
    """What a serial number is given to."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


@dataclass(frozen=True, slots=True, order=True)
class FinancialYear:
    """The twelve months from 1 April of ``start``, in India."""

    start: int

    @classmethod
    def of(cls, day: date) -> Self:
        """The year a day is in."""
        return cls(day.year if day.month >= _FIRST_MONTH else day.year - 1)

    @classmethod
    def named(cls, label: str) -> Self:
        """The year of a label.

        Raises:
            InvalidValue: it is not one like ``2026-27``.
        """
        match = _LABEL.fullmatch(label)
        if match is None or (int(match[1]) + 1) % 100 != int(match[2]):
            raise InvalidValue("financial_year", "Write a financial year like 2026-27.")
        return cls(int(match[1]))

    @property
    def label(self) -> str:
        """E.g. ``2026-27``."""
        return f"{self.start}-{(self.start + 1) % 100:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The next place in a series: its sequence, from 1, and the date its document bears.

    Dates never run back within a series, whoever's clock is behind.
    """

    sequence: int
    on: date


def written(day: date, between: str = " ") -> str:
    """A date as documents and returns write it, e.g. ``02 Nov 2026``, in any locale."""
    return between.join((f"{day.day:02d}", _MONTHS[day.month - 1], str(day.year)))


def serial_number(prefix: str, year: FinancialYear, sequence: int) -> str:
    """E.g. ``BB/26-27/000001``.

    Raises:
        ValueError: it does not fit sixteen characters: the series is full.
    """
    number = f"{prefix}/{year.label[2:]}/{sequence:0{_DIGITS}d}"
    if len(number) > MAX_LENGTH:
        raise ValueError(f"{number} is longer than {MAX_LENGTH} characters: the series is full")
    return number


def check_prefix(field: str, prefix: str) -> str:
    """Hold a series' prefix to what its numbers may be made of.

    Raises:
        InvalidValue: it is not one to three capital letters or digits.
    """
    if not _PREFIX.fullmatch(prefix):
        raise InvalidValue(field, "Use one to three capital letters or digits.")
    return prefix
