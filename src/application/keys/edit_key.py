"""Change what a key may do."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from application.keys.owned_key import manageable_key
from application.ports.clock import Clock
from application.ports.keys import KeyChanges
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from domain.agents.artifacts import Mode
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.user import Permission
from domain.keys.addresses import clean_networks
from domain.keys.api_key import ApiKey, check_cap, check_expiry, clean_key_name, clean_limits
from domain.keys.rate_limit import RatePolicy
from domain.keys.scopes import grantable
from domain.shared.ids import ApiKeyId


class Kept(Enum):
    """Stands for a value that is left as it is, where None is a value."""

    KEPT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEdit:
    """The new values; what is None, or ``KEPT`` where None means none, stays as it is."""

    by: Principal
    origin: Origin
    key_id: ApiKeyId
    name: str | None = None
    scopes: frozenset[Permission] | None = None
    modes: frozenset[Mode] | None = None
    allowed_ips: tuple[str, ...] | None = None
    limits: tuple[RatePolicy, ...] | None = None
    credit_cap: int | Kept | None = Kept.KEPT
    expires_at: datetime | Kept | None = Kept.KEPT


@dataclass(frozen=True, slots=True)
class EditKey:
    """Edits a key, and makes the change known to every process."""

    uow: UnitOfWork
    clock: Clock
    changes: KeyChanges

    async def __call__(self, command: KeyEdit) -> ApiKey:
        """Write the change. Its scopes can become what the caller holds, no more.

        Raises:
            NotFound: no such key, or another person's.
            InvalidValue: a value does not fit, or a scope is not the caller's to give.
            InsufficientScope: the caller is a key, and narrower than this one is or would be.
            KeyRevoked: there is nothing to edit.
        """
        async with self.uow.begin(command.by.user_id) as tx:
            key = await manageable_key(tx, command.key_id, command.by)
            key.require_not_revoked()
            edited = self._edited(key, command)
            if command.by.key is not None:
                command.by.key.check_reach(edited)
            await tx.keys.save(edited)
            await tx.audit.record(
                command.origin,
                acted(AuditAction.KEY_EDITED, key.id, before=key, after=edited),
            )
        await self.changes.announce(edited.user_id)
        return edited

    def _edited(self, key: ApiKey, edit: KeyEdit) -> ApiKey:
        now = self.clock.now()
        return replace(
            key,
            name=key.name if edit.name is None else clean_key_name(edit.name),
            scopes=key.scopes
            if edit.scopes is None
            else grantable(edit.scopes, edit.by.permissions, key.environment),
            modes=key.modes if edit.modes is None else edit.modes,
            allowed_ips=key.allowed_ips
            if edit.allowed_ips is None
            else clean_networks(edit.allowed_ips),
            limits=key.limits if edit.limits is None else clean_limits(edit.limits),
            credit_cap=key.credit_cap
            if isinstance(edit.credit_cap, Kept)
            else check_cap(edit.credit_cap),
            expires_at=key.expires_at
            if isinstance(edit.expires_at, Kept)
            else check_expiry(edit.expires_at, now),
        )
