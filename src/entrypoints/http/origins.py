"""Which pages may use what a browser sends by itself."""

from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection


def origin_allowed(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the request's ``Origin``, where there is one, is our own or listed."""
    origin = connection.headers.get("origin")
    return origin is None or _known(connection, origin)


def origin_proved(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the request says that it comes from a page of ours: saying nothing is not enough."""
    origin = connection.headers.get("origin")
    return origin is not None and _known(connection, origin)


def _known(connection: ASGIConnection[Any, Any, Any, Any], origin: str) -> bool:
    allowed: tuple[str, ...] = connection.app.state.settings.origins
    host = connection.headers.get("host", "")
    return origin in allowed or (bool(host) and urlsplit(origin).netloc == host)
