"""The one line that every request leaves in the log."""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import structlog

RequestLog = Callable[[str, str, str, int, float], None]
"""Method, path, the request's id, status, and milliseconds."""

_encode = msgspec.json.Encoder().encode


def request_log(level: str, *, machine: bool) -> RequestLog:
    """What writes the line, where lines of that level are wanted.

    For machines it is written straight away, with the members that structlog's other lines have:
    its processors, and the standard library's logging behind them, cost an eighth of a request.
    """
    if logging.getLevelName(level.upper()) > logging.INFO:
        return _nothing
    return _written if machine else _shown


def _nothing(method: str, path: str, request_id: str, status: int, ms: float) -> None:
    """Nothing is wanted."""


def _shown(method: str, path: str, request_id: str, status: int, ms: float) -> None:
    structlog.get_logger("http").info(
        "request", method=method, path=path, status=status, ms=ms, request_id=request_id
    )


def _written(method: str, path: str, request_id: str, status: int, ms: float) -> None:
    moment = datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    line = {
        "method": method,
        "path": path,
        "status": status,
        "ms": ms,
        "event": "request",
        "request_id": request_id,
        "level": "info",
        "logger": "http",
        "timestamp": f"{moment}Z",
    }
    try:
        encoded = _encode(line)
    except UnicodeEncodeError:  # half of a surrogate pair, which no path should have
        encoded = _encode({**line, "path": path.encode(errors="backslashreplace").decode()})
    sys.stderr.write(encoded.decode() + "\n")
