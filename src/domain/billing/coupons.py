"""Coupons: a discount on an order, once a person, as often as it was made for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.billing.orders import LEAST_PAISE, OrderPurpose
from domain.shared.errors import DomainError, InvalidValue
from domain.shared.ids import CouponId
from domain.shared.money import rupees

MIN_CODE_LENGTH: Final = 3
MAX_CODE_LENGTH: Final = 32
MOST_REDEMPTIONS: Final = 1_000_000_000
_CODE_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class CouponNotUsable(DomainError):
    """The coupon does not apply; the message says why."""

    code = "coupon_not_usable"


class CouponExhausted(DomainError):
    """It has been used as often as it may be."""

    code = "coupon_exhausted"

    def __init__(self) -> None:
        super().__init__("This coupon has been used up. Order without it.")


class CouponAlreadyUsed(DomainError):
    """The person has used it, or holds it with an open order."""

    code = "coupon_already_used"

    def __init__(self) -> None:
        super().__init__(
            "You have used this coupon. If the order that holds it is not paid yet, pay that "
            "one or cancel it."
        )


class CouponCodeTaken(DomainError):
    """Another coupon has this code."""

    code = "coupon_code_taken"

    def __init__(self, code: str) -> None:
        super().__init__(f"A coupon {code} exists. Choose another code.", coupon_code=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon:
    """A discount: ``percent`` of the total or ``fixed_paise``, one of the two.

    ``minimum_paise`` is the least total it applies to; no ``purposes`` means every one.
    ``max_redemptions`` None is any number. ``redeemed`` counts the orders that hold it or
    were paid with it.

    Raises:
        InvalidValue: a field does not fit; it is named.
    """

    id: CouponId
    code: str
    percent: int | None
    fixed_paise: int | None
    minimum_paise: int
    purposes: frozenset[OrderPurpose]
    valid_from: datetime
    valid_until: datetime | None
    max_redemptions: int | None
    created_at: datetime
    redeemed: int = 0
    active: bool = True

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.fixed_paise is None):
            raise InvalidValue("percent", "Give either percent or fixed_paise, and not both.")
        if self.percent is not None and not 1 <= self.percent <= 100:
            raise InvalidValue("percent", "Give 1 to 100 percent.")
        if self.fixed_paise is not None and self.fixed_paise < 1:
            raise InvalidValue("fixed_paise", "Give at least one paisa.")
        if self.minimum_paise < 0:
            raise InvalidValue("minimum_paise", "The least total cannot be negative.")
        most = self.max_redemptions
        if most is not None and not 1 <= most <= MOST_REDEMPTIONS:
            raise InvalidValue(
                "max_redemptions", f"Let it be used 1 to {MOST_REDEMPTIONS} times, or leave it out."
            )
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise InvalidValue("valid_until", "Let it end after it begins.")

    def discount(self, purpose: OrderPurpose, total_paise: int, now: datetime) -> int:
        """What it takes off a total, in paise. At least one rupee is left to pay.

        Raises:
            CouponNotUsable: it does not apply to that order, or not now.
        """
        if not self.active or now < self.valid_from:
            raise CouponNotUsable("This coupon is not valid now. Order without it.")
        if self.valid_until is not None and now >= self.valid_until:
            raise CouponNotUsable("This coupon has expired. Order without it.")
        if self.purposes and purpose not in self.purposes:
            raise CouponNotUsable("This coupon is not for this kind of order. Order without it.")
        if total_paise < self.minimum_paise:
            raise CouponNotUsable(
                f"This coupon is for orders of {rupees(self.minimum_paise)} and more. Choose more, "
                "or order without it.",
                minimum_paise=self.minimum_paise,
            )
        taken = (
            total_paise * self.percent // 100 if self.percent is not None else self.fixed_paise or 0
        )
        return max(0, min(taken, total_paise - LEAST_PAISE))


def normalised_code(code: str, field: str = "code") -> str:
    """A coupon's code as it is kept: upper case, without spaces around it.

    Raises:
        InvalidValue: it is not a possible code; ``field`` is where it was given.
    """
    cleaned = code.strip().upper()
    fits = MIN_CODE_LENGTH <= len(cleaned) <= MAX_CODE_LENGTH and set(cleaned) <= _CODE_CHARACTERS
    if not fits:
        raise InvalidValue(
            field,
            f"Use {MIN_CODE_LENGTH} to {MAX_CODE_LENGTH} letters, digits, hyphens or underscores.",
        )
    return cleaned
