"""Figures of webhooks for Prometheus."""

from typing import Final

from prometheus_client import Counter

_ATTEMPTS: Final = Counter(
    "bharatbuild_webhook_attempts", "Attempts to deliver a webhook, by outcome.", ["outcome"]
)
_DISABLED: Final = Counter(
    "bharatbuild_webhook_endpoints_disabled",
    "Webhook endpoints switched off without their owner's doing, by reason.",
    ["reason"],
)


class PrometheusWebhookMetrics:
    """Counts in this process's registry."""

    def attempted(self, outcome: str) -> None:
        """One more attempt. Statuses count by their hundred: the endpoint chooses them."""
        if outcome.startswith("http_"):
            outcome = f"{outcome[:6]}xx"
        _ATTEMPTS.labels(outcome).inc()

    def endpoint_disabled(self, reason: str) -> None:
        """One more endpoint."""
        _DISABLED.labels(reason).inc()
