"""Sessions and their refresh tokens."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import rows_of
from adapters.postgres.tables import refresh_tokens, sessions, sign_in_challenges, users
from application.ports.sessions import UsedToken
from domain.identity.session import (
    IDLE,
    LONGEST,
    Device,
    Session,
    SessionEnd,
    SignInMethod,
    Standing,
)
from domain.identity.user import Role
from domain.shared.ids import SessionId, UserId

_PRESENTING = text("SELECT set_config('app.refresh_digest', :digest, true)")
_CHALLENGES_KEPT = timedelta(hours=1)
_NOW = func.clock_timestamp()
"""Two that want one token wait for one another: their transactions' beginnings come before that."""


class PostgresSessions:
    """The ``SessionRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = sessions.c.user_id == user_id
        self._my_tokens = refresh_tokens.c.user_id == user_id

    async def open(self, session: Session, digest: str) -> None:
        await self._connection.execute(
            insert(sessions).values(
                id=session.id,
                user_id=session.user_id,
                version=session.version,
                methods=sorted(session.methods),
                address=session.device.address,
                agent=session.device.agent,
                created_at=session.created_at,
                authenticated_at=session.authenticated_at,
                last_used_at=session.last_used_at,
                expires_at=session.expires_at,
            )
        )
        await self._connection.execute(
            insert(refresh_tokens).values(
                digest=digest, session_id=session.id, user_id=session.user_id, generation=1
            )
        )

    async def standing(self, session_id: SessionId) -> Standing | None:
        rows = await self._connection.execute(
            select(sessions, users.c.session_version, users.c.role, users.c.is_active)
            .join(users, users.c.id == sessions.c.user_id)
            .where(sessions.c.id == session_id, self._mine)
        )
        row = rows.one_or_none()
        if row is None:
            return None
        return Standing(
            session=_session(row),
            account_version=row.session_version,
            role=Role(row.role),
            is_active=row.is_active,
        )

    async def live(self) -> Sequence[Session]:
        rows = await self._connection.execute(
            select(sessions)
            .where(self._mine, self._goes_on())
            .order_by(sessions.c.last_used_at.desc(), sessions.c.id.desc())
        )
        return [_session(row) for row in rows]

    async def holder(self, digest: str) -> UserId | None:
        # The policy shows whoever names a digest its one row, in this transaction alone.
        await self._connection.execute(_PRESENTING, {"digest": digest})
        found = await self._connection.scalar(
            select(refresh_tokens.c.user_id).where(refresh_tokens.c.digest == digest)
        )
        return None if found is None else UserId(found)

    async def of_token(self, digest: str) -> SessionId | None:
        found = await self._connection.scalar(
            select(refresh_tokens.c.session_id).where(
                refresh_tokens.c.digest == digest, self._my_tokens
            )
        )
        return None if found is None else SessionId(found)

    async def rotate(
        self, digest: str, *, salt: bytes, successor: str, device: Device
    ) -> Session | None:
        rows = await self._connection.execute(
            update(refresh_tokens)
            .where(
                refresh_tokens.c.digest == digest,
                refresh_tokens.c.used_at.is_(None),
                self._my_tokens,
                exists().where(
                    sessions.c.id == refresh_tokens.c.session_id, self._mine, self._goes_on()
                ),
            )
            .values(used_at=_NOW, salt=salt)
            .returning(refresh_tokens.c.session_id, refresh_tokens.c.generation)
        )
        used = rows.one_or_none()
        if used is None:
            return None
        await self._connection.execute(
            insert(refresh_tokens).values(
                digest=successor,
                session_id=used.session_id,
                user_id=self._user_id,
                generation=used.generation + 1,
            )
        )
        changed = await self._connection.execute(
            update(sessions)
            .where(sessions.c.id == used.session_id, self._mine)
            .values(
                last_used_at=_NOW,
                address=device.address,
                agent=device.agent,
                expires_at=func.least(sessions.c.created_at + LONGEST, _NOW + IDLE),
            )
            .returning(sessions)
        )
        return _session(changed.one())

    async def used(self, digest: str) -> UsedToken | None:
        next_ = refresh_tokens.alias()
        rows = await self._connection.execute(
            select(
                refresh_tokens.c.session_id,
                (_NOW - refresh_tokens.c.used_at).label("used_for"),
                refresh_tokens.c.salt,
                next_.c.digest.label("successor"),
                next_.c.used_at.is_not(None).label("successor_used"),
            )
            .join(
                next_,
                and_(
                    next_.c.session_id == refresh_tokens.c.session_id,
                    next_.c.generation == refresh_tokens.c.generation + 1,
                ),
            )
            .join(sessions, sessions.c.id == refresh_tokens.c.session_id)
            .where(refresh_tokens.c.digest == digest, self._my_tokens, self._goes_on())
        )
        row = rows.one_or_none()
        if row is None:
            return None
        return UsedToken(
            session_id=SessionId(row.session_id),
            used_for=row.used_for,
            salt=row.salt,
            successor=row.successor,
            successor_used=row.successor_used,
        )

    async def prove(self, session_id: SessionId, method: SignInMethod) -> None:
        without = func.array_remove(sessions.c.methods, method.value)
        await self._connection.execute(
            update(sessions)
            .where(sessions.c.id == session_id, self._mine)
            .values(methods=func.array_append(without, method.value), authenticated_at=_NOW)
        )

    async def end(self, session_id: SessionId, reason: SessionEnd) -> bool:
        ended = await self._connection.scalar(
            update(sessions)
            .where(sessions.c.id == session_id, self._mine, self._goes_on())
            .values(ended_at=_NOW, ended_by=reason.value)
            .returning(sessions.c.id)
        )
        return ended is not None

    async def end_all(self, reason: SessionEnd, *, but: SessionId | None = None) -> int:
        # The account's row first: whoever else does the same waits here.
        version = await self._connection.scalar(
            update(users)
            .where(users.c.id == self._user_id)
            .values(session_version=users.c.session_version + 1)
            .returning(users.c.session_version)
        )
        if but is not None:
            await self._connection.execute(
                update(sessions)
                .where(
                    sessions.c.id == but,
                    self._mine,
                    sessions.c.ended_at.is_(None),
                    sessions.c.version == version - 1,
                )
                .values(version=version)
            )
        ended = await self._connection.execute(
            update(sessions)
            .where(self._mine, sessions.c.ended_at.is_(None), sessions.c.version < version)
            .values(ended_at=_NOW, ended_by=reason.value)
            .returning(sessions.c.id)
        )
        return len(ended.all())

    def _goes_on(self) -> ColumnElement[bool]:
        account = exists().where(
            users.c.id == sessions.c.user_id,
            users.c.session_version == sessions.c.version,
            users.c.is_active,
        )
        return and_(sessions.c.ended_at.is_(None), sessions.c.expires_at > _NOW, account)


class PostgresOldSessions:
    """The ``OldSessions`` over the ``dispatch`` role's engine, which sees no others."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def delete(self, ended_for: timedelta, limit: int) -> int:
        over = (
            select(sessions.c.id)
            .where(func.least(sessions.c.ended_at, sessions.c.expires_at) < func.now() - ended_for)
            .limit(limit)
        )
        return await self._deleted(
            delete(sessions).where(sessions.c.id.in_(over)).returning(sessions.c.id)
        )

    async def delete_challenges(self, limit: int) -> int:
        digest = sign_in_challenges.c.digest
        # The policy shows no others; and says so here for the index.
        over = (
            select(digest)
            .where(sign_in_challenges.c.expires_at < func.now() - _CHALLENGES_KEPT)
            .limit(limit)
        )
        return await self._deleted(
            delete(sign_in_challenges).where(digest.in_(over)).returning(digest)
        )

    async def _deleted(self, statement: Executable) -> int:
        return len(await rows_of(self._engine, statement))


def _session(row: Row[Any]) -> Session:
    return Session(
        id=SessionId(row.id),
        user_id=UserId(row.user_id),
        version=row.version,
        methods=frozenset(SignInMethod(method) for method in row.methods),
        device=Device(address=row.address, agent=row.agent),
        created_at=row.created_at,
        authenticated_at=row.authenticated_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        ended_by=None if row.ended_by is None else SessionEnd(row.ended_by),
    )
