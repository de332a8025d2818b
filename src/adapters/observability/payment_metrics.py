"""What somebody must look at among payments, for Prometheus."""

from typing import Final

from prometheus_client import Counter

_ALERTS: Final = Counter(
    "bharatbuild_payment_alerts", "Payments, refunds and events that need a person.", ["kind"]
)


class PrometheusPaymentMetrics:
    """Counts in this process's registry."""

    def alert(self, kind: str) -> None:
        """One more of that kind."""
        _ALERTS.labels(kind).inc()
