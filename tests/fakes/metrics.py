"""Figures written down instead of counted."""

from collections import Counter


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


class RecordingUsageLogMetrics:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.rows_lost = 0
        self.backlogs: list[int] = []
        self.outcomes: Counter[str] = Counter()

    def waiting(self, rows: int) -> None:
        pass

    def lost(self, rows: int) -> None:
        self.rows_lost += rows

    def backlog(self, entries: int) -> None:
        self.backlogs.append(entries)

    def drained(self, outcome: str, rows: int) -> None:
        if rows:
            self.outcomes[outcome] += rows
