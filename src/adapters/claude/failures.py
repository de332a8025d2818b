"""Which class a provider's failure is of, and when it may be tried again."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import anthropic

from application.ports.language_model import FailureKind

MESSAGE_CHARACTERS: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure's class, what happened, and the provider's wish in seconds."""

    kind: FailureKind
    message: str
    retry_after: float | None = None


def failure_of(error: Exception, now: datetime) -> Failure:
    """Class any exception of a provider call; ``now`` is aware.

    Sources: platform.claude.com/docs/en/api/errors (statuses, error types) and the
    ``anthropic`` SDK 2.12 (``_exceptions.py``). What is not known to be lasting counts
    as transient: connection and protocol errors, timeouts, an unreadable stream.
    """
    if isinstance(error, anthropic.APIStatusError):
        return _status_failure(error, now)
    if isinstance(error, TimeoutError | anthropic.APITimeoutError):
        return Failure(kind=FailureKind.TRANSIENT, message="The provider did not answer in time.")
    if isinstance(error, anthropic.APIConnectionError):
        cause = error.__cause__ or error
        return Failure(
            kind=FailureKind.TRANSIENT,
            message=f"The provider could not be reached ({type(cause).__name__}).",
        )
    return Failure(
        kind=FailureKind.TRANSIENT,
        message=f"The provider's answer broke off or could not be read ({type(error).__name__}).",
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date.

    RFC 9110 §10.2.3. None when there is no readable wish; never negative.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    wish = headers.get("retry-after")
    seconds = _number(wish)
    if seconds is not None or wish is None:
        return seconds
    try:
        date = parsedate_to_datetime(wish)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


_BY_TYPE: Final[Mapping[str, FailureKind]] = {
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "overloaded_error": FailureKind.OVERLOADED,
    "api_error": FailureKind.TRANSIENT,
    "timeout_error": FailureKind.TRANSIENT,
    "authentication_error": FailureKind.PERMANENT,
    "billing_error": FailureKind.PERMANENT,
    "permission_error": FailureKind.PERMANENT,
    "not_found_error": FailureKind.PERMANENT,
}

_BY_STATUS: Final[Mapping[int, FailureKind]] = {
    408: FailureKind.TRANSIENT,
    409: FailureKind.TRANSIENT,
    413: FailureKind.TOO_LONG,
    429: FailureKind.RATE_LIMITED,
    499: FailureKind.TRANSIENT,
    529: FailureKind.OVERLOADED,
}

# A spent allowance is not a rate: it lasts until a person or a new month changes it.
_SPENT = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached"})

# The provider gives this cause no code of its own, only these words.
_TOO_LONG = re.compile(
    r"prompt is too long|exceeds? (the )?(model'?s )?(maximum )?context|context (limit|window)"
    r"|request (size )?exceeds|too many (input )?tokens",
    re.IGNORECASE,
)


def _status_failure(error: anthropic.APIStatusError, now: datetime) -> Failure:
    message = str(error.api_message or "no reason given").strip()[:MESSAGE_CHARACTERS]
    status = error.status_code
    place = "in the stream" if status < 400 else f"HTTP {status}"
    request = f", request {error.request_id}" if error.request_id else ""
    return Failure(
        kind=_kind(error),
        message=f"{error.type or 'error'}: {message} ({place}{request})",
        retry_after=retry_after(error.response.headers, now),
    )


def _kind(error: anthropic.APIStatusError) -> FailureKind:
    if error.error_code in _SPENT:
        return FailureKind.PERMANENT
    status = error.status_code
    # The type first: in a stream the status was 200 long before.
    kind = _BY_TYPE.get(str(error.type)) or _BY_STATUS.get(status)
    if kind is not None:
        return kind
    if status in (400, 422, 200) and _TOO_LONG.search(str(error.api_message)):
        return FailureKind.TOO_LONG
    # Without a type, an error in a stream is one that could not be read.
    if status >= 500 or (status < 400 and error.type is None):
        return FailureKind.TRANSIENT
    return FailureKind.PERMANENT


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
