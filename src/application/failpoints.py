"""Named places where a test can have its process end at once, or stop as a zombie does.

Between two commits a process may die anywhere; the fault suite has it die at each place
that differs. Which one is a setting of the process (``BHARATBUILD_FAILPOINT``), refused in
production. Nothing is armed by default, and reaching a place then costs one comparison.
"""

import os
import signal
from dataclasses import dataclass
from enum import StrEnum


class Failpoint(StrEnum):
    """The places, in the order in which runs, gateway's events, refunds and webhooks pass them."""

    EXECUTE_BEFORE_COMMIT = "execute-before-commit"
    EXECUTE_AFTER_COMMIT = "execute-after-commit"
    DUE_BEFORE_SEND = "due-before-send"
    DUE_AFTER_SEND = "due-after-send"
    AFTER_CLAIM = "after-claim"
    AFTER_OPEN = "after-open"
    AFTER_STEP_BEGUN = "after-step-begun"
    AFTER_INTENT = "after-intent"
    AFTER_REPLY = "after-reply-before-journal"
    AFTER_JOURNAL = "after-journal"
    AFTER_OBJECTS = "after-objects-stored"
    BEFORE_STEP_COMMIT = "before-step-commit"
    AFTER_STEP_COMMIT = "after-step-commit"
    BEFORE_RUN_END = "before-run-end"
    AFTER_RUN_END = "after-run-end"
    EVENT_TAKEN = "event-taken"
    EVENT_ACTED_ON = "event-acted-on"
    REFUND_KEPT = "refund-kept"
    REFUND_ANSWERED = "refund-answered"
    WEBHOOK_BEFORE_SEND = "webhook-before-send"
    WEBHOOK_AFTER_SEND = "webhook-sent-before-mark"


@dataclass(frozen=True, slots=True)
class Arming:
    """What happens where: ``signal`` to the own process, the ``nth`` time it comes there."""

    failpoint: Failpoint
    nth: int
    signal: signal.Signals


def parse(text: str) -> Arming | None:
    """Read ``name[:nth[:kill|stop]]``; the first time and SIGKILL unless said otherwise.

    Raises:
        ValueError: it is not of that form, or there is no such place.
    """
    if not text:
        return None
    name, _, rest = text.partition(":")
    nth, _, how = rest.partition(":")
    if int(nth or 1) < 1 or how not in ("", "kill", "stop"):
        raise ValueError(f"{text!r} is not of the form name[:nth[:kill|stop]]")
    return Arming(
        Failpoint(name), int(nth or 1), signal.SIGSTOP if how == "stop" else signal.SIGKILL
    )


def arm(arming: Arming | None) -> None:
    """Have this process end or stop where ``arming`` says; None disarms."""
    _state.arming, _state.comings = arming, 0


def reach(failpoint: Failpoint) -> None:
    """Be at a place. Does not return where this process is to be killed."""
    arming = _state.arming
    if arming is None or arming.failpoint is not failpoint:
        return
    _state.comings += 1
    if _state.comings == arming.nth:
        os.kill(os.getpid(), arming.signal)


@dataclass(slots=True)
class _State:
    arming: Arming | None = None
    comings: int = 0


# One for the process, since it is the process that dies.
_state = _State()
