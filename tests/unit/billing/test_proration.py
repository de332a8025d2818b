"""Months keep their day, and the parts of a period sum to the whole."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.billing.days import INDIA
from domain.billing.months import months_after
from domain.billing.proration import Period, prorate

MOMENTS = st.datetimes(
    min_value=datetime(2024, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2034, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
AMOUNTS = st.integers(0, 10**10)


def day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 10, 30, tzinfo=INDIA)


def test_the_31st_is_the_last_of_shorter_months_and_the_31st_again() -> None:
    anchor = day(2026, 12, 31)
    assert [months_after(anchor, n) for n in range(5)] == [
        anchor,
        day(2027, 1, 31),
        day(2027, 2, 28),
        day(2027, 3, 31),
        day(2027, 4, 30),
    ]
    assert months_after(anchor, 14) == day(2028, 2, 29)


def test_the_day_is_indias_and_the_zone_is_the_anchors() -> None:
    # 19:00 UTC on the 30th is half past midnight on the 31st in India.
    anchor = datetime(2027, 1, 30, 19, 0, tzinfo=UTC)
    assert months_after(anchor, 1) == datetime(2027, 2, 27, 19, 0, tzinfo=UTC)
    assert months_after(anchor, 1).tzinfo is UTC


@given(MOMENTS, st.integers(0, 120), st.integers(1, 60))
def test_later_months_come_later_and_are_counted_from_the_anchor(
    anchor: datetime, months: int, more: int
) -> None:
    first, second = months_after(anchor, months), months_after(anchor, months + more)
    assert first < second
    assert (second - first) <= timedelta(days=31 * more)
    local, then = anchor.astimezone(INDIA), second.astimezone(INDIA)
    assert then.time() == local.time()
    assert then.day == local.day or (then.day < local.day and (then + timedelta(days=1)).day == 1)


@given(
    MOMENTS,
    st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=400)),
    AMOUNTS,
    MOMENTS,
)
def test_used_and_unused_are_the_whole_wherever_it_is_cut(
    start: datetime, length: timedelta, whole: int, at: datetime
) -> None:
    period = Period(start=start, end=start + length)
    assert period.elapsed(whole, at) + period.unused(whole, at) == whole
    assert 0 <= period.unused(whole, at) <= whole
    assert period.unused(whole, start) == whole
    assert period.unused(whole, period.end) == 0


@given(
    MOMENTS,
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 10**8), st.integers(1, 500)),
        min_size=1,
        max_size=8,
    ),
    st.tuples(st.integers(0, 10**8), st.integers(1, 500)),
)
def test_what_is_paid_over_any_chain_of_upgrades_is_what_each_stretch_is_worth(
    start: datetime, changes: list[tuple[float, int, int]], first: tuple[int, int]
) -> None:
    period = Period(start=start, end=months_after(start, 1))
    length = period.end - period.start
    price, seats = first
    whole, paid, worth, since = price * seats, price * seats, 0, start
    for share, new_price, new_seats in sorted(changes):
        at = start + length * share
        parts = prorate(period, at, old=(whole, 0), new=(new_price * new_seats, 0))
        paid += parts.due_paise
        worth += period.elapsed(whole, at) - period.elapsed(whole, since)
        whole, since = new_price * new_seats, at
    worth += whole - period.elapsed(whole, since)
    assert paid == worth


@given(MOMENTS, st.floats(0, 1), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_an_upgrade_gives_no_more_than_the_dearer_plan_would_have(
    start: datetime, share: float, paise: int, credits: int, new_paise: int, new_credits: int
) -> None:
    period = Period(start=start, end=months_after(start, 1))
    at = start + (period.end - period.start) * share
    parts = prorate(period, at, old=(paise, credits), new=(new_paise, new_credits))
    assert parts.charge_paise <= new_paise
    assert parts.unused_paise <= paise
    assert credits + parts.credits_each <= max(credits, new_credits)
    assert parts.credits_added_seat <= new_credits
