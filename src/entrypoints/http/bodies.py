"""What is held against every JSON body and query, before a handler sees it.

What no field can be must be refused by the field's name, not by the database in the middle of
its work: text with a NUL, which PostgreSQL cannot keep, and numbers beyond 64 bits. What no
decoder should be asked to follow is refused before it is: nesting without an end.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.exceptions import HTTPException, SerializationException
from litestar.status_codes import HTTP_415_UNSUPPORTED_MEDIA_TYPE

from domain.shared.errors import InvalidValue

MAX_DEPTH = 64
"""Levels of nesting; the API's own bodies have four."""

LEAST_NUMBER, MOST_NUMBER = -(2**63), 2**63 - 1

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OPENS, _CLOSES = b"[{", b"]}"


class CheckedRequest(Request[Any, Any, Any]):
    """A request whose JSON holds nothing that no field can be."""

    async def json(self) -> Any:
        """The body.

        Raises:
            HTTPException: it says that it is something else than JSON.
            SerializationException: it is not JSON in UTF-8, or nested too deeply.
            InvalidValue: a text has a NUL, or a number is beyond 64 bits; its field is named.
        """
        if not _says_json(self.headers.get("content-type", "")):
            raise HTTPException(
                status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE,
                detail="Send the body as application/json, and say so in Content-Type.",
            )
        if _too_deep(await self.body()):
            raise SerializationException(f"nested more than {MAX_DEPTH} levels deep")
        try:
            decoded = await super().json()
        except UnicodeDecodeError as error:
            raise SerializationException("not UTF-8") from error
        for field, remedy in _misfits(decoded):
            raise InvalidValue(field, remedy)
        return decoded


def check_query(query: bytes) -> None:
    """Hold a query to the same.

    Raises:
        InvalidValue: a parameter has a NUL; it is named.
    """
    if b"%00" not in query and b"\0" not in query:
        return
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        for _, remedy in _misfits(value):
            raise InvalidValue(name, remedy)


def _says_json(content_type: str) -> bool:
    """Whether a body calls itself JSON, or nothing at all.

    What pages of others can send without asking first (text/plain and forms: the Fetch Standard's
    CORS-safelisted values) is none of it.
    """
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("", "application/json") or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for byte in _STRING.sub(b"", body):
        if byte in _OPENS:
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif byte in _CLOSES:
            depth -= 1
    return False


def _misfits(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """The fields that hold what none can be, by their path, and what to do."""
    match value:
        case str():
            if "\0" in value:
                yield field, "Leave out NUL characters (U+0000)."
        case bool():
            pass
        case int():
            if not LEAST_NUMBER <= value <= MOST_NUMBER:
                yield field, "Give a number of 64 bits, sign included."
        case dict():
            for name, each in value.items():
                yield from _misfits(name, field)
                yield from _misfits(each, f"{field}.{name}" if field else name)
        case list():
            for place, each in enumerate(value):
                yield from _misfits(each, f"{field}[{place}]")
