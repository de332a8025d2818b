"""Figures of requests for Prometheus: how many, how long, how many at once."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_LABELS: Final = ("method", "path", "status_code", "app_name")
_APP: Final = "bharatbuild"
_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"}
)

_COUNT: Final = Counter("bharatbuild_requests", "Total requests", _LABELS)
_ERRORS: Final = Counter("bharatbuild_requests_error", "Total errors in requests", _LABELS)
_SECONDS: Final = Histogram(
    "bharatbuild_request_duration_seconds", "Request duration, in seconds", _LABELS
)
IN_PROGRESS: Final = Gauge(
    "bharatbuild_requests_in_progress", "Total requests currently in progress"
)

_CUT: Final = Counter(
    "bharatbuild_requests_cut",
    "Requests that took too long, by what they waited for.",
    ["waits_for"],
)
_TURNED_AWAY: Final = Counter(
    "bharatbuild_requests_turned_away",
    "Requests and sockets refused because too many were under way, by the refusal's code.",
    ["code"],
)

_CONNECTIONS_CUT: Final = Counter(
    "bharatbuild_connections_cut",
    "Connections that asked nothing and were cut off: their address had too many of them.",
)

_children: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter | None]] = {}


def observe(method: str, path: str, status: int, seconds: float) -> None:
    """Count a request that was answered. ``path`` is the route's template: paths are endless.

    What was counted before under the same labels is found in one look.
    """
    labels = (method if method in _METHODS else "other", path, status)
    found = _children.get(labels)
    if found is None:
        values = (*labels[:2], str(status), _APP)
        errors = _ERRORS.labels(*values) if status >= 500 else None
        found = _children[labels] = (_COUNT.labels(*values), _SECONDS.labels(*values), errors)
    count, duration, errors = found
    count.inc()
    duration.observe(seconds)
    if errors is not None:
        errors.inc()


def count_cut(waits_for: str) -> None:
    """Count a request that took too long."""
    _CUT.labels(waits_for).inc()


def count_turned_away(code: str) -> None:
    """Count a request or socket that there was no place for."""
    _TURNED_AWAY.labels(code).inc()


def count_connections_cut(connections: int) -> None:
    """Count connections that asked nothing, of an address that had too many."""
    _CONNECTIONS_CUT.inc(connections)
