"""Cursors: opaque to clients, the last item's id or number to us."""

import base64
from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from application.ports.paging import Page
from domain.shared.errors import InvalidValue

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

_KEY = "="
"""Stands before a group's key, which may be empty, as no cursor but the first page's is."""

Cursor = Annotated[str, QueryParameter(description="The next_cursor of the page before.")]
Limit = Annotated[int, QueryParameter(description="Items a page, 1 to 100.")]


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


def key_of(cursor: str) -> str | None:
    """The key in a cursor of named groups; None for the first page.

    Raises:
        InvalidValue: the cursor is not one of ours.
    """
    if not cursor:
        return None
    try:
        marked = _bytes_of(cursor).decode()
    except ValueError as error:
        raise _not_ours() from error
    if not marked.startswith(_KEY) or "\0" in marked:
        raise _not_ours()
    return marked.removeprefix(_KEY)


def key_cursor_after(keys: list[str], limit: int) -> str | None:
    """The same as :func:`cursor_after`, of named groups."""
    if len(keys) <= limit:
        return None
    return _encoded((_KEY + keys[limit - 1]).encode())


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes_of(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


def _decoded(cursor: str, length: int) -> bytes:
    try:
        value = _bytes_of(cursor)
    except ValueError:
        value = b""
    if len(value) != length:
        raise _not_ours()
    return value


def _not_ours() -> InvalidValue:
    return InvalidValue("cursor", "Use a next_cursor as it was given, or leave it out.")
