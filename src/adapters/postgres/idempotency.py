"""Idempotency keys: each call one or two statements, on database time."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import with_retries
from adapters.postgres.tables import idempotency_keys as keys
from application.ports.idempotency import KeyClaim, KeyClaimLost, StoredReply
from domain.shared.idempotency import IdempotencyInFlight, IdempotencyKey, IdempotencyMismatch
from domain.shared.ids import UserId

_EXPIRED = keys.c.expires_at <= func.now()
_UNANSWERED = keys.c.status.is_(None)


class PostgresIdempotencyKeys:
    """The ``IdempotencyKeys`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    async def claim(
        self, key: IdempotencyKey, request_hash: str, *, lease_seconds: float, keep_seconds: float
    ) -> KeyClaim | StoredReply:
        taken: dict[str, Any] = {
            "request_hash": request_hash,
            "token": func.gen_random_uuid(),
            "lease_until": func.now() + timedelta(seconds=lease_seconds),
            "expires_at": func.now() + timedelta(seconds=keep_seconds),
        }
        token = await self._connection.scalar(
            upsert(keys)
            .values(user_id=self._user_id, key=key.value, **taken)
            .on_conflict_do_update(
                constraint="idempotency_keys_pkey",
                set_={**taken, "status": None, "headers": None, "body": None},
                where=_EXPIRED | (_UNANSWERED & (keys.c.lease_until <= func.now())),
            )
            .returning(keys.c.token)
        )
        if token is not None:
            return KeyClaim(key=key, token=token)
        # The statement above waited for whoever held the row, and has locked it itself: it is
        # there, and stays as it is read here.
        rows = await self._connection.execute(
            select(keys.c.request_hash, keys.c.status, keys.c.headers, keys.c.body).where(
                self._row(key)
            )
        )
        row = rows.one()
        if row.request_hash != request_hash:
            raise IdempotencyMismatch
        if row.status is None:
            raise IdempotencyInFlight
        return StoredReply(status=row.status, headers=row.headers, body=row.body)

    async def complete(self, claim: KeyClaim, reply: StoredReply) -> None:
        completed = await self._connection.scalar(
            update(keys)
            .where(self._row(claim.key), keys.c.token == claim.token, _UNANSWERED)
            .values(status=reply.status, headers=dict(reply.headers), body=reply.body)
            .returning(keys.c.key)
        )
        if completed is None:
            raise KeyClaimLost(f"the key {claim.key.value!r} is another request's now")

    async def amend(self, claim: KeyClaim, reply: StoredReply) -> None:
        await self._connection.execute(
            update(keys)
            .where(self._row(claim.key), keys.c.token == claim.token, ~_UNANSWERED)
            .values(status=reply.status, headers=dict(reply.headers), body=reply.body)
        )

    async def release(self, claim: KeyClaim) -> None:
        await self._connection.execute(
            update(keys)
            .where(self._row(claim.key), keys.c.token == claim.token, _UNANSWERED)
            .values(lease_until=func.now())
        )

    def _row(self, key: IdempotencyKey) -> ColumnElement[bool]:
        return (keys.c.user_id == self._user_id) & (keys.c.key == key.value)


class PostgresExpiredIdempotencyKeys:
    """The ``ExpiredIdempotencyKeys`` over the ``dispatch`` role's engine.

    The role's policy shows it expired rows alone.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def delete(self, limit: int) -> int:
        oldest = select(keys.c.user_id, keys.c.key).where(_EXPIRED).order_by(keys.c.expires_at)
        # Said again outside: a row claimed anew while this waited for it is not deleted.
        statement = delete(keys).where(
            tuple_(keys.c.user_id, keys.c.key).in_(oldest.limit(limit)), _EXPIRED
        )

        async def execute() -> int:
            async with self._engine.connect() as connection:
                return (await connection.execute(statement)).rowcount

        return await with_retries(execute)
