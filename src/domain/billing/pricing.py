"""What a model call costs its provider's customer: dated price rows, in nano-dollars."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from domain.billing.usage import TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """One row of a provider's price list, never changed once it was valid.

    Prices are nano-dollars per token: $1 per million tokens is 1 000. ``prompt_up_to``
    is the longest prompt, in tokens, the row applies to; None means any length.
    """

    model: str
    valid_from: date
    prompt_up_to: int | None
    input: int
    output: int
    cache_write: int
    cache_read: int
    source: str

    def cost(self, usage: TokenUsage) -> int:
        """The exact cost of ``usage`` in nano-dollars."""
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_write * self.cache_write
            + usage.cache_read * self.cache_read
        )

    @property
    def dearest_input(self) -> int:
        """The most one prompt token can cost, whichever bucket it falls in."""
        return max(self.input, self.cache_write, self.cache_read)


class UnknownPrice(LookupError):
    """No row prices this model on this day: the call must not be made."""


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
        raise UnknownPrice(f"no price for {model} on {on} with {prompt_tokens} prompt tokens")
    return min(bands, key=lambda price: (price.prompt_up_to is None, price.prompt_up_to or 0))
