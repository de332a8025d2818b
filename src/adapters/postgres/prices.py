"""Price rows and exchange rates: added, read, never changed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.constraints import violated
from adapters.postgres.tables import exchange_rates, model_prices
from application.ports.paging import Page
from application.ports.prices import PriceRow, RateRow
from domain.billing.pricing import ModelPrice, PriceExists
from domain.shared.ids import UserId
from domain.shared.money import ExchangeRate


class PostgresPrices:
    """The ``PriceRecords`` of one transaction, whoever it is of."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def prices(self) -> Sequence[ModelPrice]:
        return [_price(row) for row in await self._connection.execute(select(model_prices))]

    async def rates(self) -> Sequence[ExchangeRate]:
        return [_rate(row) for row in await self._connection.execute(select(exchange_rates))]

    async def price_page(self, page: Page, *, model: str) -> Sequence[PriceRow]:
        query = select(model_prices).order_by(model_prices.c.id.desc()).limit(page.limit)
        if page.after is not None:
            query = query.where(model_prices.c.id < page.after)
        if model:
            query = query.where(model_prices.c.model == model)
        return [
            PriceRow(id=row.id, price=_price(row), added_by=_adder(row), added_at=row.added_at)
            for row in await self._connection.execute(query)
        ]

    async def rate_page(self, page: Page) -> Sequence[RateRow]:
        query = select(exchange_rates).order_by(exchange_rates.c.id.desc()).limit(page.limit)
        if page.after is not None:
            query = query.where(exchange_rates.c.id < page.after)
        return [
            RateRow(id=row.id, rate=_rate(row), added_by=_adder(row), added_at=row.added_at)
            for row in await self._connection.execute(query)
        ]

    async def add_prices(self, rows: Sequence[PriceRow]) -> None:
        values = [
            {
                "id": row.id,
                "model": row.price.model,
                "valid_from": row.price.valid_from,
                "prompt_up_to": row.price.prompt_up_to,
                "input": row.price.input,
                "output": row.price.output,
                "cache_write": row.price.cache_write,
                "cache_write_1h": row.price.cache_write_1h,
                "cache_read": row.price.cache_read,
                "source": row.price.source,
                "added_by": row.added_by,
                "added_at": row.added_at,
            }
            for row in rows
        ]
        await self._add(model_prices, values, "model_prices_row_key")

    async def add_rate(self, row: RateRow) -> None:
        value = {
            "id": row.id,
            "paise": row.rate.paise_per_usd,
            "valid_from": row.rate.valid_from,
            "source": row.rate.source,
            "added_by": row.added_by,
            "added_at": row.added_at,
        }
        await self._add(exchange_rates, [value], "exchange_rates_moment_key")

    async def _add(self, table: Any, values: list[dict[str, Any]], key: str) -> None:
        # A savepoint: a refused row leaves nothing behind, and the block can go on.
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(table), values)
        except IntegrityError as error:
            if violated(error) != key:
                raise
            raise PriceExists(
                "A row is valid from then on, and rows are never changed. Give a later one."
            ) from error


def _adder(row: Row[Any]) -> UserId | None:
    return None if row.added_by is None else UserId(row.added_by)


def _price(row: Row[Any]) -> ModelPrice:
    return ModelPrice(
        model=row.model,
        valid_from=row.valid_from,
        prompt_up_to=row.prompt_up_to,
        input=row.input,
        output=row.output,
        cache_write=row.cache_write,
        cache_write_1h=row.cache_write_1h,
        cache_read=row.cache_read,
        source=row.source,
    )


def _rate(row: Row[Any]) -> ExchangeRate:
    return ExchangeRate(paise_per_usd=row.paise, valid_from=row.valid_from, source=row.source)
