"""Goods and services tax: states, place of supply, and amounts split into integer paise.

Rules are cited by their acts: CGST is the Central Goods and Services Tax Act 2017, IGST the
Integrated one. Rates are basis points: 1 800 is 18 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

BASIS = 10_000
"""Basis points in a whole."""

STATES: Mapping[str, str] = MappingProxyType(
    {
        "01": "Jammu and Kashmir",
        "02": "Himachal Pradesh",
        "03": "Punjab",
        "04": "Chandigarh",
        "05": "Uttarakhand",
        "06": "Haryana",
        "07": "Delhi",
        "08": "Rajasthan",
        "09": "Uttar Pradesh",
        "10": "Bihar",
        "11": "Sikkim",
        "12": "Arunachal Pradesh",
        "13": "Nagaland",
        "14": "Manipur",
        "15": "Mizoram",
        "16": "Tripura",
        "17": "Meghalaya",
        "18": "Assam",
        "19": "West Bengal",
        "20": "Jharkhand",
        "21": "Odisha",
        "22": "Chhattisgarh",
        "23": "Madhya Pradesh",
        "24": "Gujarat",
        "26": "Dadra and Nagar Haveli and Daman and Diu",
        "27": "Maharashtra",
        "29": "Karnataka",
        "30": "Goa",
        "31": "Lakshadweep",
        "32": "Kerala",
        "33": "Tamil Nadu",
        "34": "Puducherry",
        "35": "Andaman and Nicobar Islands",
        "36": "Telangana",
        "37": "Andhra Pradesh",
        "38": "Ladakh",
        "97": "Other Territory",
    }
)
"""State codes of the GST returns. 25 and 28 are not among them: Daman and Diu is part of 26
since 26 January 2020, and Andhra Pradesh is registered under 37 since its bifurcation."""

OTHER_COUNTRIES = "96"
"""The place of supply of an export, in the returns' list of codes."""

INDIA = "IN"

_UNION_TERRITORIES = frozenset({"04", "26", "31", "35", "38", "97"})
"""Where the state's half is union territory tax (CGST section 2(114)): those without a
legislature of their own. Delhi, Puducherry, and Jammu and Kashmir levy state tax."""


class Supply(StrEnum):
    """How a supply is taxed."""

    INTRA_STATE = "intra_state"
    """Central and state tax, half each (CGST section 9, IGST section 8)."""
    INTER_STATE = "inter_state"
    """Integrated tax (IGST sections 5 and 7)."""
    EXPORT_WITHOUT_TAX = "export_without_tax"
    """Zero-rated under a letter of undertaking (IGST section 16(3)(a))."""
    EXPORT_WITH_TAX = "export_with_tax"
    """Zero-rated, integrated tax paid and claimed back (IGST section 16(3)(b))."""
    UNREGISTERED = "unregistered"
    """The supplier is not registered, and so may not collect tax (CGST section 32(1))."""

    @property
    def taxed(self) -> bool:
        """Whether tax is part of the price."""
        return self not in (Supply.EXPORT_WITHOUT_TAX, Supply.UNREGISTERED)

    @property
    def export(self) -> bool:
        """Whether the buyer is outside India."""
        return self in (Supply.EXPORT_WITHOUT_TAX, Supply.EXPORT_WITH_TAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxed:
    """An amount in paise, split into its taxable value and the taxes on it.

    Raises:
        ValueError: a part is negative, the halves differ, or all three taxes are there.
    """

    taxable: int
    cgst: int = 0
    sgst: int = 0
    igst: int = 0

    def __post_init__(self) -> None:
        if min(self.taxable, self.cgst, self.sgst, self.igst) < 0:
            raise ValueError("a part of an amount cannot be negative")
        if self.cgst != self.sgst or (self.cgst and self.igst):
            raise ValueError("central and state tax are equal, and exclude integrated tax")

    @property
    def tax(self) -> int:
        """All taxes."""
        return self.cgst + self.sgst + self.igst

    @property
    def total(self) -> int:
        """What is paid."""
        return self.taxable + self.tax

    def __add__(self, other: "Taxed") -> "Taxed":
        return Taxed(
            taxable=self.taxable + other.taxable,
            cgst=self.cgst + other.cgst,
            sgst=self.sgst + other.sgst,
            igst=self.igst + other.igst,
        )


NOTHING = Taxed(taxable=0)


def split_inclusive(total: int, rate: int, supply: Supply) -> Taxed:
    """Split a price that includes its tax; the parts sum to ``total`` exactly.

    Each tax is rounded by itself to the nearest paisa, so that central and state tax are equal;
    the taxable value takes what rounding leaves, less than one paisa each.

    Raises:
        ValueError: the total or the rate is negative.
    """
    _check(total, rate)
    if not supply.taxed:
        return Taxed(taxable=total)
    whole = BASIS + rate
    if supply is Supply.INTRA_STATE:
        half = nearest(total * rate, 2 * whole)
        return Taxed(taxable=total - 2 * half, cgst=half, sgst=half)
    tax = nearest(total * rate, whole)
    return Taxed(taxable=total - tax, igst=tax)


def add_tax(taxable: int, rate: int, supply: Supply) -> Taxed:
    """Put the tax on a value that does not include it, each tax to the nearest paisa.

    Raises:
        ValueError: the value or the rate is negative.
    """
    _check(taxable, rate)
    if not supply.taxed:
        return Taxed(taxable=taxable)
    if supply is Supply.INTRA_STATE:
        half = nearest(taxable * rate, 2 * BASIS)
        return Taxed(taxable=taxable, cgst=half, sgst=half)
    return Taxed(taxable=taxable, igst=nearest(taxable * rate, BASIS))


def place_of_supply(*, supplier_state: str, buyer_state: str, buyer_country: str) -> str:
    """The code of the state a service is supplied in, or :data:`OTHER_COUNTRIES`.

    The buyer's, whether registered or not, where it is on record; else the supplier's (IGST
    section 12(2)); outside India for a buyer there (section 13(2)).
    """
    if buyer_country != INDIA:
        return OTHER_COUNTRIES
    return buyer_state or supplier_state


def supply_to(place: str, *, supplier_state: str, registered: bool, undertaking: bool) -> Supply:
    """How a supply to ``place`` is taxed.

    ``undertaking`` says whether the supplier has a letter of undertaking for exports.
    """
    if not registered:
        return Supply.UNREGISTERED
    if place == OTHER_COUNTRIES:
        return Supply.EXPORT_WITHOUT_TAX if undertaking else Supply.EXPORT_WITH_TAX
    return Supply.INTRA_STATE if place == supplier_state else Supply.INTER_STATE


def place_name(place: str) -> str:
    """A place of supply as the returns write it, e.g. ``29-Karnataka``."""
    name = "Other Countries" if place == OTHER_COUNTRIES else STATES[place]
    return f"{place}-{name}"


def state_tax_name(place: str) -> str:
    """``SGST``, or ``UTGST`` in a union territory without a legislature."""
    return "UTGST" if place in _UNION_TERRITORIES else "SGST"


def percent(rate: int) -> str:
    """A rate for people: ``18%``, ``0.25%``."""
    whole, rest = divmod(rate, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") + "%" if rest else f"{whole}%"


def nearest(numerator: int, denominator: int) -> int:
    """A fraction of two numbers that are not negative, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def _check(amount: int, rate: int) -> None:
    if amount < 0 or rate < 0:
        raise ValueError("amounts and rates cannot be negative")
