"""Add a model's price, or an exchange rate, for the time to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from application.ports.prices import PriceRow, RateRow
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.pricing import (
    NOTICE,
    ModelPrice,
    PriceList,
    check_new_prices,
    check_new_rate,
)
from domain.shared.ids import UserId
from domain.shared.moments import given_moment
from domain.shared.money import ExchangeRate


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModelPrice:
    """A model's price from a day on, band by band; who adds it."""

    user_id: UserId
    origin: Origin
    bands: Sequence[ModelPrice]
    once: Completion[Sequence[PriceRow]] | None = None


@dataclass(frozen=True, slots=True)
class AddModelPrice:
    """Adds the rows of one price. No row that is there is changed."""

    uow: UnitOfWork
    clock: Clock
    ids: IdMaker

    async def __call__(self, command: NewModelPrice) -> Sequence[PriceRow]:
        """The rows as they are kept. Every process reckons with them within a minute.

        Raises:
            InvalidValue: a figure does not fit, or the past would be priced anew.
            PriceExists: the model has a price from that day on.
            KeyClaimLost: another request with the same key came first.
        """
        now = self.clock.now()
        async with self.uow.begin(command.user_id) as tx:
            known = PriceList(prices=tuple(await tx.prices.prices()))
            check_new_prices(command.bands, known, now)
            rows = [
                PriceRow(id=self.ids.new(), price=band, added_by=command.user_id, added_at=now)
                for band in command.bands
            ]
            await tx.prices.add_prices(rows)
            for row in rows:
                await tx.audit.record(
                    command.origin, acted(AuditAction.PRICE_ADDED, row.id, after=row.price)
                )
            if command.once is not None:
                await command.once.store(tx.idempotency, rows)
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExchangeRate:
    """What a US dollar is worth; from when on, None for as soon as may be; who adds it."""

    user_id: UserId
    origin: Origin
    paise_per_usd: int
    source: str
    valid_from: datetime | None = None
    once: Completion[RateRow] | None = None


@dataclass(frozen=True, slots=True)
class AddExchangeRate:
    """Adds a rate. Runs accepted before it is in force keep theirs."""

    uow: UnitOfWork
    clock: Clock
    ids: IdMaker

    async def __call__(self, command: NewExchangeRate) -> RateRow:
        """The rate as it is kept.

        Raises:
            InvalidValue: a figure does not fit, or accepted runs would be charged otherwise.
            PriceExists: a rate is valid from that very moment on.
            KeyClaimLost: another request with the same key came first.
        """
        now = self.clock.now()
        valid_from = (
            now + NOTICE
            if command.valid_from is None
            else given_moment("valid_from", command.valid_from)
        )
        rate = ExchangeRate(
            paise_per_usd=command.paise_per_usd, valid_from=valid_from, source=command.source
        )
        row = RateRow(id=self.ids.new(), rate=rate, added_by=command.user_id, added_at=now)
        async with self.uow.begin(command.user_id) as tx:
            check_new_rate(rate, await tx.prices.rates(), now)
            await tx.prices.add_rate(row)
            await tx.audit.record(command.origin, acted(AuditAction.RATE_ADDED, row.id, after=rate))
            if command.once is not None:
                await command.once.store(tx.idempotency, row)
        return row
