"""The journal of calls to a language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from application.ports.language_model import StopReason
from domain.billing.usage import NO_USAGE, TokenUsage
from domain.shared.ids import ModelCallId, RunId, UserId

CUT_OFF = "cancelled"
"""The failure of a call that we ended ourselves: nothing that the provider did wrong."""


OUTAGE = "outage"
"""How the failure of a call begins that found the provider's circuit open, or opened it:
nothing that the question did wrong."""


class CallState(StrEnum):
    """The states of a model call. ``lost``: an intent whose answer never came back."""

    INTENT = "intent"
    REPLIED = "replied"
    FAILED = "failed"
    LOST = "lost"


class BorneBy(StrEnum):
    """Who pays for a call."""

    USER = "user"
    HOUSE = "house"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One provider call in the journal: its intent, and what came of it.

    ``request_hash`` and ``part`` say which question, and which continuation of its
    answer. ``bound_nano_usd`` is its dearest outcome; ``held`` are the credits by which its
    step's hold was raised for it, for what other calls left over is used first. One that was
    cut off while it was under way has failed as :data:`CUT_OFF`.
    """

    id: ModelCallId
    user_id: UserId
    run_id: RunId
    step: str
    request_hash: str
    part: int
    purpose: str
    borne_by: BorneBy
    state: CallState
    held: int
    bound_nano_usd: int = 0
    model: str = ""
    text: str = ""
    stop: StopReason | None = None
    usage: TokenUsage = NO_USAGE
    cost_nano_usd: int = 0
    estimated: bool = False
    failure: str = ""
    provider_request_id: str = ""


MENDING = frozenset({"review", "repair"})
"""The purposes of calls that mend our own faults, for which the house pays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MendingCost:
    """What mending cost the house, in nano-dollars: of a run, and of a person lately."""

    run_nano_usd: int
    day_nano_usd: int


class ModelCallRepository(Protocol):
    """The journal of model calls: intents before, raw replies before they are read."""

    async def add(self, call: ModelCall) -> None:
        """Record an intent."""
        ...

    async def conclude(self, call: ModelCall) -> bool:
        """Record what came of an intent, or of a lost one whose answer came late after all.

        Such a late answer is on the house, whatever ``borne_by`` says; True tells that this
        is one. A call that replied or failed is never changed again.
        """
        ...

    async def give_up(self, run_id: RunId, step: str, request_hash: str | None = None) -> None:
        """Make every open intent of a step, or of one question in it, lost and the house's.

        For who has locked the run, and before the calls are read: an answer that is being
        recorded comes before this, and is read, or after it, and is the house's.
        """
        ...

    async def of_request(self, run_id: RunId, step: str, request_hash: str) -> Sequence[ModelCall]:
        """Every call made for one question in this run's step, oldest first."""
        ...

    async def of_step(self, run_id: RunId, step: str) -> Sequence[ModelCall]:
        """Every call of a step, without its text: for settling."""
        ...

    async def committed(self, run_id: RunId, step: str) -> int:
        """What the step's calls may cost the person, in nano-dollars.

        Those concluded count with their cost, those under way with their bound.
        """
        ...

    async def mending(self, run_id: RunId, day_seconds: float) -> MendingCost:
        """What mending our own faults cost the house so far, for the run and for its person.

        Calls without an answer count with their bound. Other transactions of the person
        that ask wait until the commit, so that no two count on the same room.
        """
        ...

    async def failed(self, run_id: RunId, limit: int) -> Sequence[ModelCall]:
        """The run's last failed calls, newest first, without their text."""
        ...
