"""Days in requests: ``from`` and ``to``, both included, of India's calendar."""

from datetime import date
from typing import Annotated

from litestar.params import QueryParameter

from domain.billing.days import Days
from domain.shared.errors import InvalidValue

# Text, because a refusal by the framework would name our parameter instead of theirs.
Since = Annotated[str, QueryParameter(name="from", description="First day, as in 2026-11-24.")]
Until = Annotated[str, QueryParameter(name="to", description="Last day, as in 2026-11-30.")]


def days_asked(since: str, until: str) -> Days:
    """The days a request asks for; an empty text leaves that end open.

    Raises:
        InvalidValue: one is no day, or they are the wrong way round.
    """
    return Days(_day("from", since), _day("to", until))


def _day(field: str, given: str) -> date | None:
    try:
        return date.fromisoformat(given) if given else None
    except ValueError as error:
        raise InvalidValue(field, "Give a day as in 2026-11-24, or leave it out.") from error
