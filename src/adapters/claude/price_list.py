"""The provider's price list and limits, read from ``models.toml``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files

import msgspec

from domain.billing.pricing import ModelPrice, price_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """The most tokens a model reads (``context``) and writes (``max_output``) in a call."""

    context: int
    max_output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """Every price row ever valid, and the limits of each model."""

    prices: tuple[ModelPrice, ...]
    limits: Mapping[str, ModelLimits]

    def row(self, model: str, on: date, prompt_tokens: int) -> ModelPrice:
        """The row that prices a call.

        Raises:
            UnknownPrice: no row does.
        """
        return price_of(self.prices, model, on, prompt_tokens)

    def most(self, model: str, on: date, prompt_tokens: int, output_tokens: int) -> int:
        """The most a call of up to so many tokens can cost, in nano-dollars.

        Inside a band the cost grows with the tokens, so only the upper edges of the bands
        within reach need to be looked at; each prompt token is taken at the dearest of
        its buckets. The day after ``on`` counts too: a call held before midnight may be
        priced after it.

        Raises:
            UnknownPrice: no row prices the model.
        """
        edges = {prompt_tokens} | {
            price.prompt_up_to
            for price in self.prices
            if price.model == model
            and price.prompt_up_to is not None
            and price.prompt_up_to < prompt_tokens
        }
        return max(
            edge * row.dearest_input + output_tokens * row.output
            for day in (on, on + timedelta(days=1))
            for edge in edges
            for row in (self.row(model, day, edge),)
        )


def published_prices() -> PriceList:
    """The list that ships with this package.

    Raises:
        ValueError: the file is not in the one currency and unit the ledger reckons in, or
            a row lacks a field.
    """
    text = files("adapters.claude").joinpath("models.toml").read_text("utf-8")
    document = msgspec.convert(tomllib.loads(text), _Document)
    if (document.currency, document.unit) != ("USD", "nano-dollar per token"):
        raise ValueError("models.toml: prices must be in USD, as nano-dollars per token")
    return PriceList(
        prices=tuple(
            ModelPrice(
                model=row.model,
                valid_from=row.valid_from,
                prompt_up_to=row.prompt_up_to,
                input=row.input,
                output=row.output,
                cache_write=row.cache_write,
                cache_read=row.cache_read,
                source=row.source,
            )
            for row in document.prices
        ),
        limits={
            row.name: ModelLimits(context=row.context, max_output=row.max_output)
            for row in document.models
        },
    )


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    valid_from: date
    input: int
    output: int
    cache_write: int
    cache_read: int
    source: str
    prompt_up_to: int | None = None


class _Model(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    context: int
    max_output: int
    source: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    currency: str
    unit: str
    read_on: date
    models: tuple[_Model, ...]
    prices: tuple[_Row, ...]
