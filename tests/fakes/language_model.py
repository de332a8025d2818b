"""A language model that says what a test wrote down for it.

::

    model = ScriptedLanguageModel(
        idea=[fail(FailureKind.RATE_LIMITED, retry_after=3.0), Answer(brief)],
        srs=Answer(requirements),
        code_files=lambda request: Answer(files_for(request)),
    )

Names of instructions are written with ``_`` for ``.``. A list is used up in order, and its
last play is repeated; so is a play on its own. ``model.calls`` is what was asked.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import msgspec

from application.ports.language_model import (
    CallProgress,
    FailureKind,
    ModelCallFailed,
    ModelProvider,
    ModelRequest,
    RawReply,
    StopReason,
)
from domain.agents.artifacts import Reply
from domain.agents.pipelines import ModelTier
from domain.billing.pricing import ModelPrice
from domain.billing.usage import TokenUsage

PRICE = ModelPrice(
    model="scripted-1",
    valid_from=date(2026, 1, 1),
    prompt_up_to=None,
    input=2_000,
    output=10_000,
    cache_write=2_500,
    cache_write_1h=4_000,
    cache_read=100,
    source="invented for tests",
)
"""What the fake's tokens cost, in nano-dollars each."""

USAGE = TokenUsage(input=1_000, output=500, cache_write=200, cache_read=300)
BOUND = TokenUsage(input=200_000, output=32_000)
"""The most a scripted call may use: what ``upper_bound`` prices."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One reply.

    ``makes`` is an artifact, or the text as it is (malformed JSON, a cut part). The call
    waits ``delay`` seconds and then for ``gate``, so that a test may hold it; ``progress``
    are the token counts reported before.
    """

    makes: Reply | str
    stop: StopReason = StopReason.COMPLETE
    usage: TokenUsage = USAGE
    progress: tuple[int, ...] = (100, 500)
    delay: float = 0.0
    gate: asyncio.Event | None = None


def answer(makes: Reply | str, **options: object) -> Answer:
    """An :class:`Answer`, with the artifact first."""
    return Answer(makes=makes, **options)  # type: ignore[arg-type]  # checked by Answer


def fail(
    kind: FailureKind,
    message: str = "scripted",
    *,
    retry_after: float | None = None,
    usage: TokenUsage | None = None,
    estimated: bool = False,
) -> ModelCallFailed:
    """A failure, priced when it has a usage."""
    used = usage or TokenUsage()
    return ModelCallFailed(
        kind,
        message,
        retry_after=retry_after,
        usage=used,
        cost_nano_usd=PRICE.cost(used),
        estimated=estimated,
    )


Play = Answer | ModelCallFailed | Callable[[ModelRequest], Answer | ModelCallFailed]
"""What happens in one call."""


@dataclass(frozen=True, kw_only=True)
class ScriptedCall:
    """One call that was made, and what had been said of that answer before."""

    request: ModelRequest
    so_far: tuple[RawReply, ...]


@dataclass(kw_only=True)
class _Part:
    plays: tuple[Play, ...]
    used: int = field(default=0)

    def next(self) -> Play:
        play = self.plays[min(self.used, len(self.plays) - 1)]
        self.used += 1
        return play


class ScriptedLanguageModel:
    """Plays its script; satisfies the port.

    ``in_flight`` and ``most_in_flight`` count calls made at the same time; ``cancelled``
    those that were cancelled. ``unreachable`` is raised by ``ping``. ``versions`` are
    returned by ``version`` where they name the instructions.
    """

    def __init__(self, **script: Play | Sequence[Play]) -> None:
        self.calls: list[ScriptedCall] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.cancelled = 0
        self.unreachable: ModelCallFailed | None = None
        self.versions: dict[str, str] = {}
        self._parts: dict[str, _Part] = {}
        for name, plays in script.items():
            self.on(name.replace("_", "."), plays)

    def on(self, instructions: str, plays: Play | Sequence[Play]) -> None:
        """Script, or script anew, what happens to calls with these instructions."""
        several = tuple(plays) if isinstance(plays, Sequence) else (plays,)
        self._parts[instructions] = _Part(plays=several)

    def asked(self, instructions: str) -> tuple[ModelRequest, ...]:
        """The requests made with these instructions, in order."""
        return tuple(c.request for c in self.calls if c.request.instructions == instructions)

    @property
    def provider(self) -> ModelProvider:
        """Nobody."""
        return ModelProvider(name="Scripted", offline=False)

    def version(self, instructions: str, tier: ModelTier) -> str:
        """What the test set, or a constant of the names."""
        return self.versions.get(instructions, f"{instructions}/{tier}/1")

    def model_of(self, tier: ModelTier) -> str:
        """The one model there is."""
        return PRICE.model

    async def upper_bound(self, request: ModelRequest, so_far: Sequence[RawReply]) -> int:
        """The price of :data:`BOUND`."""
        return PRICE.dearest_input * BOUND.prompt + PRICE.output * BOUND.output

    async def reply(
        self,
        request: ModelRequest,
        so_far: Sequence[RawReply],
        on_progress: Callable[[CallProgress], None],
    ) -> RawReply:
        """Play the next part of the script.

        Raises:
            ModelCallFailed: as scripted.
            AssertionError: nothing is scripted for these instructions.
        """
        self.calls.append(ScriptedCall(request=request, so_far=tuple(so_far)))
        assert request.instructions in self._parts, f"nothing scripted: {request.instructions}"
        play = self._parts[request.instructions].next()
        if not isinstance(play, Answer | ModelCallFailed):
            play = play(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if isinstance(play, ModelCallFailed):
                raise play
            return await self._answered(play, on_progress)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    async def ping(self) -> None:
        """Succeed, or raise what the test set."""
        if self.unreachable is not None:
            raise self.unreachable

    async def _answered(
        self, play: Answer, on_progress: Callable[[CallProgress], None]
    ) -> RawReply:
        # At least one turn of the loop, as a call over a network has.
        await asyncio.sleep(play.delay)
        for tokens in play.progress:
            usage = replace(play.usage, output=tokens)
            on_progress(
                CallProgress(model=PRICE.model, usage=usage, cost_nano_usd=PRICE.cost(usage))
            )
        if play.gate is not None:
            await play.gate.wait()
        made = play.makes
        return RawReply(
            text=made if isinstance(made, str) else msgspec.json.encode(made).decode(),
            stop=play.stop,
            model=PRICE.model,
            usage=play.usage,
            cost_nano_usd=PRICE.cost(play.usage),
            provider_request_id=f"scripted-{len(self.calls)}",
        )


def scripted(script: Mapping[str, Play | Sequence[Play]]) -> ScriptedLanguageModel:
    """A fake from a mapping, for names of instructions that are in variables."""
    model = ScriptedLanguageModel()
    for instructions, plays in script.items():
        model.on(instructions, plays)
    return model
