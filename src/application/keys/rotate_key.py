"""Give a key a new secret, while the old one works for a while yet."""

from dataclasses import dataclass

from application.keys.issue_key import IssuedKey
from application.keys.owned_key import manageable_key
from application.ports.clock import Clock
from application.ports.idempotency import Completion
from application.ports.keys import KeyChanges, KeySecrets
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.keys.api_key import DEFAULT_OVERLAP_SECONDS
from domain.shared.ids import ApiKeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Which key, and for how many seconds its present secret works beside the new one."""

    by: Principal
    origin: Origin
    key_id: ApiKeyId
    overlap_seconds: int = DEFAULT_OVERLAP_SECONDS
    once: Completion[IssuedKey] | None = None


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Rotates. The key stays the same: its id, limits, cap and account go on."""

    uow: UnitOfWork
    secrets: KeySecrets
    clock: Clock
    changes: KeyChanges

    async def __call__(self, command: Rotation) -> IssuedKey:
        """Keep the new secret; the answer alone has its text.

        Raises:
            NotFound: no such key, or another person's.
            InvalidValue: the overlap is out of range.
            InsufficientScope: the caller is a key that may do less than this one.
            KeyRevoked: there is nothing to rotate.
            KeyRotating: the overlap of the rotation before has not ended.
            KeyClaimLost: another request with the same idempotency key came first.
        """
        async with self.uow.begin(command.by.user_id) as tx:
            key = await manageable_key(tx, command.key_id, command.by)
            text = self.secrets.mint(key.environment)
            rotated = key.rotated(
                self.secrets.seal(text), self.clock.now(), command.overlap_seconds
            )
            await tx.keys.save(rotated)
            await tx.audit.record(
                command.origin,
                acted(AuditAction.KEY_ROTATED, key.id, before=key, after=rotated),
            )
            issued = IssuedKey(key=rotated, text=text)
            if command.once is not None:
                await command.once.store(tx.idempotency, issued)
        await self.changes.announce(rotated.user_id)
        return issued
