"""Answers requests without a language model: each kind by its own composer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import msgspec

from adapters.offline.brief import compose_brief
from adapters.offline.codebase.files import write_files
from adapters.offline.codebase.plan import compose_plan
from adapters.offline.product import compose_product
from adapters.offline.requirements import compose_requirements
from application.ports.language_model import (
    CallProgress,
    FailureKind,
    ModelCallFailed,
    ModelProvider,
    ModelRequest,
    RawReply,
    StopReason,
)
from domain.agents.artifacts import (
    CodePlan,
    FileBatch,
    Idea,
    IdeaBrief,
    ProductSpec,
    Reply,
    Requirements,
)
from domain.agents.pipelines import ModelTier
from domain.billing.usage import NO_USAGE

Taken = TypeVar("Taken")

RULES_VERSION = "offline-2"
"""Raised with every change of a rule or template: a step made by older rules is made anew."""

PROVIDER = ModelProvider(
    name="offline",
    offline=True,
    notice="Composed offline from the idea by rules, without a language model.",
)


class OfflineLanguageModel:
    """The ``LanguageModel`` that computes artifacts from their inputs.

    The same inputs give the same bytes. Nothing is bought, so nothing costs anything, and
    no reply is ever truncated.
    """

    @property
    def provider(self) -> ModelProvider:
        """Who answers: nobody but the rules."""
        return PROVIDER

    def version(self, instructions: str, tier: ModelTier) -> str:
        """The version of the rules for ``instructions``; the tier makes no difference."""
        return f"{RULES_VERSION}/{instructions}"

    def model_of(self, tier: ModelTier) -> str:
        """The rules, whatever the tier."""
        return PROVIDER.name

    async def upper_bound(self, request: ModelRequest, so_far: Sequence[RawReply]) -> int:
        """Nothing."""
        return 0

    async def reply(
        self,
        request: ModelRequest,
        so_far: Sequence[RawReply],
        on_progress: Callable[[CallProgress], None],
    ) -> RawReply:
        """Compose the answer in a thread.

        Raises:
            ModelCallFailed: permanently, when no rule makes what is asked for from what is
                given.
        """
        compose = COMPOSERS.get((request.instructions, request.makes))
        if compose is None:
            raise _refusal(f"No rules for {request.instructions!r} make {request.makes.__name__}.")
        try:
            text = await asyncio.to_thread(_composed, compose, request.inputs)
        except ModelCallFailed:
            raise
        except Exception as error:
            # A mistake in a rule is made again on every try, so trying again is no remedy.
            raise _refusal(f"The rules for {request.instructions!r} failed: {error!r}.") from error
        return RawReply(
            text=text,
            stop=StopReason.COMPLETE,
            model=PROVIDER.name,
            usage=NO_USAGE,
            cost_nano_usd=0,
        )

    async def ping(self) -> None:
        """The rules are always there."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a request, by name and of the type that a composer expects."""

    values: Mapping[str, object]

    def take(self, name: str, type_: type[Taken]) -> Taken:
        """The input called ``name``.

        Raises:
            ModelCallFailed: it is missing or of another type.
        """
        value = self.values.get(name)
        if not isinstance(value, type_):
            raise _refusal(f"The input {name!r} must be of the type {type_.__name__}.")
        return value

    def brief(self) -> IdeaBrief:
        """The brief, which must name somebody and something.

        Raises:
            ModelCallFailed: it does not, or is missing.
        """
        brief = self.take("brief", IdeaBrief)
        if not brief.entities or not brief.actors:
            raise _refusal("The brief names no entity or no actor, so nothing follows from it.")
        return brief


def _brief(inputs: Inputs) -> Reply:
    return compose_brief(inputs.take("idea", Idea))


def _requirements(inputs: Inputs) -> Reply:
    return compose_requirements(inputs.take("idea", Idea), inputs.brief())


def _product(inputs: Inputs) -> Reply:
    return compose_product(inputs.take("idea", Idea), inputs.brief())


def _plan(inputs: Inputs) -> Reply:
    return compose_plan(inputs.brief(), inputs.take("requirements", Requirements))


def _files(inputs: Inputs) -> Reply:
    paths = inputs.take("files", tuple)
    try:
        return write_files(inputs.brief(), inputs.take("requirements", Requirements), paths)
    except KeyError as error:
        raise _refusal(f"No rule writes the file {error.args[0]!r}.") from None


def _no_repair(inputs: Inputs) -> Reply:
    """Rules that wrote a mistake would write it again, so nothing is written."""
    return FileBatch(files=())


COMPOSERS: Mapping[tuple[str, type[Reply]], Callable[[Inputs], Reply]] = MappingProxyType(
    {
        ("idea", IdeaBrief): _brief,
        ("srs", Requirements): _requirements,
        ("prd", ProductSpec): _product,
        ("code.plan", CodePlan): _plan,
        ("code.files", FileBatch): _files,
        ("repair", FileBatch): _no_repair,
    }
)


def _composed(compose: Callable[[Inputs], Reply], inputs: Mapping[str, object]) -> str:
    return msgspec.json.encode(compose(Inputs(inputs))).decode("utf-8")


def _refusal(message: str) -> ModelCallFailed:
    return ModelCallFailed(FailureKind.PERMANENT, message)
