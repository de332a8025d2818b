"""Adding prices and rates: the past stays as it is, and every prompt has a price."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from application.billing.set_prices import (
    AddExchangeRate,
    AddModelPrice,
    NewExchangeRate,
    NewModelPrice,
)
from application.ports.persistence import UnitOfWork
from domain.billing.pricing import NOTICE, ModelPrice, PriceExists, PriceList, price_of
from domain.billing.usage import TokenUsage
from domain.shared.errors import InvalidValue
from domain.shared.ids import UserId
from tests.contracts.prices_contract import make_price
from tests.contracts.samples import ORIGIN, new_id
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY, TOMORROW = date(2026, 11, 24), date(2026, 11, 25)
SONNET = "claude-sonnet-5-5"
ADMIN = UserId(new_id())


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOW)


@pytest.fixture
def uow(clock: MovableClock) -> UnitOfWork:
    return InMemoryUnitOfWork(InMemoryDatabase(clock))


@pytest.fixture
def add(uow: UnitOfWork, clock: MovableClock) -> AddModelPrice:
    return AddModelPrice(uow, clock, CountingIds())


def bands(model: str = SONNET, *ends: int | None, **changes: object) -> list[ModelPrice]:
    price = make_price(model, valid_from=TOMORROW, **changes).price
    return [replace(price, prompt_up_to=end) for end in (ends or (None,))]


async def added(add: AddModelPrice, rows: Sequence[ModelPrice]) -> None:
    await add(NewModelPrice(origin=ORIGIN, user_id=ADMIN, bands=rows))


async def test_a_price_is_in_force_from_its_day_on_and_the_past_keeps_its_own(
    add: AddModelPrice, uow: UnitOfWork
) -> None:
    await added(add, bands(SONNET, 1_000, None, output=20_000))

    async with uow.begin(None) as tx:
        prices = PriceList(prices=tuple(await tx.prices.prices()))
    assert prices.row(SONNET, TODAY, 5).output == 10_000
    assert prices.row(SONNET, TOMORROW, 5).prompt_up_to == 1_000
    assert prices.row(SONNET, TOMORROW, 5_000).output == 20_000
    usage = TokenUsage(input=10, output=10)
    assert prices.row(SONNET, TODAY, 10).cost(usage) == 10 * 2_000 + 10 * 10_000


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([], "bands"),
        (bands(SONNET, 1_000), "bands"),
        (bands(SONNET, None, None), "bands"),
        (bands(SONNET, 5, 5, None), "prompt_up_to"),
        (bands(SONNET, 0, None), "prompt_up_to"),
        (bands(SONNET, input=0), "input"),
        (bands(SONNET, output=-1), "output"),
        (bands(SONNET, cache_write_1h=4_000_000), "cache_write_1h"),
        ([replace(bands()[0], model="")], "model"),
        (bands("m\n"), "model"),
        (bands(SONNET, source=" "), "source"),
        (bands(SONNET, source="x" * 501), "source"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(
    add: AddModelPrice, rows: list[ModelPrice], field: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        await added(add, rows)
    assert refused.value.field == field


async def test_what_was_called_today_is_not_priced_anew(add: AddModelPrice) -> None:
    for day in (TODAY, date(2026, 11, 1)):
        with pytest.raises(InvalidValue, match="not priced anew"):
            await added(add, [replace(row, valid_from=day) for row in bands()])


async def test_a_day_that_begins_within_the_notice_is_too_soon(
    add: AddModelPrice, clock: MovableClock
) -> None:
    midnight = datetime(2026, 11, 25, tzinfo=UTC)
    clock.move(midnight - NOTICE + timedelta(seconds=1) - NOW)
    with pytest.raises(InvalidValue, match="begins in 60 seconds"):
        await added(add, bands())
    clock.move(timedelta(seconds=-1))
    await added(add, bands())


async def test_a_model_nobody_could_call_may_be_priced_at_once(
    add: AddModelPrice, uow: UnitOfWork
) -> None:
    rows = [replace(row, valid_from=TODAY) for row in bands("brand-new")]
    await added(add, rows)
    async with uow.begin(None) as tx:
        assert price_of(await tx.prices.prices(), "brand-new", TODAY, 9) == rows[0]


async def test_a_price_that_is_there_stays(add: AddModelPrice) -> None:
    await added(add, bands())
    with pytest.raises(PriceExists, match="never changed"):
        await added(add, bands(SONNET, output=1))


async def test_a_rate_is_in_force_after_a_minute_at_the_soonest(
    uow: UnitOfWork, clock: MovableClock
) -> None:
    add = AddExchangeRate(uow, clock, CountingIds())
    command = NewExchangeRate(
        origin=ORIGIN, user_id=ADMIN, paise_per_usd=9_150, source="the central bank"
    )

    row = await add(command)

    assert (row.rate.valid_from, row.added_by) == (NOW + NOTICE, ADMIN)
    with pytest.raises(PriceExists):
        await add(command)
    for field, change in (
        ("valid_from", {"valid_from": NOW + NOTICE - timedelta(seconds=1)}),
        ("valid_from", {"valid_from": datetime(2027, 1, 1)}),  # noqa: DTZ001  (no offset, as sent)
        ("paise_per_usd", {"paise_per_usd": 0}),
        ("paise_per_usd", {"paise_per_usd": 1_000_001}),
        ("source", {"source": ""}),
    ):
        with pytest.raises(InvalidValue) as refused:
            await add(replace(command, **change))
        assert refused.value.field == field
