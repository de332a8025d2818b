"""GST identification numbers."""

import re

from stdnum import luhn
from stdnum.exceptions import ValidationError
from stdnum.in_ import pan

from domain.billing.gst import STATES
from domain.shared.errors import InvalidValue

_SHAPE = re.compile(r"(\d{2})([A-Z]{5}\d{4}[A-Z])[1-9A-Z]Z[0-9A-Z]", re.ASCII)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def checked_gstin(field: str, text: str) -> str:
    """A GSTIN without spaces and hyphens, in capitals.

    State, permanent account number and check digit are held to their rules; whether the number
    is in use only the government's portal knows. The parts are checked with python-stdnum's
    pieces, because its own list of states lacks Ladakh (38) and Other Territory (97).

    Raises:
        InvalidValue: it is none; the message says where it breaks.
    """
    number = re.sub(r"[\s-]", "", text).upper()
    match = _SHAPE.fullmatch(number)
    if match is None:
        raise InvalidValue(field, "A GSTIN has 15 characters, like 27AAPFU0939F1ZV.")
    if match[1] not in STATES:
        raise InvalidValue(field, f"A GSTIN begins with a state's code; {match[1]} is none.")
    try:
        pan.validate(match[2])
        luhn.validate(number, _ALPHABET)
    except ValidationError as error:
        raise InvalidValue(
            field, "This GSTIN is mistyped: its check digit does not fit. Copy it once more."
        ) from error
    return number
