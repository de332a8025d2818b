"""Prices are read from the database, kept for a short while, and never used for longer."""

from datetime import timedelta

import pytest

from application.billing.price_book import KEEP, PriceBook
from application.ports.persistence import DatabaseUnavailable
from domain.billing.pricing import NOTICE, UnknownPrice
from tests.contracts.prices_contract import make_price, make_rate
from tests.contracts.samples import all_at_once
from tests.fakes.clock import MovableClock
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork
from tests.fakes.prices import FIRST_RATE


class Counting(InMemoryUnitOfWork):
    begun = 0

    def begin(self, user_id):  # type: ignore[no-untyped-def]  # a count beside the fake
        self.begun += 1
        return super().begin(user_id)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def uow(clock: MovableClock) -> Counting:
    return Counting(InMemoryDatabase(clock))


async def test_a_row_is_known_to_everybody_before_it_can_be_in_force(
    uow: Counting, clock: MovableClock
) -> None:
    book = PriceBook(uow, clock)
    await book.prices()
    row = make_price()
    async with uow.begin(None) as tx:
        await tx.prices.add_prices([row])

    clock.move(KEEP)

    assert row.price in (await book.prices()).prices
    assert KEEP < NOTICE


async def test_what_was_read_serves_everybody_for_a_while(
    uow: Counting, clock: MovableClock
) -> None:
    book = PriceBook(uow, clock)

    await all_at_once(20, book.prices)
    clock.move(KEEP - timedelta(seconds=1))
    await book.rate(clock.now())

    assert uow.begun == 1


async def test_old_prices_are_not_used_when_the_database_is_away(clock: MovableClock) -> None:
    database = InMemoryDatabase(clock)
    book = PriceBook(InMemoryUnitOfWork(database), clock)
    await book.prices()
    clock.move(KEEP)
    database.fail_next()

    with pytest.raises(DatabaseUnavailable):
        await book.prices()

    assert await book.prices()


async def test_a_clock_that_is_set_back_does_not_keep_prices_for_ever(
    uow: Counting, clock: MovableClock
) -> None:
    book = PriceBook(uow, clock)
    await book.prices()
    clock.move(-timedelta(days=1))

    await book.prices()

    assert uow.begun == 2


async def test_a_rate_is_that_of_its_moment(uow: Counting, clock: MovableClock) -> None:
    later = make_rate()
    async with uow.begin(None) as tx:
        await tx.prices.add_rate(later)
    book = PriceBook(uow, clock)
    moment = later.rate.valid_from

    assert await book.rate(moment) == later.rate
    assert await book.rate(moment - timedelta(microseconds=1)) == FIRST_RATE
    with pytest.raises(UnknownPrice):
        await book.rate(FIRST_RATE.valid_from - timedelta(seconds=1))
