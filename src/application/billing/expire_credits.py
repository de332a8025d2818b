"""Let credits lapse whose time is over."""

from dataclasses import dataclass

import structlog

from application.ports.ledger import LapsedCredits
from application.ports.persistence import DatabaseUnavailable, UnitOfWork

log = structlog.get_logger(__name__)

BATCH = 100


@dataclass(frozen=True, slots=True)
class ExpireCredits:
    """One bounded batch of people. Lapsed credits cannot be spent anyway: this books them.

    Each person's account is a transaction of its own, as that person, so many may sweep at
    once: who comes second finds nothing left. An account that cannot be booked is logged and
    comes again, and keeps no other from its turn.
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
            try:
                async with self.uow.begin(user_id) as tx:
                    credits += await tx.ledger.expire()
            except DatabaseUnavailable:
                raise
            except Exception as error:
                log.error("credits not lapsed", user_id=str(user_id), exc_info=error)
        return credits
