"""Figures of the usage log for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge

_WAITING: Final = Gauge(
    "bharatbuild_usage_rows_waiting", "Rows of the usage log that wait here to be appended."
)
_LOST: Final = Counter(
    "bharatbuild_usage_rows_lost", "Rows of the usage log given up for want of room."
)
_BACKLOG: Final = Gauge(
    "bharatbuild_usage_backlog", "Entries of the usage stream that are not drained."
)
_DRAINED: Final = Counter(
    "bharatbuild_usage_rows_drained", "Rows drained from the usage stream, by outcome.", ["outcome"]
)


class PrometheusUsageLogMetrics:
    """Counts in this process's registry."""

    def waiting(self, rows: int) -> None:
        """So many wait."""
        _WAITING.set(rows)

    def lost(self, rows: int) -> None:
        """So many more are lost."""
        _LOST.inc(rows)

    def backlog(self, entries: int) -> None:
        """So many are not drained."""
        _BACKLOG.set(entries)

    def drained(self, outcome: str, rows: int) -> None:
        """So many more came to that."""
        if rows:
            _DRAINED.labels(outcome).inc(rows)
