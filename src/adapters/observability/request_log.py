"""The one line that every request leaves in the log."""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
import structlog

WRITE_SECONDS: Final = 0.02
"""How long a line for machines waits for others to be written with: each by itself would cost a
request a tenth of its time. A process that is killed loses the lines of that long."""


class RequestLog(Protocol):
    """Takes what the line says."""

    def __call__(self, method: str, path: str, request_id: str, status: int, ms: float) -> None:
        """Write the line, now or in a moment."""
        ...

    def flush(self) -> None:
        """Write what waits: no more will come."""
        ...


def request_log(level: str, *, machine: bool) -> RequestLog:
    """What writes the line, where lines of that level are wanted.

    For machines it is written past structlog, with the members that structlog's other lines have:
    its processors, and the standard library's logging behind them, cost an eighth of a request.
    """
    if logging.getLevelName(level.upper()) > logging.INFO:
        return _Nothing()
    return _ForMachines() if machine else _Shown()


class _Nothing:
    def __call__(self, method: str, path: str, request_id: str, status: int, ms: float) -> None:
        """Nothing is wanted."""

    def flush(self) -> None:
        """Nothing waits."""


class _Shown:
    def __call__(self, method: str, path: str, request_id: str, status: int, ms: float) -> None:
        structlog.get_logger("http").info(
            "request", method=method, path=path, status=status, ms=ms, request_id=request_id
        )

    def flush(self) -> None:
        """Nothing waits."""


class _Line(msgspec.Struct):
    method: str
    path: str
    status: int
    ms: float
    request_id: str
    timestamp: datetime
    event: str = "request"
    level: str = "info"
    logger: str = "http"


_encode = msgspec.json.Encoder().encode


class _ForMachines:
    """Writes lines of JSON, those of a moment at once."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def __call__(self, method: str, path: str, request_id: str, status: int, ms: float) -> None:
        line = _Line(method, path, status, ms, request_id, datetime.now(UTC))
        try:
            encoded = _encode(line)
        except UnicodeEncodeError:  # half of a surrogate pair, which no path should have
            line.path = path.encode(errors="backslashreplace").decode()
            encoded = _encode(line)
        if not self._waiting:
            asyncio.get_running_loop().call_later(WRITE_SECONDS, self.flush)
        self._waiting.append(encoded)

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            sys.stderr.write(b"\n".join((*waiting, b"")).decode())
