"""The prices and rates of now, read from the database and kept for a short while."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from application.ports.clock import Clock
from application.ports.persistence import UnitOfWork
from domain.billing.pricing import NOTICE, PriceList, rate_at
from domain.shared.money import ExchangeRate

KEEP: Final = NOTICE / 2
"""How long what was read is used. A row is there for :data:`NOTICE` before it is in force, so
every process knows it by then."""


@dataclass(slots=True)
class PriceBook:
    """One a process. Of many who ask when it is time to read anew, one reads."""

    uow: UnitOfWork
    clock: Clock
    keep: timedelta = KEEP
    _read: "_Read | None" = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def prices(self) -> PriceList:
        """Every price row there is.

        Call it outside of a transaction: it may open one.

        Raises:
            DatabaseUnavailable: it is time to read anew, and the database does not answer.
        """
        return (await self._current()).prices

    async def rate(self, moment: datetime) -> ExchangeRate:
        """The exchange rate in force at a moment.

        Call it outside of a transaction: it may open one.

        Raises:
            DatabaseUnavailable: it is time to read anew, and the database does not answer.
            UnknownPrice: no rate is valid by then.
        """
        return rate_at((await self._current()).rates, moment)

    async def _current(self) -> "_Read":
        fresh = self._fresh()
        if fresh is not None:
            return fresh
        async with self._reading:
            fresh = self._fresh()
            if fresh is None:
                now = self.clock.now()
                async with self.uow.begin(None) as tx:
                    fresh = _Read(
                        prices=PriceList(prices=tuple(await tx.prices.prices())),
                        rates=tuple(await tx.prices.rates()),
                        at=now,
                    )
                self._read = fresh
            return fresh

    def _fresh(self) -> "_Read | None":
        if self._read is None:
            return None
        age = self.clock.now() - self._read.at
        # A clock that was set back makes what was read look young for ever.
        return self._read if timedelta(0) <= age < self.keep else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    prices: PriceList
    rates: tuple[ExchangeRate, ...]
    at: datetime
