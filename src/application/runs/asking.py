"""Ask for an artifact, have it reviewed, and let it be mended once."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import structlog

from application.ports.language_model import ModelRequest
from application.ports.model_calls import BorneBy
from application.runs.failures import MendingBudgetSpent, StepFailed
from application.runs.model_calls import Answer, StepCalls
from domain.agents.artifacts import Reply
from domain.agents.findings import Finding, Severity, sends_back

log = structlog.get_logger(__name__)

R = TypeVar("R", bound=Reply)


async def ask_reviewed(
    calls: StepCalls,
    request: ModelRequest,
    review: Callable[[R], tuple[Finding, ...]],
) -> tuple[R, tuple[Finding, ...]]:
    """Ask, review, and with errors ask once more with the findings; then accept openly.

    The second asking mends our own fault, so the house pays for it, as far as its budget
    goes. Of two readable answers the one with fewer errors is kept.

    Raises:
        StepFailed: no answer could be read as the type asked for.
    """

    async def reviewed(
        request: ModelRequest, purpose: str, borne_by: BorneBy
    ) -> tuple[Answer, tuple[Finding, ...]]:
        answer = await calls.ask(request, purpose=purpose, borne_by=borne_by)
        if answer.value is None:
            return answer, answer.findings
        return answer, review(cast(R, answer.value))

    first, found = await reviewed(request, "make", BorneBy.USER)
    if not sends_back(found):
        return cast(R, first.value), found
    again = replace(request, findings=found, previous=first.text)
    answers = [(first, found)]
    try:
        answers.insert(0, await reviewed(again, "review", BorneBy.HOUSE))
    except MendingBudgetSpent as reason:
        log.warning("not sent back", step=calls.step, reason=str(reason))
    readable = [
        (answer.value, findings) for answer, findings in answers if answer.value is not None
    ]
    if not readable:
        raise StepFailed(
            "unreadable_reply",
            f"The model's reply was not readable: {answers[0][1][0].message}",
        )
    value, findings = min(readable, key=lambda pair: error_count(pair[1]))
    return cast(R, value), findings


def error_count(findings: tuple[Finding, ...]) -> int:
    """How many of the findings are errors."""
    return sum(finding.severity is Severity.ERROR for finding in findings)
