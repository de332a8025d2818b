"""Revoke a key, everywhere at once."""

from dataclasses import dataclass

from application.keys.owned_key import manageable_key
from application.ports.clock import Clock
from application.ports.keys import KeyChanges
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.keys.api_key import ApiKey
from domain.shared.ids import ApiKeyId


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Revokes. Runs that were started with the key go on."""

    uow: UnitOfWork
    clock: Clock
    changes: KeyChanges

    async def __call__(self, by: Principal, key_id: ApiKeyId, *, origin: Origin) -> ApiKey:
        """Write the revocation and make it known to every process. Again changes nothing.

        Raises:
            NotFound: no such key, or another person's.
            InsufficientScope: the caller is a key that may do less than this one.
        """
        async with self.uow.begin(by.user_id) as tx:
            key = await manageable_key(tx, key_id, by)
            revoked = key.revoked(self.clock.now())
            await tx.keys.save(revoked)
            if revoked != key:
                await tx.audit.record(
                    origin, acted(AuditAction.KEY_REVOKED, key.id, before=key, after=revoked)
                )
        # Also when it was revoked before: an announcement may have been lost.
        await self.changes.announce(revoked.user_id)
        return revoked
