"""Advisory locks, for what is counted or made once and has no row of its own to lock."""

from enum import IntEnum

from sqlalchemy import ColumnElement, Text, cast, func, literal
from sqlalchemy.dialects.postgresql import BIGINT


class Kind(IntEnum):
    """What is locked; the number keeps the hashes of its ids apart from those of the others."""

    INVOICE_OF_A_PAYMENT = 0
    CLAIMS_OF_A_PERSON = 0x6262
    ENDPOINTS_OF_A_PERSON = 0x6263
    CLAIMS_OF_AN_ENDPOINT = 0x6264
    KEYS_OF_A_PERSON = 0x6265


def lock_of(kind: Kind, name: object) -> ColumnElement[None]:
    """Selected, it is held from then to the end of the transaction.

    ``name`` is an id, or a column that has one.
    """
    text = cast(name if isinstance(name, ColumnElement) else literal(str(name)), Text)
    return func.pg_advisory_xact_lock(func.hashtextextended(text, cast(int(kind), BIGINT)))
