"""What is counted for those who watch over the platform."""

from typing import Protocol


class RunMetrics(Protocol):
    """Figures of runs. Never raises, never waits."""

    def run_died(self, error_code: str) -> None:
        """A run was set aside as dead; ``error_code`` is the public one."""
        ...


class PaymentMetrics(Protocol):
    """What somebody must look at among payments. Never raises, never waits."""

    def alert(self, kind: str) -> None:
        """Something was set aside or went wrong; ``kind`` is one of a few words."""
        ...


class LimitMetrics(Protocol):
    """Figures of rate limits. Never raises, never waits."""

    def alone(self, alone: bool) -> None:
        """This process limits by itself, because the shared counts are away, or does not."""
        ...

    def refused(self, policy: str) -> None:
        """A request was refused under the policy of that name."""
        ...
