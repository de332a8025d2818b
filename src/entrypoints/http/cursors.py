"""Cursors: opaque to clients, the last item's id to us."""

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
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidValue("limit", f"Ask for 1 to {MAX_LIMIT} items.")
    return Page(limit=limit + 1, after=_decoded(cursor) if cursor else None)


def cursor_after(items: list[UUID], limit: int) -> str | None:
    """The cursor of the page after ``limit`` items, when there were more."""
    if len(items) <= limit:
        return None
    return base64.urlsafe_b64encode(items[limit - 1].bytes).decode().rstrip("=")


def _decoded(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise InvalidValue(
            "cursor", "Use a next_cursor as it was given, or leave it out."
        ) from error
