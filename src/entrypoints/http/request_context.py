"""Every request has an id, in its answer and in every line it logs."""

import re
import time
from typing import cast
from uuid import uuid4

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, LifeSpanScope, Message, Receive, Scope, Send

log = structlog.get_logger("http")

_HEADER = "x-request-id"
FITTING_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""The ids that a caller may give a request."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


class RequestContext:
    """Binds the request's id, sets the headers every answer has, and logs one line.

    It stands around the whole application: Litestar's own middleware does not see a path
    that matches no route, and its ``after_request`` hooks do not see errors.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope | LifeSpanScope, receive: Receive, send: Send) -> None:
        """Serve one request, socket or lifespan."""
        if scope["type"] == "lifespan":
            # Litestar takes this scope too; its type for applications leaves it out.
            await self._app(cast(Scope, scope), receive, send)
            return
        given = dict(scope["headers"]).get(_HEADER.encode(), b"").decode("latin-1")
        request_id = given if FITTING_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableScopeHeaders.from_message(message)
                headers[_HEADER] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                if not scope["path"].startswith(("/health", "/metrics")):
                    log.info(
                        "request",
                        method=scope.get("method", "WEBSOCKET"),
                        path=scope["path"],
                        status=status,
                        ms=round((time.perf_counter() - began) * 1000, 1),
                    )
