"""How a step can end without an artifact."""


class StepFailed(Exception):
    """The step cannot make its artifact. ``code`` and ``message`` are public."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class MendingBudgetSpent(Exception):
    """The house mends no more of its faults here: the work goes on with what there is."""


class RetryLater(Exception):
    """The step can go on, but not now: its run is parked for ``seconds``."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.reason = reason
