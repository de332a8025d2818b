"""Serving the document: made once a process, when somebody first asks for it."""

import asyncio
from typing import Any

import msgspec
from litestar import Litestar, Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from entrypoints.http.access import public
from entrypoints.http.openapi.document import describe, operation_id
from entrypoints.http.openapi.prose import TITLE
from entrypoints.version import VERSION

PATH = "/api/v1/schema"
_MADE = "openapi_document"


class _Document(JsonRenderPlugin):
    """Answers with the document that :func:`_prepared` has made."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        document: bytes = request.app.state[_MADE].result()
        return document


def openapi_config() -> OpenAPIConfig:
    """How Litestar is to describe the application, and where."""
    return OpenAPIConfig(
        title=TITLE,
        version=VERSION,
        use_handler_docstrings=True,
        operation_id_creator=operation_id,
        render_plugins=[_Document()],
        openapi_router=Router(
            path=PATH,
            route_handlers=[],
            guards=[public],
            before_request=_prepared,
            include_in_schema=False,
        ),
    )


async def _prepared(request: Request[Any, Any, Any]) -> None:
    """See to it that there is a document, made beside the loop, as it takes about a second."""
    state = request.app.state
    making = state.get(_MADE)
    if making is None or (making.done() and making.exception() is not None):
        making = asyncio.ensure_future(asyncio.to_thread(_encoded, request.app))
        state[_MADE] = making
    # Whoever asked first may leave; the others still wait for it.
    await asyncio.shield(making)


def _encoded(app: Litestar) -> bytes:
    return msgspec.json.encode(describe(app))
