"""Tokens used, in the buckets a provider prices separately."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one or more model calls.

    ``input`` excludes what was written to or read from the prompt cache, as in the
    Messages API's ``usage``; ``cache_write`` is what was written for five minutes,
    ``cache_write_1h`` for an hour. So the five buckets add up without overlap.
    """

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0
    cache_write_1h: int = 0

    def __post_init__(self) -> None:
        if min(self.output, self.input, *self._cached) < 0:
            raise ValueError("tokens cannot be negative")

    @property
    def total(self) -> int:
        """All tokens, of whatever bucket."""
        return self.prompt + self.output

    @property
    def prompt(self) -> int:
        """The length of the prompt, which chooses a price's band."""
        return self.input + sum(self._cached)

    @property
    def _cached(self) -> tuple[int, int, int]:
        return self.cache_write, self.cache_write_1h, self.cache_read

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_write=self.cache_write + other.cache_write,
            cache_read=self.cache_read + other.cache_read,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
        )


NO_USAGE = TokenUsage()
