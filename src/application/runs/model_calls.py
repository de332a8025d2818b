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
from application.ports.live import LivePublisher, StepProgress
from application.ports.model_calls import CUT_OFF, OUTAGE, BorneBy, CallState, ModelCall
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.provider_gate import RefusalReason
from application.runs.artifact_store import canonical_json
from application.runs.call_pacing import CallPacing
from application.runs.circuit_policy import OUTAGE_TRIES, not_before
from application.runs.failures import RetryLater, StepFailed
from application.runs.headroom import Headroom
from application.runs.mending_budget import MendingBudget
from application.runs.retry_policy import PARK_ABOVE_SECONDS, next_delay
from application.runs.settlement import record_calls
from domain.agents.artifacts import Reply
from domain.agents.findings import Finding, error
from domain.billing.ledger import CapReached, InsufficientCredits, Reservation
from domain.billing.usage import NO_USAGE
from domain.keys.api_key import KeyCapReached
from domain.projects.agent_task import AgentTask, AgentTaskStatus
from domain.projects.run import Run, RunStatus
from domain.shared.ids import ModelCallId
from domain.shared.money import ExchangeRate

R = TypeVar("R", bound=Reply)

MAX_PARTS = 8
"""Replies one answer may be continued over; more means that it does not end."""

PROGRESS_SECONDS = 0.25
"""The shortest time between two live figures of one step."""

_LIMITS = frozenset({InsufficientCredits.code, CapReached.code, KeyCapReached.code})
"""What a step ends by that a limit of the person's own stopped."""

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
    live: LivePublisher
    ids: IdMaker
    rate: ExchangeRate
    cut: list[ModelCall]
    pacing: CallPacing
    headroom: Headroom
    mending: MendingBudget
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
            CapReached: the run's cap does not.
            KeyCapReached: the cap of the key the run was started with does not.
            MendingBudgetSpent: the house would bear it, and bears no more.
            LeaseLost: another worker has the run, or it has ended.
        """
        with self.headroom.asking(self.step):
            return await self._ask(request, purpose, borne_by)

    async def _ask(self, request: ModelRequest, purpose: str, borne_by: BorneBy) -> Answer:
        digest = self._digest(request)
        parts, failures = await self._recall(digest)
        while not parts or parts[-1].stop is StopReason.TRUNCATED:
            if len(parts) == MAX_PARTS:
                raise StepFailed("reply_too_long", "The model's reply did not come to an end.")
            tokens = _about(request, parts)
            await self.pacing.admitted(tokens)
            call = await self._intended(request, parts, digest, purpose, borne_by)
            progress = _Progress(self, call)
            reach(Failpoint.AFTER_INTENT)
            try:
                reply = await self.model.reply(request, parts, progress)
            except asyncio.CancelledError:
                self.cut.append(progress.cut_off())
                raise
            except ModelCallFailed as failure:
                shut = await self._record_failure(call, failure, tokens)
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

    async def _recall(self, digest: str) -> tuple[list[RawReply], int]:
        """What the journal has for a question: replies, and the tries used up."""
        async with self.uow.begin(self.run.user_id) as tx:
            calls = await tx.calls.of_request(self.run.id, self.step, digest)
            if not calls:
                calls = await self._adopted(tx, digest)
            if any(call.state is CallState.INTENT for call in calls):
                # Its worker died, or still is at it as a zombie. What the provider takes for
                # it is the house's, unless the answer is journalled before it is given up:
                # only reading anew tells which.
                await tx.runs.lock(self.run.id, self.run.fence)
                await tx.calls.give_up(self.run.id, self.step, digest)
                calls = await tx.calls.of_request(self.run.id, self.step, digest)
        first: dict[int, ModelCall] = {}
        for call in calls:
            if call.state is CallState.REPLIED and call.stop is not StopReason.REFUSED:
                first.setdefault(call.part, call)
        parts = []
        for number in range(len(first)):
            if number not in first:
                break
            parts.append(_raw(first[number]))
        return parts, _tries(calls)

    async def _adopted(self, tx: Transaction, digest: str) -> Sequence[ModelCall]:
        """The answers a person paid for in the run that is retried, in a step left unfinished.

        They are journalled for this run too, without a cost: nothing is paid for twice.
        """
        before = self.run.retry_of
        if before is None or not self.run.reuse:
            return ()
        tasks = {task.step: task for task in await tx.tasks.of_run(before)}
        if self.step not in tasks or not _limited(tasks[self.step], await tx.runs.get(before)):
            return ()
        await tx.runs.lock(self.run.id, self.run.fence)
        adopted = [
            replace(
                call,
                id=ModelCallId(self.ids.new()),
                run_id=self.run.id,
                held=0,
                bound_nano_usd=0,
                usage=NO_USAGE,
                cost_nano_usd=0,
            )
            for call in await tx.calls.of_request(before, self.step, digest)
            if call.state is CallState.REPLIED and call.stop is not StopReason.REFUSED
        ]
        for call in adopted:
            await tx.calls.add(replace(call, state=CallState.INTENT))
            await tx.calls.conclude(call)
        return adopted

    async def _intended(
        self,
        request: ModelRequest,
        parts: Sequence[RawReply],
        digest: str,
        purpose: str,
        borne_by: BorneBy,
    ) -> ModelCall:
        """Record the intent once there is room for it."""
        while True:
            since = self.headroom.mark()
            try:
                return await self._intend(request, parts, digest, purpose, borne_by)
            except (InsufficientCredits, CapReached, KeyCapReached):
                if not await self.headroom.wait(self.step, since):
                    raise

    async def _intend(
        self,
        request: ModelRequest,
        parts: Sequence[RawReply],
        digest: str,
        purpose: str,
        borne_by: BorneBy,
    ) -> ModelCall:
        bound = await self.model.upper_bound(request, parts)
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
            held=0,
            bound_nano_usd=bound,
        )
        async with self.uow.begin(self.run.user_id) as tx:
            # What is held must be settled by somebody: so only who has the run may hold.
            run = await tx.runs.lock(self.run.id, self.run.fence)
            if borne_by is BorneBy.HOUSE:
                # What the house pays for is not held from the person's balance.
                await self.mending.admit(tx, run.id, bound, self.rate)
            elif not run.test:
                call = replace(call, held=await self._hold(tx, run, call))
            await tx.calls.add(call)
        return call

    async def _hold(self, tx: Transaction, run: Run, call: ModelCall) -> int:
        """Raise the step's hold to what its calls may come to with this one; by how much.

        What earlier calls held and did not use is there for this one.
        """
        committed = await tx.calls.committed(run.id, self.step)
        held = await tx.ledger.held(run.id, self.step)
        more = self.rate.credits_for(committed + call.bound_nano_usd) - held
        if more <= 0:
            return 0
        await tx.ledger.reserve(
            Reservation(
                user_id=run.user_id,
                key=f"reserve:{call.id}",
                run_id=run.id,
                step=self.step,
                credits=more,
                room=run.room,
            )
        )
        if run.api_key_id is not None:
            await tx.keys.hold(run.id, more)
        return more

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
        self.headroom.freed()
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
        self.headroom.freed()
        return shut

    async def _conclude(self, concluded: ModelCall) -> None:
        try:
            async with self.uow.begin(self.run.user_id) as tx:
                await record_calls(tx, [concluded], self.rate)
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


def _limited(task: AgentTask, run: Run | None) -> bool:
    """Whether a step ended by the person's own limit or wish, and so was charged."""
    if task.status is AgentTaskStatus.FAILED:
        return task.error_code in _LIMITS
    cancelled = run is not None and run.status is RunStatus.CANCELLED
    return cancelled and task.status is AgentTaskStatus.CANCELLED


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
