"""Let credits lapse whose time is over."""

from dataclasses import dataclass

from application.ports.persistence import LapsedCredits, UnitOfWork

BATCH = 100


@dataclass(frozen=True, slots=True)
class ExpireCredits:
    """One bounded batch of people. Lapsed credits cannot be spent anyway: this books them.

    Each person's account is a transaction of its own, as that person, so many may sweep at
    once: who comes second finds nothing left.
    """

    lapsed: LapsedCredits
    uow: UnitOfWork

    async def __call__(self) -> int:
        """Book what has lapsed; returns how many credits.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        credits = 0
        for user_id in await self.lapsed.owners(BATCH):
            async with self.uow.begin(user_id) as tx:
                credits += await tx.ledger.expire()
        return credits
