"""Figures written down instead of counted."""


class RecordingRunMetrics:
    """Remembers what died of what, in order."""

    def __init__(self) -> None:
        self.deaths: list[str] = []

    def run_died(self, error_code: str) -> None:
        self.deaths.append(error_code)


class RecordingPaymentMetrics:
    """Remembers the alerts, in order."""

    def __init__(self) -> None:
        self.alerts: list[str] = []

    def alert(self, kind: str) -> None:
        self.alerts.append(kind)
