"""Figures of runs for Prometheus."""

from typing import Final

from prometheus_client import Counter

_DEAD_RUNS: Final = Counter(
    "bharatbuild_dead_runs", "Runs set aside as dead, by what ended them.", ["error_code"]
)


class PrometheusRunMetrics:
    """Counts in this process's registry."""

    def run_died(self, error_code: str) -> None:
        """One more dead run."""
        _DEAD_RUNS.labels(error_code).inc()
