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


class RecordingLimitMetrics:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.states: list[bool] = []
        self.refusals: list[str] = []

    def alone(self, alone: bool) -> None:
        self.states.append(alone)

    def refused(self, policy: str) -> None:
        self.refusals.append(policy)
