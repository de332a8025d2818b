"""Find out whose key was sent."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from application.keys.key_cache import KeyCache, KeyCaller, KnownKey
from application.ports.clock import Clock
from application.ports.keys import KeySecrets
from application.ports.persistence import UnitOfWork
from application.ports.reads import HotReads
from domain.identity.user import User
from domain.keys.api_key import ApiKey, InvalidKey, KeyExpired
from domain.keys.key_text import KeyText
from domain.shared.ids import UserId

log = structlog.get_logger(__name__)

_NOBODY = UserId(UUID(int=0))

USE_NOTED_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class AuthenticateKey:
    """Says who a key speaks for: from memory, or by looking it up.

    A refusal is never given from memory. Each takes the same look-ups, whether the key is
    unknown, revoked or used from a wrong address, so that its duration tells no more than
    its words do.
    """

    uow: UnitOfWork
    reads: HotReads
    secrets: KeySecrets
    cache: KeyCache
    clock: Clock

    def remembered(self, sent: str, address: str) -> KeyCaller | None:
        """Who it is, if this process knows that the key may be used from that address.

        What is remembered was read as a key before: its form need not be looked at again.
        """
        known = self.cache.get(self.secrets.digest(sent))
        if known is None:
            return None
        try:
            known.key.check_use(known.digest, address, self.clock.now())
        except (InvalidKey, KeyExpired):
            return None
        return known.caller

    async def __call__(self, key: KeyText, address: str) -> KeyCaller:
        """Who it is, by looking the key up.

        Raises:
            InvalidKey: unknown, revoked, not allowed from there, or its owner is not active.
            KeyExpired: it has come to its planned end.
            DatabaseUnavailable: it could not be looked up.
        """
        epoch = self.cache.epoch
        digests = self.secrets.digests(key)
        found = await self.reads.presented_key(digests)
        owner_id = found.user_id if found else _NOBODY
        async with self.uow.begin(owner_id) as tx:
            owner = await tx.users.get(owner_id)
            known = self._usable(found, owner, digests, address)
            if isinstance(known, KnownKey):
                await tx.keys.note_use(known.key.id, every_seconds=USE_NOTED_EVERY_SECONDS)
        if not isinstance(known, KnownKey):
            raise known
        self.cache.put(digests[0], known.key.user_id, known, epoch)
        return known.caller

    def _usable(
        self, key: ApiKey | None, owner: User | None, digests: tuple[str, ...], address: str
    ) -> KnownKey | InvalidKey | KeyExpired:
        if key is None:
            return InvalidKey()
        digest = next((each for each in digests if each in key.digests), "")
        try:
            key.check_use(digest, address, self.clock.now())
        except (InvalidKey, KeyExpired) as refusal:
            reason = "revoked" if key.revoked_at else refusal.code
            log.info("key refused", key_id=str(key.id), reason=reason, address=address)
            return refusal
        if owner is None or not owner.is_active:
            log.info("key refused", key_id=str(key.id), reason="owner not active")
            return InvalidKey()
        return KnownKey(key=key, digest=digest, role=owner.role)
