"""Credits for sale: packs, and any number within bounds."""

from dataclasses import dataclass

from domain.shared.errors import InvalidValue

GST_PERCENT = 18
"""Included in every price: the rate for information technology services, SAC 9983
(Notification 11/2017-Central Tax (Rate), S. No. 21)."""

LEAST_CREDITS = 10_000
MOST_CREDITS = 5_000_000
"""The bounds of a number chosen freely: ₹100 to ₹50,000 worth of use."""

CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """Credits and their price, taxes included. ``code`` names it in an order."""

    code: str
    title: str
    credits: int
    amount_paise: int


PACKS = (
    TopUp(code="starter", title="Starter pack", credits=20_000, amount_paise=23_600),
    TopUp(code="builder", title="Builder pack", credits=105_000, amount_paise=118_000),
    TopUp(code="studio", title="Studio pack", credits=550_000, amount_paise=590_000),
)
"""What is on offer. Larger packs bring 5 and 10 percent more credits than their net price."""


def pack(code: str) -> TopUp:
    """The pack of that code.

    Raises:
        InvalidValue: none has it.
    """
    for offered in PACKS:
        if offered.code == code:
            return offered
    raise InvalidValue(
        "pack",
        f"Name a pack by its code ({', '.join(each.code for each in PACKS)}), or a number of "
        "credits.",
    )


def worth(paise: int) -> int:
    """The credits that an amount, taxes included, buys at the price of a free choice."""
    return paise * 100 // (100 + GST_PERCENT)


def custom(credits: int) -> TopUp:
    """A number of credits chosen freely: one paisa each, and the tax, rounded up.

    Raises:
        InvalidValue: it is out of bounds.
    """
    if not LEAST_CREDITS <= credits <= MOST_CREDITS:
        raise InvalidValue("credits", f"Choose {LEAST_CREDITS} to {MOST_CREDITS} credits.")
    amount = -(-credits * (100 + GST_PERCENT) // 100)
    return TopUp(code=CUSTOM, title="Credits", credits=credits, amount_paise=amount)
