"""The language model port, on the Messages API."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import anthropic

from adapters.claude.failures import Failure, failure_of
from adapters.claude.instructions import Instructions
from adapters.claude.prefix_gate import PrefixGate
from adapters.claude.price_list import PriceList, published_prices
from adapters.claude.prompt import PROMPT_LAYOUT, Prompt, prompt_for
from adapters.claude.received import ReceivedReply
from adapters.claude.seam import continuation
from adapters.claude.settings import PROVIDER_URL, ClaudeSettings
from application.ports.language_model import (
    CallProgress,
    FailureKind,
    ModelCallFailed,
    ModelProvider,
    ModelRequest,
    RawReply,
    StopReason,
)
from domain.agents.pipelines import ModelTier
from domain.billing.usage import TokenUsage

PING_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ClaudeLanguageModel:
    """Asks Claude for artifacts.

    Use it in one event loop, and close it with :meth:`aclose`.

    Args:
        settings: the key, the models and the limits.
        now: the time, aware UTC: its date picks the price row.
        prices: the price list; the published one when None.
        instructions: the wording; the shipped one when None.

    Raises:
        ClaudeSettingsInvalid: a setting cannot work; the message names it.
    """

    def __init__(
        self,
        settings: ClaudeSettings,
        *,
        now: Callable[[], datetime] = _utc_now,
        prices: PriceList | None = None,
        instructions: Instructions | None = None,
    ) -> None:
        self._settings = settings
        self._now = now
        self._prices = prices or published_prices()
        self._instructions = instructions or Instructions()
        self._gate = PrefixGate()
        settings.check(self._prices, now().date())
        self._client = anthropic.AsyncAnthropic(
            api_key=settings.api_key,
            # Always given, so that no variable of the environment can redirect a key.
            base_url=settings.base_url or PROVIDER_URL,
            max_retries=0,
            timeout=anthropic.Timeout(
                settings.read_timeout,
                connect=settings.connect_timeout,
            ),
        )

    @property
    def provider(self) -> ModelProvider:
        """Who answers."""
        return ModelProvider(name="Anthropic Claude", offline=False)

    def version(self, instructions: str, tier: ModelTier) -> str:
        """The model, and a hash of all that is told to it besides a request's inputs.

        Raises:
            UnknownInstructions: no instructions stand under that name.
        """
        digest = hashlib.sha256(self._instructions.digest(instructions))
        effort = sorted(self._settings.effort.items())
        digest.update(repr((PROMPT_LAYOUT, self._settings.thinking, effort)).encode())
        return f"{self._settings.models[tier]}:{digest.hexdigest()[:16]}"

    def upper_bound(self, request: ModelRequest, so_far: Sequence[RawReply]) -> int:
        """The most the next call can cost, in nano-dollars.

        The bound of the prompt's length (see ``prompt.py``) at the dearest bucket and the
        dearest band within reach, and every token of output that is allowed.

        Raises:
            UnknownInstructions: the request names instructions that do not exist.
            UnknownPrice: the model has no price today.
        """
        prompt = prompt_for(request, so_far, self._instructions, self._settings)
        return self._prices.most(
            prompt.model,
            self._now().date(),
            prompt.tokens_at_most,
            self._settings.max_output_tokens,
        )

    async def reply(
        self,
        request: ModelRequest,
        so_far: Sequence[RawReply],
        on_progress: Callable[[CallProgress], None],
    ) -> RawReply:
        """Make one provider call. ``so_far`` are truncated replies to be continued.

        Raises:
            ModelCallFailed: classed. A refusal is a failure that was paid for.
        """
        received = ReceivedReply(output_limit=self._settings.max_output_tokens)
        began = self._now()
        failure: Failure | None = None
        try:
            prompt = prompt_for(request, so_far, self._instructions, self._settings)
            self._prices.row(prompt.model, began.date(), prompt.tokens_at_most)
        except (LookupError, TypeError, ValueError) as error:
            raise ModelCallFailed(
                FailureKind.PERMANENT, f"The request cannot be put: {error}"
            ) from error
        try:
            async with asyncio.timeout(self._settings.total_timeout):
                await self._stream(
                    prompt,
                    received,
                    lambda: on_progress(self._progress(received, prompt.model, began)),
                )
        except Exception as error:  # the port promises one exception, whatever broke
            failure = failure_of(error, self._now())
            if not isinstance(error, TimeoutError | anthropic.APIError):
                log.warning("a reply of %s broke off", prompt.model, exc_info=error)
        # Raised out here, so that no traceback leads to the SDK's request and its headers.
        if not received.stop_reason:
            raise self._failed(
                failure or _CUT_SHORT, received, prompt.model, began, estimated=received.started
            )
        stop = _STOPS.get(received.stop_reason)
        if stop is None:
            raise self._failed(_stopped(received), received, prompt.model, began)
        before = "".join(part.text for part in so_far)
        text = "".join(received.text)
        if before.strip():
            text = continuation(before, text, whole=stop is StopReason.COMPLETE)
        return RawReply(
            text=text,
            stop=stop,
            model=prompt.model,
            usage=received.usage,
            cost_nano_usd=self._cost(received.usage, prompt.model, began),
            provider_request_id=received.request_id,
        )

    async def ping(self) -> None:
        """Check that the provider can be reached with this key, and knows the model.

        Raises:
            ModelCallFailed: it cannot, or does not.
        """
        failure: Failure | None = None
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._client.models.retrieve(self._settings.models[ModelTier.DEFAULT])
        except Exception as error:  # noqa: BLE001  (the port promises one exception)
            failure = failure_of(error, self._now())
        if failure is not None:
            raise ModelCallFailed(
                failure.kind, self._redacted(failure.message), retry_after=failure.retry_after
            )

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        await self._client.close()

    async def _stream(
        self, prompt: Prompt, received: ReceivedReply, moved: Callable[[], None]
    ) -> None:
        """Make one call and take its events; ``moved`` is called as tokens become known."""
        async with (
            self._gate.passing(prompt.prefix_key) as begun,
            await self._client.messages.create(
                model=prompt.model,
                max_tokens=self._settings.max_output_tokens,
                system=prompt.system,
                messages=prompt.messages,
                output_config=prompt.output_config,
                thinking=prompt.thinking,
                stream=True,
            ) as stream,
        ):
            received.request_id = stream.response.headers.get("request-id", "")
            async for event in stream:
                received.take(event)
                if event.type == "message_start":
                    begun()
                if event.type in ("message_start", "content_block_delta", "message_delta"):
                    moved()
            if received.long_lived:
                log.warning(
                    "the provider wrote %d tokens to a one-hour cache, which is not priced",
                    received.long_lived,
                )

    def _failed(
        self,
        failure: Failure,
        received: ReceivedReply,
        model: str,
        began: datetime,
        *,
        estimated: bool = False,
    ) -> ModelCallFailed:
        usage = received.usage_so_far
        return ModelCallFailed(
            failure.kind,
            self._redacted(failure.message),
            retry_after=failure.retry_after,
            usage=usage,
            cost_nano_usd=self._cost(usage, model, began),
            estimated=estimated,
        )

    def _progress(self, received: ReceivedReply, model: str, began: datetime) -> CallProgress:
        usage = received.usage_so_far
        return CallProgress(
            model=model,
            usage=usage,
            cost_nano_usd=self._cost(usage, model, began),
            estimated=not received.stop_reason,
        )

    def _cost(self, usage: TokenUsage, model: str, began: datetime) -> int:
        return self._prices.row(model, began.date(), usage.prompt).cost(usage)

    def _redacted(self, message: str) -> str:
        # A proxy may quote the key that it refuses.
        return message.replace(self._settings.api_key, "[key]")


_STOPS: Final = {
    "end_turn": StopReason.COMPLETE,
    "stop_sequence": StopReason.COMPLETE,
    "max_tokens": StopReason.TRUNCATED,
}

_CUT_SHORT: Final = Failure(
    kind=FailureKind.TRANSIENT, message="The provider's answer ended before it was whole."
)


def _stopped(received: ReceivedReply) -> Failure:
    if received.stop_reason == "refusal":
        reason = f" ({received.refusal})" if received.refusal else ""
        return Failure(kind=FailureKind.REFUSED, message=f"The model declined to answer{reason}.")
    if received.stop_reason == "model_context_window_exceeded":
        return Failure(
            kind=FailureKind.TOO_LONG,
            message="The prompt and the answer together exceed the model's context window.",
        )
    return Failure(
        kind=FailureKind.TRANSIENT,
        message=f"The answer ended for an unexpected reason ({received.stop_reason!r}).",
    )
