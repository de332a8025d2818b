"""The prices and the rate that the migration seeds, as values."""

import importlib
from datetime import UTC, date, datetime

from domain.billing.pricing import ModelPrice, PriceList
from domain.shared.money import ExchangeRate

_migration = importlib.import_module("adapters.postgres.migrations.versions.0004_prices")

PUBLISHED = PriceList(
    prices=tuple(
        ModelPrice(
            model=model,
            valid_from=date.fromisoformat(valid_from),
            prompt_up_to=prompt_up_to,
            input=input_,
            output=output,
            cache_write=write,
            cache_write_1h=write_1h,
            cache_read=read,
            source=source,
        )
        for model, valid_from, prompt_up_to, input_, output, write, write_1h, read, source
        in _migration.PRICES
    )
)  # fmt: skip
"""Every row a fresh database has."""

FIRST_RATE = ExchangeRate(
    paise_per_usd=_migration.FIRST_RATE,
    valid_from=datetime(2000, 1, 1, tzinfo=UTC),
    source=_migration.RATE_SOURCE,
)
"""The rate a fresh database has."""


class FixedPrices:
    """A source of prices that never changes, or fails when a test says so."""

    def __init__(self, prices: PriceList = PUBLISHED) -> None:
        self.list = prices
        self.failing: Exception | None = None

    async def prices(self) -> PriceList:
        """The list, or the failure the test set."""
        if self.failing is not None:
            raise self.failing
        return self.list
