"""What the house spends on mending its own faults before it lets them be.

Review retries and repairs are free: nobody pays for a tool's own mistakes. They are bounded
all the same, per run and per person and day, because who can make the house pay without
end will. Past the budget nobody is charged instead; nothing more is mended, and what review
still holds against the result is said openly in it.
"""

from dataclasses import dataclass

from application.ports.persistence import Transaction
from application.runs.failures import MendingBudgetSpent
from domain.shared.ids import RunId
from domain.shared.money import ExchangeRate

DAY_SECONDS = 24 * 3600.0
"""A person's day is the last 24 hours: no hour at which the budget is twice there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MendingBudget:
    """Credits for one run, and for all of a person's runs within a day."""

    run_credits: int
    day_credits: int

    async def admit(
        self, tx: Transaction, run_id: RunId, bound_nano_usd: int, rate: ExchangeRate
    ) -> None:
        """Let a call be made whose dearest outcome still fits.

        Raises:
            MendingBudgetSpent: it does not.
        """
        spent = await tx.calls.mending(run_id, DAY_SECONDS)
        for credits, nano_usd in (
            (self.run_credits, spent.run_nano_usd),
            (self.day_credits, spent.day_nano_usd),
        ):
            if rate.credits_for(nano_usd + bound_nano_usd) > credits:
                raise MendingBudgetSpent(f"{credits} credits are set for mending")
