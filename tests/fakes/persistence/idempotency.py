"""Idempotency keys, in memory."""

from dataclasses import replace
from uuid import uuid4

from application.ports.idempotency import (
    ExpiredIdempotencyKeys,
    IdempotencyKeys,
    KeyClaim,
    KeyClaimLost,
    StoredReply,
)
from domain.shared.idempotency import IdempotencyInFlight, IdempotencyKey, IdempotencyMismatch
from tests.fakes.persistence.database import InMemoryDatabase, KeyRow, Session


class InMemoryIdempotencyKeys(IdempotencyKeys):
    """The keys of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def claim(
        self, key: IdempotencyKey, request_hash: str, *, lease_seconds: float, keep_seconds: float
    ) -> KeyClaim | StoredReply:
        keys, place = self._session.tables.keys, (self._session.tenant, key)
        row = keys.get(place)
        if row is None or row.free(self._session.now):
            keys[place] = KeyRow(
                request_hash=request_hash,
                token=uuid4(),
                lease_until=self._session.after(lease_seconds),
                expires_at=self._session.after(keep_seconds),
            )
            return KeyClaim(key=key, token=keys[place].token)
        if row.request_hash != request_hash:
            raise IdempotencyMismatch
        if row.reply is None:
            raise IdempotencyInFlight
        return row.reply

    async def complete(self, claim: KeyClaim, reply: StoredReply) -> None:
        row = self._held(claim)
        if row is None:
            raise KeyClaimLost
        self._session.tables.keys[self._session.tenant, claim.key] = replace(row, reply=reply)

    async def amend(self, claim: KeyClaim, reply: StoredReply) -> None:
        place = (self._session.tenant, claim.key)
        row = self._session.tables.keys.get(place)
        if row and row.token == claim.token and row.reply is not None:
            self._session.tables.keys[place] = replace(row, reply=reply)

    async def release(self, claim: KeyClaim) -> None:
        row = self._held(claim)
        if row is not None:
            self._session.tables.keys[self._session.tenant, claim.key] = replace(
                row, lease_until=self._session.now
            )

    def _held(self, claim: KeyClaim) -> KeyRow | None:
        row = self._session.tables.keys.get((self._session.tenant, claim.key))
        return row if row and row.token == claim.token and row.reply is None else None


class InMemoryExpiredIdempotencyKeys(ExpiredIdempotencyKeys):
    """Everybody's keys whose time is over."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def delete(self, limit: int) -> int:
        async with self._database.session(None) as session:
            keys = session.tables.keys
            expired = [place for place, row in keys.items() if row.expires_at <= session.now]
            oldest = sorted(expired, key=lambda place: keys[place].expires_at)[:limit]
            for place in oldest:
                del keys[place]
            return len(oldest)
