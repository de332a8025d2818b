"""The language model port, on the Messages API."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import anthropic

from adapters.claude.failures import Failure, failure_of
from adapters.claude.instructions import Instructions
from adapters.claude.model_limits import published_limits
from adapters.claude.prefix_gate import PrefixGate
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
from application.ports.prices import PriceSource
from domain.agents.pipelines import ModelTier
from domain.billing.pricing import PriceList, UnknownPrice
from domain.billing.usage import TokenUsage
from domain.shared.errors import DomainError

PING_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ClaudeLanguageModel:
    """Asks Claude for artifacts.

    Use it in one event loop, and close it with :meth:`aclose`.

    Args:
        settings: the key, the models and the limits.
        prices: where the price rows are; those in force when a call begins price it.
        now: the time, aware UTC: its date picks the price row.
        instructions: the wording; the shipped one when None.

    Raises:
        ClaudeSettingsInvalid: a setting cannot work; the message names it.
    """

    def __init__(
        self,
        settings: ClaudeSettings,
        prices: PriceSource,
        *,
        now: Callable[[], datetime] = _utc_now,
        instructions: Instructions | None = None,
    ) -> None:
        self._settings = settings
        self._now = now
        self._prices = prices
        self._instructions = instructions or Instructions()
        self._gate = PrefixGate()
        settings.check(published_limits())
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

    def model_of(self, tier: ModelTier) -> str:
        """The model that the settings name for a tier."""
        return self._settings.models[tier]

    async def upper_bound(self, request: ModelRequest, so_far: Sequence[RawReply]) -> int:
        """The most the next call can cost, in nano-dollars.

        The bound of the prompt's length (see ``prompt.py``) at the dearest bucket and the
        dearest band within reach, and every token of output that is allowed.

        Raises:
            UnknownInstructions: the request names instructions that do not exist.
            UnknownPrice: the model has no price today.
            DatabaseUnavailable: the prices cannot be read.
        """
        prompt = prompt_for(request, so_far, self._instructions, self._settings)
        return (await self._prices.prices()).most(
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
            tariff = await self._tariff(prompt, began)
        except (LookupError, TypeError, ValueError, UnknownPrice) as error:
            raise ModelCallFailed(
                FailureKind.PERMANENT, f"The request cannot be put: {error}"
            ) from error
        except DomainError as error:
            raise ModelCallFailed(
                FailureKind.TRANSIENT, f"The prices cannot be read: {error}"
            ) from error
        try:
            async with asyncio.timeout(self._settings.total_timeout):
                await self._stream(
                    prompt,
                    received,
                    lambda: on_progress(_progress(received, tariff)),
                )
        except Exception as error:  # the port promises one exception, whatever broke
            failure = failure_of(error, self._now())
            if not isinstance(error, TimeoutError | anthropic.APIError):
                log.warning("a reply of %s broke off", prompt.model, exc_info=error)
        # Raised out here, so that no traceback leads to the SDK's request and its headers.
        if not received.stop_reason:
            raise self._failed(failure or _CUT_SHORT, received, tariff, estimated=received.started)
        stop = _STOPS.get(received.stop_reason)
        if stop is None:
            raise self._failed(_stopped(received), received, tariff)
        before = "".join(part.text for part in so_far)
        text = "".join(received.text)
        if before.strip():
            text = continuation(before, text, whole=stop is StopReason.COMPLETE)
        return RawReply(
            text=text,
            stop=stop,
            model=prompt.model,
            usage=received.usage,
            cost_nano_usd=tariff.cost(received.usage),
            provider_request_id=received.request_id,
        )

    async def ping(self) -> None:
        """Check that the provider can be reached with this key, and knows the model.

        And that each model that may be asked for has a price for any prompt today.

        Raises:
            ModelCallFailed: it cannot, does not, or has none.
        """
        failure: Failure | None = None
        try:
            prices, today = await self._prices.prices(), self._now().date()
            limits = published_limits()
            for model in self._settings.models.values():
                prices.row(model, today, limits[model].context)
        except DomainError as error:
            raise ModelCallFailed(FailureKind.PERMANENT, str(error)) from error
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

    async def _tariff(self, prompt: Prompt, began: datetime) -> "_Tariff":
        tariff = _Tariff(await self._prices.prices(), prompt.model, began.date())
        tariff.list.row(prompt.model, tariff.on, prompt.tokens_at_most)
        return tariff

    def _failed(
        self,
        failure: Failure,
        received: ReceivedReply,
        tariff: "_Tariff",
        *,
        estimated: bool = False,
    ) -> ModelCallFailed:
        usage = received.usage_so_far
        return ModelCallFailed(
            failure.kind,
            self._redacted(failure.message),
            retry_after=failure.retry_after,
            usage=usage,
            cost_nano_usd=tariff.cost(usage),
            estimated=estimated,
        )

    def _redacted(self, message: str) -> str:
        # A proxy may quote the key that it refuses.
        return message.replace(self._settings.api_key, "[key]")


@dataclass(frozen=True, slots=True)
class _Tariff:
    """What one call is priced by: the rows as they were when it began."""

    list: PriceList
    model: str
    on: date

    def cost(self, usage: TokenUsage) -> int:
        return self.list.row(self.model, self.on, usage.prompt).cost(usage)


def _progress(received: ReceivedReply, tariff: _Tariff) -> CallProgress:
    usage = received.usage_so_far
    return CallProgress(
        model=tariff.model,
        usage=usage,
        cost_nano_usd=tariff.cost(usage),
        estimated=not received.stop_reason,
    )


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
