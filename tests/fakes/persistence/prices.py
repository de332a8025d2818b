"""Price rows and exchange rates, in memory."""

from collections.abc import Sequence

from application.ports.paging import Page
from application.ports.prices import PriceRecords, PriceRow, RateRow
from domain.billing.pricing import ModelPrice, PriceExists
from domain.shared.money import ExchangeRate
from tests.fakes.persistence.database import Session


class InMemoryPrices(PriceRecords):
    """Everybody's prices, whoever the session belongs to."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def prices(self) -> Sequence[ModelPrice]:
        return [row.price for row in self._session.tables.prices.values()]

    async def rates(self) -> Sequence[ExchangeRate]:
        return [row.rate for row in self._session.tables.rates.values()]

    async def price_page(self, page: Page, *, model: str) -> Sequence[PriceRow]:
        rows = [
            row
            for row in self._session.tables.prices.values()
            if (page.after is None or row.id < page.after) and model in ("", row.price.model)
        ]
        return sorted(rows, key=lambda row: row.id, reverse=True)[: page.limit]

    async def rate_page(self, page: Page) -> Sequence[RateRow]:
        rows = [
            row
            for row in self._session.tables.rates.values()
            if page.after is None or row.id < page.after
        ]
        return sorted(rows, key=lambda row: row.id, reverse=True)[: page.limit]

    async def add_prices(self, rows: Sequence[PriceRow]) -> None:
        def place(price: ModelPrice) -> tuple[object, ...]:
            return price.model, price.valid_from, price.prompt_up_to

        known = {place(row.price) for row in self._session.tables.prices.values()}
        if known & {place(row.price) for row in rows}:
            raise PriceExists("A row is valid from then on.")
        self._session.tables.prices.update({row.id: row for row in rows})

    async def add_rate(self, row: RateRow) -> None:
        if any(
            other.rate.valid_from == row.rate.valid_from
            for other in self._session.tables.rates.values()
        ):
            raise PriceExists("A row is valid from then on.")
        self._session.tables.rates[row.id] = row
