"""Identities at other providers that open accounts."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.constraints import violated
from adapters.postgres.tables import linked_identities, users
from domain.identity.linked_identity import IdentityTaken, LinkedIdentity, ProviderName
from domain.shared.ids import UserId

_PRESENTING = text("SELECT set_config('app.identity', :named, true)")
_TAKEN = {
    "linked_identities_pkey": "Another account is opened with it already.",
    "linked_identities_user_id_provider_key": "Another identity of that provider is linked.",
}


class PostgresLinkedIdentities:
    """The ``LinkedIdentities`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = linked_identities.c.user_id == user_id

    async def owner(self, provider: ProviderName, subject: str) -> UserId | None:
        # The policy shows whoever names an identity its one row, in this transaction alone.
        await self._connection.execute(_PRESENTING, {"named": f"{provider.value}:{subject}"})
        found = await self._connection.scalar(
            select(linked_identities.c.user_id).where(
                linked_identities.c.provider == provider, linked_identities.c.subject == subject
            )
        )
        return None if found is None else UserId(found)

    async def add(self, identity: LinkedIdentity) -> None:
        try:
            await self._connection.execute(
                insert(linked_identities).values(
                    user_id=identity.user_id,
                    provider=identity.provider,
                    subject=identity.subject,
                    email=identity.email,
                    linked_at=identity.linked_at,
                    last_used_at=identity.last_used_at,
                )
            )
        except IntegrityError as error:
            if violated(error) in _TAKEN:
                raise IdentityTaken(_TAKEN[violated(error)]) from error
            raise

    async def all(self, *, lock: bool = False) -> Sequence[LinkedIdentity]:
        if lock:
            # The person, not the identities: what is to be kept is that one of them is left.
            await self._connection.execute(
                select(users.c.id)
                .where(users.c.id == self._user_id)
                .with_for_update(key_share=True)
            )
        rows = await self._connection.execute(
            select(linked_identities).where(self._mine).order_by(linked_identities.c.linked_at)
        )
        return [
            LinkedIdentity(
                user_id=UserId(row.user_id),
                provider=ProviderName(row.provider),
                subject=row.subject,
                email=row.email,
                linked_at=row.linked_at,
                last_used_at=row.last_used_at,
            )
            for row in rows
        ]

    async def note_use(self, provider: ProviderName, email: str) -> None:
        await self._connection.execute(
            update(linked_identities)
            .where(self._mine, linked_identities.c.provider == provider)
            .values(last_used_at=func.now(), email=email)
        )

    async def remove(self, provider: ProviderName) -> bool:
        removed = await self._connection.execute(
            delete(linked_identities)
            .where(self._mine, linked_identities.c.provider == provider)
            .returning(linked_identities.c.provider)
        )
        return removed.first() is not None
