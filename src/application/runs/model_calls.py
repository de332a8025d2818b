"""A step's line to the language model: every call journalled, held for, and counted.

Before a call its intent and the hold for its dearest outcome are committed; after it the
raw reply is, before anybody reads it. A step begun anew after a crash finds the replies
that did arrive and buys only what is missing. Intents are fenced, for a worker that lost
its lease must hold and buy nothing more; replies are not: one that comes late, to such a
worker, is kept and may still be used.

A call that is cancelled with its worker's task cannot be journalled by that task: it is
put on the claim's list of cut calls, and whoever ended the work records it, because only
they know who pays for it.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from application.failpoints import Failpoint, reach
from application.ports.clock import IdMaker
from application.ports.language_model import (
    CallProgress,
    FailureKind,
    LanguageModel,
    ModelCallFailed,
    ModelRequest,
    RawReply,
    StopReason,
)
from application.ports.live import LiveUpdates, StepProgress
from application.ports.persistence import (
    CUT_OFF,
    OUTAGE,
    BorneBy,
    CallState,
    ModelCall,
    UnitOfWork,
)
from application.ports.provider_gate import RefusalReason
from application.runs.artifact_store import canonical_json
from application.runs.call_pacing import CallPacing
from application.runs.circuit_policy import OUTAGE_TRIES, not_before
from application.runs.failures import RetryLater, StepFailed
from application.runs.retry_policy import PARK_ABOVE_SECONDS, next_delay
from domain.agents.artifacts import Reply
from domain.agents.findings import Finding, error
from domain.billing.ledger import reserve
from domain.billing.usage import TokenUsage
from domain.projects.run import Run
from domain.shared.ids import ModelCallId
from domain.shared.money import ExchangeRate

R = TypeVar("R", bound=Reply)

MAX_PARTS = 8
"""Replies one answer may be continued over; more means that it does not end."""

PROGRESS_SECONDS = 0.25
"""The shortest time between two live figures of one step."""

_SENTENCES = {
    FailureKind.TRANSIENT: "The model provider kept failing; its last answer: {0}.",
    FailureKind.RATE_LIMITED: "The model provider kept limiting our rate; execute again later.",
    FailureKind.OVERLOADED: "The model provider stayed overloaded; execute again later.",
    FailureKind.TOO_LONG: "The project is too long for the model; shorten the idea.",
    FailureKind.REFUSED: "The model declined this content; reword the idea.",
    FailureKind.PERMANENT: "The model provider rejected the request: {0}.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole reply: its text, and the value in it or the findings why there is none."""

    text: str
    value: Reply | None
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class StepCalls:
    """The model calls of one step of one run. Those cut off under way are put on ``cut``."""

    run: Run
    step: str
    uow: UnitOfWork
    model: LanguageModel
    live: LiveUpdates
    ids: IdMaker
    rate: ExchangeRate
    cut: list[ModelCall]
    pacing: CallPacing
    house_nano_usd: int = 0
    _streamed: dict[ModelCallId, int] = field(default_factory=dict)
    _told_at: float = 0.0
    _telling: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, request: ModelRequest, *, purpose: str, borne_by: BorneBy) -> Answer:
        """Get a whole answer, from the journal where it is there already.

        Raises:
            StepFailed: the provider gives none, for good.
            RetryLater: it may give one later.
            InsufficientCredits: the balance does not cover the call's dearest outcome.
            KeyCapReached: the cap of the key the run was started with does not.
            LeaseLost: another worker has the run, or it has ended.
        """
        digest = self._digest(request)
        parts, failures, spare = await self._recall(digest)
        while not parts or parts[-1].stop is StopReason.TRUNCATED:
            if len(parts) == MAX_PARTS:
                raise StepFailed("reply_too_long", "The model's reply did not come to an end.")
            tokens = _about(request, parts)
            await self.pacing.admitted(tokens)
            call = await self._intend(request, parts, digest, purpose, borne_by, spare)
            spare = 0
            progress = _Progress(self, call)
            reach(Failpoint.AFTER_INTENT)
            try:
                reply = await self.model.reply(request, parts, progress)
            except asyncio.CancelledError:
                self.cut.append(progress.cut_off())
                raise
            except ModelCallFailed as failure:
                shut = await self._record_failure(call, failure, tokens)
                spare = call.held
                await self._wait_or_stop(failure, failures, shut)
                failures += 1
                continue
            reach(Failpoint.AFTER_REPLY)
            await self._record_reply(call, reply, tokens)
            reach(Failpoint.AFTER_JOURNAL)
            if reply.stop is StopReason.REFUSED:
                raise StepFailed("refused", _SENTENCES[FailureKind.REFUSED])
            parts.append(reply)
        return _read(request, "".join(part.text for part in parts))

    async def _recall(self, digest: str) -> tuple[list[RawReply], int, int]:
        """What the journal has for a question: replies, failures, and credits left held."""
        async with self.uow.begin(self.run.user_id) as tx:
            calls = await tx.calls.of_request(self.run.id, self.step, digest)
            for call in calls:
                if call.state is CallState.INTENT:
                    # Its worker died, or still is at it as a zombie. What the provider
                    # takes for it is the house's.
                    await tx.calls.conclude(
                        replace(call, state=CallState.LOST, borne_by=BorneBy.HOUSE)
                    )
        first: dict[int, ModelCall] = {}
        for call in calls:
            if call.state is CallState.REPLIED and call.stop is not StopReason.REFUSED:
                first.setdefault(call.part, call)
        parts = []
        for number in range(len(first)):
            if number not in first:
                break
            parts.append(_raw(first[number]))
        failures = _tries(calls)
        # Each try of a part topped its hold up to what it needed, so the largest is it.
        spare = max(
            (
                call.held
                for call in calls
                if call.part == len(parts) and call.state is not CallState.REPLIED
            ),
            default=0,
        )
        return parts, failures, spare

    async def _intend(
        self,
        request: ModelRequest,
        parts: Sequence[RawReply],
        digest: str,
        purpose: str,
        borne_by: BorneBy,
        spare: int,
    ) -> ModelCall:
        bound = self.model.upper_bound(request, parts)
        # What the house pays for is not held from the person's balance, nor is a test run.
        charged = borne_by is BorneBy.USER and not self.run.test
        held = self.rate.credits_for(bound) if charged else 0
        call = ModelCall(
            id=ModelCallId(self.ids.new()),
            user_id=self.run.user_id,
            run_id=self.run.id,
            step=self.step,
            request_hash=digest,
            part=len(parts),
            purpose=purpose,
            borne_by=borne_by,
            state=CallState.INTENT,
            held=held,
        )
        more = max(0, held - spare)
        async with self.uow.begin(self.run.user_id) as tx:
            # What is held must be settled by somebody: so only who has the run may hold.
            await tx.runs.lock(self.run.id, self.run.fence)
            if more:
                entry = reserve(
                    self.run.user_id, self.run.id, self.step, more, f"reserve:{call.id}"
                )
                await tx.ledger.book(entry)
                await tx.ledger.hold(self.run.id, self.step, more)
                if self.run.api_key_id is not None:
                    await tx.keys.hold(self.run.id, more)
            await tx.calls.add(call)
        return call

    async def _record_reply(self, call: ModelCall, reply: RawReply, tokens: int) -> None:
        concluded = replace(
            call,
            state=CallState.REPLIED,
            model=reply.model,
            text=reply.text,
            stop=reply.stop,
            usage=reply.usage,
            cost_nano_usd=reply.cost_nano_usd,
            provider_request_id=reply.provider_request_id,
        )
        if call.borne_by is BorneBy.HOUSE:
            self.house_nano_usd += reply.cost_nano_usd
        self._streamed[call.id] = reply.usage.output
        await self._conclude(concluded)
        await self.pacing.answered(tokens, reply.usage)

    async def _record_failure(
        self, call: ModelCall, failure: ModelCallFailed, tokens: int
    ) -> float:
        """Journal a failure; returns for how long the provider is not to be called now."""
        self.house_nano_usd += failure.cost_nano_usd
        failed = replace(
            call,
            state=CallState.FAILED,
            borne_by=BorneBy.HOUSE,
            usage=failure.usage,
            cost_nano_usd=failure.cost_nano_usd,
            estimated=failure.estimated,
            failure=f"{failure.kind}: {failure.message}"[:500],
        )
        try:
            shut = await self.pacing.failed(tokens, failure)
        except asyncio.CancelledError:
            self.cut.append(failed)
            raise
        if shut:
            failed = replace(failed, failure=f"{OUTAGE}: {failed.failure}"[:500])
        await self._conclude(failed)
        return shut

    async def _conclude(self, concluded: ModelCall) -> None:
        try:
            async with self.uow.begin(self.run.user_id) as tx:
                await tx.calls.conclude(concluded)
        except asyncio.CancelledError:
            # What came of the call is known. Recording it twice changes nothing.
            self.cut.append(concluded)
            raise

    async def _wait_or_stop(
        self, failure: ModelCallFailed, failures_before: int, shut: float
    ) -> None:
        delay = next_delay(failure, failures_before)
        if delay is None:
            sentence = _SENTENCES[failure.kind].format(failure.message.rstrip("."))
            raise StepFailed(f"model_{failure.kind.value}", sentence) from failure
        if shut:
            raise RetryLater(not_before(shut), RefusalReason.CIRCUIT_OPEN.value) from failure
        if delay > PARK_ABOVE_SECONDS:
            raise RetryLater(delay, f"model_{failure.kind.value}") from failure
        await asyncio.sleep(delay)

    def _digest(self, request: ModelRequest) -> str:
        return hashlib.sha256(
            canonical_json(
                {
                    "makes": request.makes.__name__,
                    "instructions": request.instructions,
                    "version": self.model.version(request.instructions, request.tier),
                    "inputs": request.inputs,
                    "tier": request.tier,
                    "depth": request.depth,
                    "findings": request.findings,
                    "previous": request.previous,
                }
            )
        ).hexdigest()

    def streamed(self, call_id: ModelCallId, output_tokens: int) -> None:
        """Note a call's streamed tokens and, not too often, tell the watchers."""
        self._streamed[call_id] = output_tokens
        now = asyncio.get_running_loop().time()
        if now - self._told_at < PROGRESS_SECONDS:
            return
        self._told_at = now
        update = StepProgress(step=self.step, output_tokens=sum(self._streamed.values()))
        telling = asyncio.ensure_future(self.live.publish(self.run.id, update))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)


@dataclass(slots=True)
class _Progress:
    """What one call has come to so far."""

    calls: StepCalls
    call: ModelCall
    latest: CallProgress | None = None

    def __call__(self, progress: CallProgress) -> None:
        self.latest = progress
        self.calls.streamed(self.call.id, progress.usage.output)

    def cut_off(self) -> ModelCall:
        """The call as it goes into the journal when it ends here."""
        cut = replace(self.call, state=CallState.FAILED, failure=CUT_OFF, estimated=True)
        if self.latest is None:
            return cut
        return replace(
            cut,
            model=self.latest.model,
            usage=self.latest.usage,
            cost_nano_usd=self.latest.cost_nano_usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAccount:
    """What a step's calls came to, by who bears them."""

    usage: TokenUsage
    model: str
    user_nano_usd: int
    house_nano_usd: int


def account_of(calls: Sequence[ModelCall], *, charged: bool) -> StepAccount:
    """Sum a step's journal. Of a step that failed nothing is charged to the person.

    A failed call is the house's, except one that the person's own cancelling cut off.
    """
    usage, models, user, house = TokenUsage(), [], 0, 0
    for call in calls:
        if call.borne_by is BorneBy.USER and charged:
            user += call.cost_nano_usd
            usage += call.usage
        else:
            house += call.cost_nano_usd
        if call.model and call.model not in models:
            models.append(call.model)
    return StepAccount(
        usage=usage, model=", ".join(models), user_nano_usd=user, house_nano_usd=house
    )


def _tries(calls: Sequence[ModelCall]) -> int:
    """How many of a question's tries are used up: failures that may be the question's own."""
    failed = [call.failure for call in calls if call.state is CallState.FAILED]
    outages = sum(failure.startswith(OUTAGE) for failure in failed)
    own = len(failed) - outages - failed.count(CUT_OFF)
    return own + max(0, outages - OUTAGE_TRIES)


def _about(request: ModelRequest, parts: Sequence[RawReply]) -> int:
    """About how many tokens a call's prompt has, at the usual four characters each."""
    asked = canonical_json((request.inputs, request.findings, request.previous))
    return (len(asked) + sum(len(part.text) for part in parts)) // 4


def _raw(call: ModelCall) -> RawReply:
    return RawReply(
        text=call.text,
        stop=call.stop or StopReason.COMPLETE,
        model=call.model,
        usage=call.usage,
        cost_nano_usd=call.cost_nano_usd,
        provider_request_id=call.provider_request_id,
    )


def _read(request: ModelRequest, text: str) -> Answer:
    try:
        return Answer(text, msgspec.json.decode(text, type=request.makes))
    except msgspec.DecodeError as reason:
        finding = error(
            "unreadable", request.makes.__name__, f"Answer with JSON of the schema: {reason}."
        )
        return Answer(text, None, (finding,))
