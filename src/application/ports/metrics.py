"""What is counted for those who watch over the platform."""

from typing import Protocol


class RunMetrics(Protocol):
    """Figures of runs. Never raises, never waits."""

    def run_died(self, error_code: str) -> None:
        """A run was set aside as dead; ``error_code`` is the public one."""
        ...
