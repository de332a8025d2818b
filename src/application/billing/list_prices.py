"""List price rows and exchange rates, those of the past and those to come."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from application.ports.prices import PriceRow, RateRow


@dataclass(frozen=True, slots=True)
class ListModelPrices:
    """Lists price rows, newest first."""

    uow: UnitOfWork

    async def __call__(self, page: Page, *, model: str) -> Sequence[PriceRow]:
        """The page's rows, of one model if it is named."""
        async with self.uow.begin(None) as tx:
            return await tx.prices.price_page(page, model=model)


@dataclass(frozen=True, slots=True)
class ListExchangeRates:
    """Lists exchange rates, newest first."""

    uow: UnitOfWork

    async def __call__(self, page: Page) -> Sequence[RateRow]:
        """The page's rates."""
        async with self.uow.begin(None) as tx:
            return await tx.prices.rate_page(page)
