"""Cursors: opaque to clients, the last item's id to us."""

import base64
from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from application.ports.paging import Page
from domain.shared.errors import InvalidValue

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

Cursor = Annotated[str, QueryParameter(description="The next_cursor of the page before.")]
Limit = Annotated[int, QueryParameter(description="Items a page, 1 to 100.")]


def page_from(cursor: str, limit: int) -> Page:
    """The page a request asks for, one item longer, to see whether another follows.

    Raises:
        InvalidValue: the cursor is not one of ours, or the limit is out of range.
    """
    check_limit(limit)
    return Page(limit=limit + 1, after=_decoded(cursor) if cursor else None)


def cursor_after(items: list[UUID], limit: int) -> str | None:
    """The cursor of the page after ``limit`` items, when there were more."""
    return _encoded(items[limit - 1].bytes) if len(items) > limit else None


def check_limit(limit: int) -> None:
    """Hold a page's length to what may be asked for.

    Raises:
        InvalidValue: it is out of range.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidValue("limit", f"Ask for 1 to {MAX_LIMIT} items.")


def cursor_after_key(keys: list[str], limit: int) -> str | None:
    """The cursor of the page after ``limit`` groups, when there were more."""
    return _encoded(keys[limit - 1].encode()) if len(keys) > limit else None


def key_from(cursor: str) -> str | None:
    """The last key of the page before; None for the first page.

    Raises:
        InvalidValue: the cursor is not one of ours.
    """
    if not cursor:
        return None
    try:
        return _bytes_of(cursor).decode()
    except ValueError as error:
        raise _not_ours() from error


def _encoded(place: bytes) -> str:
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def _bytes_of(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


def _decoded(cursor: str) -> UUID:
    try:
        return UUID(bytes=_bytes_of(cursor))
    except ValueError as error:
        raise _not_ours() from error


def _not_ours() -> InvalidValue:
    return InvalidValue("cursor", "Use a next_cursor as it was given, or leave it out.")
