"""Prices and exchange rates over the wire."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from application.ports.prices import PriceRow, RateRow
from domain.billing.pricing import ModelPrice
from domain.shared.money import ExchangeRate


class PriceBand(msgspec.Struct, forbid_unknown_fields=True):
    """Nano-dollars per token in each bucket ($1 per million tokens is 1000).

    ``prompt_up_to`` is the longest prompt, in tokens, the band is for; the band without it is
    for all that are longer.
    """

    input: int
    output: int
    cache_write: int
    cache_write_1h: int
    cache_read: int
    prompt_up_to: int | None = None


class AddModelPriceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A model's price from a day (UTC) on, with all its bands, and where it was published."""

    model: str
    valid_from: date
    source: str
    bands: list[PriceBand]

    def rows(self) -> Sequence[ModelPrice]:
        """The price, band by band."""
        return [
            ModelPrice(
                model=self.model,
                valid_from=self.valid_from,
                prompt_up_to=band.prompt_up_to,
                input=band.input,
                output=band.output,
                cache_write=band.cache_write,
                cache_write_1h=band.cache_write_1h,
                cache_read=band.cache_read,
                source=self.source,
            )
            for band in self.bands
        ]


class AddExchangeRateRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Paise a US dollar, from when on (left out: a minute from now), and who says so."""

    paise_per_usd: int
    source: str
    valid_from: datetime | None = None


class ModelPriceView(msgspec.Struct):
    """A price row, in nano-dollars per token. ``added_by`` null came with the platform."""

    id: UUID
    model: str
    valid_from: date
    prompt_up_to: int | None
    input: int
    output: int
    cache_write: int
    cache_write_1h: int
    cache_read: int
    currency: str
    source: str
    added_by: UUID | None
    added_at: datetime

    @classmethod
    def of(cls, row: PriceRow) -> "ModelPriceView":
        price = row.price
        return cls(
            id=row.id,
            model=price.model,
            valid_from=price.valid_from,
            prompt_up_to=price.prompt_up_to,
            input=price.input,
            output=price.output,
            cache_write=price.cache_write,
            cache_write_1h=price.cache_write_1h,
            cache_read=price.cache_read,
            currency="USD",
            source=price.source,
            added_by=row.added_by,
            added_at=row.added_at,
        )


class ModelPriceListView(msgspec.Struct):
    """The rows of one price."""

    items: list[ModelPriceView]

    @classmethod
    def of(cls, rows: Sequence[PriceRow]) -> "ModelPriceListView":
        return cls([ModelPriceView.of(row) for row in rows])


class ModelPricePageView(msgspec.Struct):
    """A page of price rows; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[ModelPriceView]
    next_cursor: str | None


class RateView(msgspec.Struct):
    """What a US dollar is worth in paise, from when on, and who says so."""

    paise_per_usd: int
    valid_from: datetime
    source: str

    @classmethod
    def of(cls, rate: ExchangeRate) -> "RateView":
        return cls(rate.paise_per_usd, rate.valid_from, rate.source)


class ExchangeRateView(msgspec.Struct):
    """An exchange rate as it is kept. ``added_by`` null came with the platform."""

    id: UUID
    base: str
    quote: str
    paise_per_usd: int
    valid_from: datetime
    source: str
    added_by: UUID | None
    added_at: datetime

    @classmethod
    def of(cls, row: RateRow) -> "ExchangeRateView":
        return cls(
            id=row.id,
            base="USD",
            quote="INR",
            paise_per_usd=row.rate.paise_per_usd,
            valid_from=row.rate.valid_from,
            source=row.rate.source,
            added_by=row.added_by,
            added_at=row.added_at,
        )


class ExchangeRatePageView(msgspec.Struct):
    """A page of exchange rates; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[ExchangeRateView]
    next_cursor: str | None
