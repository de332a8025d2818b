"""What a model call costs: dated price rows in nano-dollars, and dated rates to rupees.

Rows are only ever added. A call is priced by the row that was in force when it was made, a
run converted at the rate that was in force when it was accepted: what is known of the past
does not change when a row is added.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from domain.billing.usage import TokenUsage
from domain.shared.errors import Conflict, DomainError, InvalidValue
from domain.shared.money import ExchangeRate

NOTICE = timedelta(seconds=60)
"""How long before it is in force a row must be there: longer than any process keeps what it
read, so that no two processes ever reckon with different rows."""

MOST_PER_TOKEN = 1_000_000
"""Nano-dollars, $1,000 a million tokens: fifty times the dearest model there is. Above it
somebody took the unit for another."""

MAX_MODEL_LENGTH = 100
MAX_SOURCE_LENGTH = 500


class UnknownPrice(DomainError):
    """No row prices this: the call must not be made, and nothing can be quoted."""

    code = "unknown_price"


class PriceExists(Conflict):
    """A row for that model and day, or for that moment, is there, and stays as it is."""

    code = "price_exists"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """One row of a provider's price list, never changed once it is there.

    Prices are nano-dollars per token: $1 per million tokens is 1 000. ``cache_write`` is the
    five-minute lifetime's, ``cache_write_1h`` the one-hour lifetime's. ``valid_from`` is a day
    in UTC. ``prompt_up_to`` is the longest prompt, in tokens, the row applies to; None means
    any length.
    """

    model: str
    valid_from: date
    prompt_up_to: int | None
    input: int
    output: int
    cache_write: int
    cache_write_1h: int
    cache_read: int
    source: str

    def cost(self, usage: TokenUsage) -> int:
        """The exact cost of ``usage`` in nano-dollars."""
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_write * self.cache_write
            + usage.cache_write_1h * self.cache_write_1h
            + usage.cache_read * self.cache_read
        )

    @property
    def dearest_input(self) -> int:
        """The most one prompt token of a call of ours can cost, whichever bucket it falls in.

        The one-hour lifetime is left out, because no call asks for it. Were a provider to use
        it unasked, the tokens would be priced as they are and the excess over what was held
        would be the house's.
        """
        return max(self.input, self.cache_write, self.cache_read)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """Every price row there is, those of the past and those to come."""

    prices: tuple[ModelPrice, ...]

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

    def priced(self, model: str, on: date) -> bool:
        """Whether any row of the model is in force on that day."""
        return any(price.model == model and price.valid_from <= on for price in self.prices)


def price_of(prices: Iterable[ModelPrice], model: str, on: date, prompt_tokens: int) -> ModelPrice:
    """The row in force for ``model`` on a day and prompt length.

    The newest ``valid_from`` not after ``on`` wins; among its bands, the narrowest that
    holds the prompt.

    Raises:
        UnknownPrice: there is none.
    """
    rows = [price for price in prices if price.model == model and price.valid_from <= on]
    newest = max((price.valid_from for price in rows), default=None)
    bands = [
        price
        for price in rows
        if price.valid_from == newest
        and (price.prompt_up_to is None or prompt_tokens <= price.prompt_up_to)
    ]
    if not bands:
        raise UnknownPrice(
            f"The model {model} has no price on {on} for a prompt of {prompt_tokens} tokens, so "
            "it is not called. An operator must add one.",
            model=model,
        )
    return min(bands, key=lambda price: (price.prompt_up_to is None, price.prompt_up_to or 0))


def rate_at(rates: Iterable[ExchangeRate], moment: datetime) -> ExchangeRate:
    """The rate in force at a moment: the newest that is valid by then.

    Raises:
        UnknownPrice: none is.
    """
    valid = [rate for rate in rates if rate.valid_from <= moment]
    if not valid:
        raise UnknownPrice(f"No exchange rate is valid at {moment:%Y-%m-%d %H:%M} UTC.")
    return max(valid, key=lambda rate: rate.valid_from)


def check_new_prices(rows: Sequence[ModelPrice], known: PriceList, now: datetime) -> None:
    """Hold a model's new price to what keeps the past as it is and every prompt priced.

    ``rows`` are the bands of one model from one day on, and come in force together.

    Raises:
        InvalidValue: the field that does not fit, and the remedy.
        PriceExists: the model has a price from that day on already.
    """
    first = rows[0] if rows else None
    if first is None:
        raise InvalidValue("bands", "Give at least one band: the one without prompt_up_to.")
    _check_words(first.model, first.source)
    ends = [row.prompt_up_to for row in rows]
    if ends.count(None) != 1:
        raise InvalidValue(
            "bands", "Give exactly one band without prompt_up_to: it prices the longest prompts."
        )
    if len(set(ends)) != len(ends) or min((end for end in ends if end is not None), default=1) < 1:
        raise InvalidValue("prompt_up_to", "Give each band an end of its own, 1 or more tokens.")
    for row in rows:
        for bucket in ("input", "output", "cache_write", "cache_write_1h", "cache_read"):
            if not 0 < getattr(row, bucket) <= MOST_PER_TOKEN:
                raise InvalidValue(
                    bucket,
                    f"Give nano-dollars per token, 1 to {MOST_PER_TOKEN}: "
                    "$1 per million tokens is 1000.",
                )
    same_day = [
        p for p in known.prices if (p.model, p.valid_from) == (first.model, first.valid_from)
    ]
    if same_day:
        raise PriceExists(
            f"{first.model} has a price from {first.valid_from} on, and rows are never changed. "
            "Add one with a later valid_from.",
        )
    begins = datetime.combine(first.valid_from, time(), UTC)
    # A model nobody could call yet has no past that a row could change.
    if begins < now + NOTICE and known.priced(first.model, now.date()):
        raise InvalidValue(
            "valid_from",
            f"{first.model} is priced by another row today. Give a day (UTC) that begins in "
            f"{int(NOTICE.total_seconds())} seconds or later: what was called is not priced anew.",
        )


def check_new_rate(rate: ExchangeRate, known: Iterable[ExchangeRate], now: datetime) -> None:
    """Hold a new exchange rate to what keeps accepted runs as they were quoted.

    Raises:
        InvalidValue: the field that does not fit, and the remedy.
        PriceExists: a rate is valid from that very moment on.
    """
    _check_words("USD", rate.source)
    if not 1 <= rate.paise_per_usd <= 1_000_000:
        raise InvalidValue("paise_per_usd", "Give paise a US dollar, 1 to 1000000.")
    if rate.valid_from < now + NOTICE:
        raise InvalidValue(
            "valid_from",
            f"Give a moment at least {int(NOTICE.total_seconds())} seconds ahead: runs that are "
            "accepted keep their rate.",
        )
    if any(other.valid_from == rate.valid_from for other in known):
        raise PriceExists("A rate is valid from that moment on. Give another moment.")


def _check_words(model: str, source: str) -> None:
    if not 0 < len(model) <= MAX_MODEL_LENGTH or not model.isprintable():
        raise InvalidValue("model", f"Give the model's name, 1 to {MAX_MODEL_LENGTH} characters.")
    if not 0 < len(source.strip()) <= MAX_SOURCE_LENGTH or not source.isprintable():
        raise InvalidValue(
            "source", f"Say where the figures are from, in 1 to {MAX_SOURCE_LENGTH} characters."
        )
