"""Read a person's account: what is in it, and how it came to that."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.ledger import BookedEntry, EntryQuery
from application.ports.persistence import UnitOfWork
from domain.billing.ledger import Balance, Lot
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class ShowBalance:
    """Shows what a person has, holds and owes, and when which credits lapse."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId) -> tuple[Balance, Sequence[Lot]]:
        """The balance, and the lots with anything left, in the order they are spent in."""
        async with self.uow.begin(user_id) as tx:
            return await tx.ledger.account()


@dataclass(frozen=True, slots=True)
class ListEntries:
    """Lists a person's journal, newest first."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, query: EntryQuery) -> Sequence[BookedEntry]:
        """The entries that fit."""
        async with self.uow.begin(user_id) as tx:
            return await tx.ledger.entries(query)
