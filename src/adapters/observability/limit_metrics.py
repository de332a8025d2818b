"""Figures of rate limits for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge

_ALONE: Final = Gauge(
    "bharatbuild_rate_limiter_alone",
    "1 while this process limits by itself, because the shared counts are away.",
)
_REFUSED: Final = Counter(
    "bharatbuild_rate_limited_requests", "Requests refused, by the policy's name.", ["policy"]
)


class PrometheusLimitMetrics:
    """Counts in this process's registry."""

    def alone(self, alone: bool) -> None:
        """This process limits by itself, or does not any more."""
        _ALONE.set(int(alone))

    def refused(self, policy: str) -> None:
        """One more refused request."""
        _REFUSED.labels(policy).inc()
