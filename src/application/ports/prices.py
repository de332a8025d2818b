"""Prices and rates as data: rows that are added, read, and never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from application.ports.paging import Page
from domain.billing.pricing import ModelPrice, PriceList
from domain.shared.ids import UserId
from domain.shared.money import ExchangeRate


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """A price as it is kept. ``added_by`` is None for what the platform came with."""

    id: UUID
    price: ModelPrice
    added_by: UserId | None
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow:
    """An exchange rate as it is kept. ``added_by`` is None for the one the platform came with."""

    id: UUID
    rate: ExchangeRate
    added_by: UserId | None
    added_at: datetime


class PriceSource(Protocol):
    """Where a model adapter finds what its calls cost."""

    async def prices(self) -> PriceList:
        """Every price row there is, at most some seconds old.

        Raises:
            DatabaseUnavailable: they cannot be read.
        """
        ...


class PriceRecords(Protocol):
    """Everybody's prices and rates: nobody's transaction may read them too."""

    async def prices(self) -> Sequence[ModelPrice]:
        """Every price row there is."""
        ...

    async def rates(self) -> Sequence[ExchangeRate]:
        """Every exchange rate there is."""
        ...

    async def price_page(self, page: Page, *, model: str) -> Sequence[PriceRow]:
        """Price rows, newest first, of one model if it is named."""
        ...

    async def rate_page(self, page: Page) -> Sequence[RateRow]:
        """Exchange rates, newest first."""
        ...

    async def add_prices(self, rows: Sequence[PriceRow]) -> None:
        """Add the bands of one price, all of them or none.

        Raises:
            PriceExists: the model has one from that day on.
        """
        ...

    async def add_rate(self, row: RateRow) -> None:
        """Add an exchange rate.

        Raises:
            PriceExists: one is valid from that moment on.
        """
        ...
