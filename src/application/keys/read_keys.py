"""List a person's keys, and show one."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.keys.owned_key import owned_key
from application.ports.keys import KeyFilter
from application.ports.persistence import UnitOfWork
from domain.keys.api_key import ApiKey
from domain.shared.ids import ApiKeyId, UserId


@dataclass(frozen=True, slots=True)
class ListKeys:
    """Lists keys, newest first, one page at a time."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, query: KeyFilter) -> Sequence[ApiKey]:
        """The page's keys."""
        async with self.uow.begin(user_id) as tx:
            return await tx.keys.page(query)


@dataclass(frozen=True, slots=True)
class ShowKey:
    """Reads one key."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, key_id: ApiKeyId) -> ApiKey:
        """The key.

        Raises:
            NotFound: no such key, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            return await owned_key(tx, key_id)
