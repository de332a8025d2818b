"""Packs, coupons and shares: what is asked for, and what belongs to a part of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.coupons import Coupon, CouponNotUsable, normalised_code
from domain.billing.orders import LEAST_PAISE, OrderPurpose
from domain.billing.payments import (
    NothingToRefund,
    Payment,
    PaymentMismatch,
    TransactionStatus,
    check_amount,
    share,
)
from domain.billing.top_ups import LEAST_CREDITS, MOST_CREDITS, PACKS, custom, pack
from domain.shared.errors import InvalidValue
from domain.shared.ids import UserId
from tests.contracts.samples import make_coupon, make_order, make_payment, new_id

NOW = datetime(2026, 11, 2, tzinfo=UTC)
TOP_UP = OrderPurpose.TOP_UP


def test_a_pack_is_never_dearer_than_its_credits_chosen_freely() -> None:
    for offered in PACKS:
        assert offered.amount_paise <= custom(offered.credits).amount_paise
        assert pack(offered.code) == offered
    with pytest.raises(InvalidValue, match="starter, builder, studio"):
        pack("none")


@given(st.integers(LEAST_CREDITS, MOST_CREDITS))
def test_credits_cost_a_paisa_and_the_tax_rounded_up(credits: int) -> None:
    amount = custom(credits).amount_paise
    assert (amount - 1) * 100 < credits * 118 <= amount * 100


@given(
    credits=st.integers(0, 10**7),
    parts=st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
)
def test_the_shares_of_parts_add_up_to_the_whole(credits: int, parts: list[int]) -> None:
    whole, before, total = sum(parts), 0, 0
    for part in parts:
        mine = share(credits, part, whole, before)
        assert mine >= 0
        total += mine
        before += part
    assert total == credits


@given(
    total=st.integers(LEAST_PAISE, 10**8),
    percent=st.integers(1, 100),
    fixed=st.integers(1, 10**8),
)
def test_a_discount_leaves_at_least_a_rupee(total: int, percent: int, fixed: int) -> None:
    for coupon in (make_coupon(percent=percent), make_coupon(percent=None, fixed_paise=fixed)):
        discount = coupon.discount(TOP_UP, total, NOW)
        assert 0 <= discount <= total - LEAST_PAISE


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False},
        {"valid_from": NOW + timedelta(seconds=1)},
        {"valid_until": NOW},
        {"purposes": frozenset({OrderPurpose.SUBSCRIPTION_START})},
        {"minimum_paise": 10_001},
    ],
)
def test_a_coupon_applies_where_it_says(changes: dict[str, object]) -> None:
    assert make_coupon().discount(TOP_UP, 10_000, NOW) == 1_000
    with pytest.raises(CouponNotUsable, match=r"[Oo]rder without it"):
        make_coupon(**changes).discount(TOP_UP, 10_000, NOW)


def test_amounts_are_told_as_people_write_them() -> None:
    with pytest.raises(CouponNotUsable, match=r"₹150\.00 and more"):
        make_coupon(minimum_paise=15_000).discount(TOP_UP, 10_000, NOW)
    order = make_order(UserId(new_id()))
    with pytest.raises(PaymentMismatch, match=r"of ₹1\.00, the order of ₹236\.00"):
        check_amount(order, 100, "INR")
    with pytest.raises(PaymentMismatch, match="of 23600 of the smallest unit of USD"):
        check_amount(order, 23_600, "USD")
    with pytest.raises(NothingToRefund, match=r"Only ₹236\.00"):
        replace(make_payment(order), status=TransactionStatus.CAPTURED).check_refund(23_601)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"percent": 0}, "percent"),
        ({"percent": 101}, "percent"),
        ({"percent": None}, "percent"),
        ({"fixed_paise": 5}, "percent"),
        ({"percent": None, "fixed_paise": 0}, "fixed_paise"),
        ({"minimum_paise": -1}, "minimum_paise"),
        ({"max_redemptions": 0}, "max_redemptions"),
        ({"valid_until": datetime(2025, 1, 1, tzinfo=UTC)}, "valid_until"),
    ],
)
def test_a_coupon_that_makes_no_sense_names_its_field(
    changes: dict[str, object], field: str
) -> None:
    coupon: Coupon = make_coupon()
    with pytest.raises(InvalidValue) as refusal:
        replace(coupon, **changes)
    assert refusal.value.field == field


def test_codes_are_kept_in_one_spelling() -> None:
    assert normalised_code(" diwali-26 ") == "DIWALI-26"
    for wrong in ("", "ab", "a b c", "x" * 33, "ünicode"):
        with pytest.raises(InvalidValue):
            normalised_code(wrong)


def test_an_order_asks_for_a_rupee_at_least() -> None:
    order = make_order(UserId(new_id()), discount_paise=400)
    assert order.list_paise == order.amount_paise + 400
    with pytest.raises(ValueError, match="one rupee"):
        replace(order, amount_paise=99)


STATUSES = [TransactionStatus.FAILED, TransactionStatus.AUTHORIZED, TransactionStatus.CAPTURED]


@given(st.lists(st.sampled_from(STATUSES), max_size=8))
def test_a_payment_only_moves_forward(seen: list[TransactionStatus]) -> None:
    payment: Payment = make_payment(
        make_order(UserId(new_id())), status=TransactionStatus.FAILED, captured_at=None
    )
    highest = 0
    for status in seen:
        payment = payment.advanced(status, NOW)
        highest = max(highest, STATUSES.index(status))
        assert payment.status is STATUSES[highest]
        assert (payment.captured_at is not None) == payment.captured
