"""What has arrived of a streamed reply, event by event."""

from dataclasses import dataclass, field, replace

from anthropic.types import MessageDeltaUsage, RawMessageStreamEvent, Usage

from domain.billing.usage import NO_USAGE, TokenUsage

CHARACTERS_PER_TOKEN = 4
"""A usual figure for English and code, for estimates only."""


@dataclass(slots=True)
class ReceivedReply:
    """The text, the stop and the tokens of one call, as far as they are known.

    ``request_id`` is the provider's name for the call. ``stop_reason`` is its reason for
    ending, empty until it was said; from then on ``usage`` is exact.
    """

    output_limit: int
    request_id: str = ""
    text: list[str] = field(default_factory=list)
    started: bool = False
    stop_reason: str = ""
    refusal: str = ""
    usage: TokenUsage = NO_USAGE
    _characters: int = 0
    _hour_long: int = 0

    @property
    def output_tokens(self) -> int:
        """Tokens written so far: estimated from the text while it streams, then exact."""
        if self.stop_reason:
            return self.usage.output
        estimate = -(-self._characters // CHARACTERS_PER_TOKEN)
        return min(max(estimate, self.usage.output), self.output_limit)

    @property
    def usage_so_far(self) -> TokenUsage:
        """The tokens the provider reported, with the output estimated if it was cut."""
        return replace(self.usage, output=self.output_tokens)

    def take(self, event: RawMessageStreamEvent) -> None:
        """Account for one event.

        Raises:
            AttributeError, TypeError, ValueError: the event is not as documented.
        """
        if event.type == "message_start":
            self.usage = _merged(self.usage, event.message.usage)
            breakdown = event.message.usage.cache_creation
            self._hour_long = breakdown.ephemeral_1h_input_tokens if breakdown else 0
            self.usage = _split(self.usage, self._hour_long)
            self.started = True
        elif event.type == "content_block_start":
            if event.content_block.type == "text":
                self._add(event.content_block.text, shown=True)
        elif event.type == "content_block_delta":
            if event.delta.type == "text_delta":
                self._add(event.delta.text, shown=True)
            elif event.delta.type == "thinking_delta":
                self._add(event.delta.thinking, shown=False)
            elif event.delta.type == "input_json_delta":
                self._add(event.delta.partial_json, shown=False)
        elif event.type == "message_delta":
            # A count is of both lifetimes; only the first event says how it divides.
            self.usage = _split(_merged(self.usage, event.usage), self._hour_long)
            if event.delta.stop_details is not None:
                self.refusal = event.delta.stop_details.category or ""
            self.stop_reason = event.delta.stop_reason or ""

    def _add(self, text: str, *, shown: bool) -> None:
        self._characters += len(text)
        if shown:
            self.text.append(text)


def _merged(known: TokenUsage, reported: Usage | MessageDeltaUsage) -> TokenUsage:
    """Counts are cumulative and replace; one that is left out keeps its last value."""
    write, read = reported.cache_creation_input_tokens, reported.cache_read_input_tokens
    return TokenUsage(
        input=known.input if reported.input_tokens is None else reported.input_tokens,
        output=reported.output_tokens,
        cache_write=known.cache_write + known.cache_write_1h if write is None else write,
        cache_read=known.cache_read if read is None else read,
    )


def _split(usage: TokenUsage, hour_long: int) -> TokenUsage:
    """Tokens written to the cache, apart by how long it lives."""
    lasting = min(hour_long, usage.cache_write)
    return replace(usage, cache_write=usage.cache_write - lasting, cache_write_1h=lasting)
