"""Every request has an id, in its answer and in every line it logs; it is counted and logged."""

import os
import re
import time
from typing import Any, Final, cast

import structlog
from litestar.types import ASGIApp, LifeSpanScope, Message, Receive, Scope, Send

from adapters.observability.request_log import RequestLog
from entrypoints.http.keyed_requests import log_keyed_request
from entrypoints.http.request_metrics import IN_PROGRESS, observe

_HEADER: Final = b"x-request-id"
_UNMATCHED: Final = ""
FITTING_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""The ids that a caller may give a request."""

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What every answer has that says nothing else of it. Pages have a policy of their own."""


class RequestContext:
    """Binds the request's id, sets the headers every answer has, counts, and logs one line.

    It stands around the whole application: Litestar's own middleware does not see a path
    that matches no route, and its ``after_request`` hooks do not see errors.
    """

    def __init__(self, app: ASGIApp, request_log: RequestLog, *, hsts_seconds: int = 0) -> None:
        self._app = app
        self._log = request_log
        kept = dict(SECURITY_HEADERS)
        if hsts_seconds:
            kept["Strict-Transport-Security"] = f"max-age={hsts_seconds}; includeSubDomains"
        self._headers = [(name.lower().encode(), value.encode()) for name, value in kept.items()]

    async def __call__(self, scope: Scope | LifeSpanScope, receive: Receive, send: Send) -> None:
        """Serve one request, socket or lifespan."""
        if scope["type"] == "lifespan":
            # Litestar takes this scope too; its type for applications leaves it out.
            await self._app(cast(Scope, scope), receive, send)
            self._log.flush()
            return
        request: Scope = scope
        request_id = _request_id(request)
        state: dict[str, Any] = request.setdefault("state", {})
        state["request_id"] = request_id
        state["began_at"] = time.time()
        began = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_headers(message["headers"], request_id, self._headers)
            await send(message)

        IN_PROGRESS.inc()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(request, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - began
            IN_PROGRESS.dec()
            path, method = request["path"], str(request.get("method", "WEBSOCKET"))
            observe(method, str(request.get("path_template", _UNMATCHED)), status, seconds)
            log_keyed_request(request, status, seconds)
            if not path.startswith(("/health", "/metrics")):
                self._log(method, path, request_id, status, round(seconds * 1000, 1))
            structlog.contextvars.unbind_contextvars("request_id")


def _request_id(scope: Scope) -> str:
    """The caller's name for the request, if it fits, or one of ours."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            given = value.decode("latin-1")
            if FITTING_ID.fullmatch(given):
                return given
    return os.urandom(16).hex()


def _with_headers(
    headers: Any, request_id: str, ours: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """An answer's headers with the request's id, and ours where it has none of its own."""
    own = {name for name, _ in headers}
    added = [header for header in ours if header[0] not in own]
    kept = headers if _HEADER not in own else [each for each in headers if each[0] != _HEADER]
    return [*kept, (_HEADER, request_id.encode()), *added]
