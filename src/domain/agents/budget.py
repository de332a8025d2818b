"""When the repair loop stops: at success, at its last try, at the budget, or when stuck."""

from dataclasses import dataclass, replace
from enum import StrEnum


class StopReason(StrEnum):
    """Why nothing is repaired any further."""

    SUCCEEDED = "succeeded"
    SAME_FAILURE = "same_failure"
    ATTEMPTS_SPENT = "attempts_spent"
    BUDGET_SPENT = "budget_spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairDecision:
    """What to do after a verification: repair once more, or stop and say why.

    ``loop`` is the loop to ask after the next verification.
    """

    stop: StopReason | None
    loop: "RepairLoop"

    @property
    def repairs(self) -> bool:
        """True when one more repair is due."""
        return self.stop is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairLoop:
    """The stopping rule of the repair loop, as a value.

    ``signatures`` are the failures that a repair was already tried on, oldest first. A
    signature that comes back, even after another one, is a loop that goes round.
    """

    max_attempts: int = 4
    signatures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_attempts < 0:
            raise ValueError("the number of attempts cannot be negative")

    @property
    def attempts(self) -> int:
        """How many repairs were decided so far."""
        return len(self.signatures)

    def next(
        self, signature: str | None, spent_nano_usd: int, budget_nano_usd: int
    ) -> RepairDecision:
        """Decide after one verification.

        ``signature`` is that of its failure, or None when everything passed. A reason
        that lies in the code comes before one that lies in the limits: a failure that
        repeats at the last try is reported as the same failure.

        Raises:
            ValueError: an amount is negative.
        """
        if spent_nano_usd < 0 or budget_nano_usd < 0:
            raise ValueError("an amount of money cannot be negative")
        if signature is None:
            return RepairDecision(stop=StopReason.SUCCEEDED, loop=self)
        if signature in self.signatures:
            return RepairDecision(stop=StopReason.SAME_FAILURE, loop=self)
        if self.attempts >= self.max_attempts:
            return RepairDecision(stop=StopReason.ATTEMPTS_SPENT, loop=self)
        if spent_nano_usd >= budget_nano_usd:
            return RepairDecision(stop=StopReason.BUDGET_SPENT, loop=self)
        loop = replace(self, signatures=(*self.signatures, signature))
        return RepairDecision(stop=None, loop=loop)
