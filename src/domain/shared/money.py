"""Money as integers: provider costs in nano-dollars, customer prices in paise.

One credit is one paisa (:data:`PAISE_PER_CREDIT`); the name says which side of the counter
an amount stands on.
"""

from dataclasses import dataclass
from datetime import datetime

NANO_PER_USD = 1_000_000_000
PAISE_PER_RUPEE = 100

PAISE_PER_CREDIT = 1
"""What a credit is worth. It stands in no table on purpose: were it to change, every balance
would change its worth."""


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """What one US dollar is worth in paise, from which moment on, and who says so."""

    paise_per_usd: int
    valid_from: datetime
    source: str

    def credits_for(self, nano_usd: int) -> int:
        """Convert a provider cost to credits, rounded up.

        Rounding happens once per step on the sum of its calls, never per call: the
        error stays below one credit a step, and always on the side of the house's books.

        Raises:
            ValueError: the cost is negative.
        """
        if nano_usd < 0:
            raise ValueError("a cost cannot be negative")
        return -(-nano_usd * self.paise_per_usd // (NANO_PER_USD * PAISE_PER_CREDIT))


def rupees(credits: int) -> str:
    """Show credits as rupees, e.g. ``1234`` as ``₹12.34``."""
    sign = "-" if credits < 0 else ""
    whole, rest = divmod(abs(credits) * PAISE_PER_CREDIT, PAISE_PER_RUPEE)
    return f"{sign}₹{whole}.{rest:02d}"
