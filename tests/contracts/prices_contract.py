"""What every ``PriceRecords`` keeps: rows that are added, and never changed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from application.ports.prices import PriceRow, RateRow
from domain.billing.pricing import ModelPrice, PriceExists
from domain.shared.money import ExchangeRate
from tests.contracts.samples import all_at_once, keep_user, new_id
from tests.fakes.prices import FIRST_RATE, PUBLISHED

ADDED_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def make_price(model: str | None = None, **changes: object) -> PriceRow:
    """A row of a model nobody else has."""
    id_ = new_id()
    price = ModelPrice(
        model=model or f"model-{id_}",
        valid_from=date(2026, 12, 1),
        prompt_up_to=None,
        input=2_000,
        output=10_000,
        cache_write=2_500,
        cache_write_1h=4_000,
        cache_read=100,
        source="https://example.org/prices",
    )
    return PriceRow(
        id=id_,
        price=replace(price, **changes),  # type: ignore[arg-type]  # checked by use
        added_by=None,
        added_at=ADDED_AT,
    )


def make_rate(paise: int = 9_150) -> RateRow:
    """A rate from a moment that nobody else's is from."""
    id_ = new_id()
    moment = datetime(2100, 1, 1, tzinfo=UTC) + timedelta(microseconds=id_.int % 10**15)
    rate = ExchangeRate(paise_per_usd=paise, valid_from=moment, source="the central bank")
    return RateRow(id=id_, rate=rate, added_by=None, added_at=ADDED_AT)


class PricesContract:
    async def test_a_fresh_database_has_the_published_prices_and_one_rate(
        self, uow: UnitOfWork
    ) -> None:
        async with uow.begin(None) as tx:
            assert set(await tx.prices.prices()) >= set(PUBLISHED.prices)
            assert FIRST_RATE in await tx.prices.rates()

    async def test_bands_come_back_as_added_newest_first_and_of_their_model(
        self, uow: UnitOfWork
    ) -> None:
        admin = await keep_user(uow)
        wide = replace(make_price(), added_by=admin.id)
        narrow = replace(make_price(wide.price.model, prompt_up_to=100_000), added_by=admin.id)
        async with uow.begin(admin.id) as tx:
            await tx.prices.add_prices([wide, narrow])
        async with uow.begin(None) as tx:
            page = await tx.prices.price_page(Page(limit=10), model=wide.price.model)
            assert list(page) == [narrow, wide]
            rest = await tx.prices.price_page(
                Page(limit=10, after=narrow.id), model=wide.price.model
            )
            assert list(rest) == [wide]
            assert (await tx.prices.price_page(Page(limit=1), model=""))[0].id >= narrow.id
            assert {wide.price, narrow.price} <= set(await tx.prices.prices())

    @pytest.mark.parametrize("prompt_up_to", [None, 100_000])
    async def test_a_row_that_is_there_cannot_be_added_again_and_nothing_of_its_price_is(
        self, uow: UnitOfWork, prompt_up_to: int | None
    ) -> None:
        there = make_price(prompt_up_to=prompt_up_to)
        model = there.price.model
        other = make_price(model, prompt_up_to=7)
        again = make_price(model, prompt_up_to=prompt_up_to, input=1)
        async with uow.begin(None) as tx:
            await tx.prices.add_prices([there])
        async with uow.begin(None) as tx:
            with pytest.raises(PriceExists):
                await tx.prices.add_prices([other, again])
        async with uow.begin(None) as tx:
            assert list(await tx.prices.price_page(Page(limit=9), model=model)) == [there]

    async def test_of_many_who_add_the_same_at_once_one_does(self, uow: UnitOfWork) -> None:
        model = make_price().price.model

        async def add() -> bool:
            async with uow.begin(None) as tx:
                try:
                    await tx.prices.add_prices([make_price(model)])
                except PriceExists:
                    return False
            return True

        assert sum(await all_at_once(8, add)) == 1

    async def test_rates_come_back_as_added_and_are_added_once(self, uow: UnitOfWork) -> None:
        first, second = make_rate(), make_rate(9_200)
        async with uow.begin(None) as tx:
            await tx.prices.add_rate(first)
            await tx.prices.add_rate(second)
        async with uow.begin(None) as tx:
            # From the second on: others add rates to the same database.
            from_second = UUID(int=second.id.int + 1)
            page = list(await tx.prices.rate_page(Page(limit=2, after=from_second)))
            assert page == [second, first]
            (older,) = await tx.prices.rate_page(Page(limit=1, after=second.id))
            assert older == first
            assert {first.rate, second.rate} <= set(await tx.prices.rates())
            with pytest.raises(PriceExists):
                await tx.prices.add_rate(replace(make_rate(), rate=first.rate))
