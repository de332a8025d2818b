"""Tokens used, in the buckets a provider prices separately."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one or more model calls.

    ``input`` excludes what was written to or read from the prompt cache, as in the
    Messages API's ``usage``; so the four buckets add up without overlap.
    """

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0

    def __post_init__(self) -> None:
        if min(self.input, self.output, self.cache_write, self.cache_read) < 0:
            raise ValueError("tokens cannot be negative")

    @property
    def total(self) -> int:
        """All tokens, of whatever bucket."""
        return self.input + self.output + self.cache_write + self.cache_read

    @property
    def prompt(self) -> int:
        """The length of the prompt, which chooses a price's band."""
        return self.input + self.cache_write + self.cache_read

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_write=self.cache_write + other.cache_write,
            cache_read=self.cache_read + other.cache_read,
        )


NO_USAGE = TokenUsage()
