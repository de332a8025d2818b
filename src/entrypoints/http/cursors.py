"""Cursors: opaque to clients, the last item's id or number to us."""

import base64
import binascii
from uuid import UUID

from application.ports.persistence import Page
from domain.shared.errors import InvalidValue

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def page_from(cursor: str, limit: int) -> Page:
    """The page a request asks for, one item longer, to see whether another follows.

    Raises:
        InvalidValue: the cursor is not one of ours, or the limit is out of range.
    """
    check_limit(limit)
    return Page(limit=limit + 1, after=UUID(bytes=_decoded(cursor, 16)) if cursor else None)


def check_limit(limit: int) -> None:
    """Hold a page's length to what is served.

    Raises:
        InvalidValue: it is out of range.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidValue("limit", f"Ask for 1 to {MAX_LIMIT} items.")


def cursor_after(items: list[UUID], limit: int) -> str | None:
    """The cursor of the page after ``limit`` items, when there were more."""
    if len(items) <= limit:
        return None
    return _encoded(items[limit - 1].bytes)


def number_of(cursor: str) -> int:
    """The number in a cursor of numbered items.

    Raises:
        InvalidValue: the cursor is not one of ours.
    """
    return int.from_bytes(_decoded(cursor, 8), signed=True)


def number_cursor_after(items: list[int], limit: int) -> str | None:
    """The same as :func:`cursor_after`, of numbered items."""
    if len(items) <= limit:
        return None
    return _encoded(items[limit - 1].to_bytes(8))


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decoded(cursor: str, length: int) -> bytes:
    try:
        value = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != length:
        raise InvalidValue("cursor", "Use a next_cursor as it was given, or leave it out.")
    return value
