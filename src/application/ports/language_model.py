"""The maker of artifacts: asked for a value of a type, answers with its JSON.

A provider call and the reading of its answer are apart, because the raw reply is
journalled between the two: a reply that arrived is never bought again, even when the
process dies before it could be read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from domain.agents.artifacts import Reply
from domain.agents.pipelines import Depth, ModelTier
from domain.agents.review import Finding
from domain.billing.usage import NO_USAGE, TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A question: the type wanted, the name of the instructions, and typed inputs.

    ``inputs`` maps a name to an artifact, a list of artifacts or a plain value; its
    order is part of the request, the stable ones first, so that a prompt built from it
    has a prefix worth caching. ``findings`` are what a review found wrong in
    ``previous``, the JSON of the answer before.
    """

    makes: type[Reply]
    instructions: str
    inputs: Mapping[str, object]
    tier: ModelTier
    depth: Depth
    findings: tuple[Finding, ...] = ()
    previous: str = ""


class StopReason(StrEnum):
    """Why a reply ended: whole, cut at its token limit, or declined."""

    COMPLETE = "complete"
    TRUNCATED = "truncated"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawReply:
    """One provider call's answer, before it is read.

    ``text`` is JSON of the requested type, or a part of it when truncated.
    ``cost_nano_usd`` is the provider's price for ``usage`` on the day of the call.
    """

    text: str
    stop: StopReason
    model: str
    usage: TokenUsage
    cost_nano_usd: int
    provider_request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallProgress:
    """What a call under way has come to: what it costs if it is cut off now.

    The prompt's tokens as soon as the provider reported them, the output as far as it has
    streamed. ``estimated`` until the provider's own final count is there.
    """

    model: str
    usage: TokenUsage
    cost_nano_usd: int
    estimated: bool = True


class FailureKind(StrEnum):
    """The classes of a failed call; what is done about each is policy, not adapter."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    TOO_LONG = "too_long"
    REFUSED = "refused"
    PERMANENT = "permanent"


class ModelCallFailed(Exception):
    """A provider call that brought no whole answer.

    ``retry_after`` is the provider's wish in seconds. ``usage`` and ``cost_nano_usd``
    are what the provider reported, or what had streamed, before the call was cut;
    ``estimated`` says that the latter is the case.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retry_after: float | None = None,
        usage: TokenUsage = NO_USAGE,
        cost_nano_usd: int = 0,
        estimated: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        self.usage = usage
        self.cost_nano_usd = cost_nano_usd
        self.estimated = estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProvider:
    """Who answers. ``offline`` means that no language model is asked at all.

    ``notice`` is the sentence every document and answer made this way must carry, or
    empty when there is nothing to disclose.
    """

    name: str
    offline: bool
    notice: str = ""


class LanguageModel(Protocol):
    """Answers requests. One ``reply`` is one provider call, never retried inside."""

    @property
    def provider(self) -> ModelProvider:
        """Who answers."""
        ...

    def version(self, instructions: str, tier: ModelTier) -> str:
        """What, besides its inputs, an answer depends on: instructions text and model.

        Part of a step's input hash: a new wording or model makes the step anew.
        """
        ...

    def model_of(self, tier: ModelTier) -> str:
        """The name of the model that answers at a tier: the one its price stands under."""
        ...

    async def upper_bound(self, request: ModelRequest, so_far: Sequence[RawReply]) -> int:
        """The most the next call can cost, in nano-dollars: what is held before it.

        Raises:
            UnknownPrice: nobody knows, so the call must not be made.
            DatabaseUnavailable: the prices cannot be read now.
        """
        ...

    async def reply(
        self,
        request: ModelRequest,
        so_far: Sequence[RawReply],
        on_progress: Callable[[CallProgress], None],
    ) -> RawReply:
        """Make one provider call. ``so_far`` are truncated replies to be continued.

        The texts of ``so_far`` and of the answer, joined, are the whole reply.
        ``on_progress`` is called as soon as the provider has counted the prompt, and with
        whatever streams after it: a caller that cancels the call knows from it what the
        call came to.

        Raises:
            ModelCallFailed: classed; never another exception but cancellation.
        """
        ...

    async def ping(self) -> None:
        """Check that the provider can be reached, without buying tokens.

        Raises:
            ModelCallFailed: it cannot.
        """
        ...
