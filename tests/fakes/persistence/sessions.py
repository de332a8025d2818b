"""Sessions and refresh tokens, in memory."""

from collections.abc import Sequence
from dataclasses import replace

from application.ports.sessions import SessionRepository, UsedToken
from domain.identity.session import (
    Device,
    Session,
    SessionEnd,
    SignInMethod,
    Standing,
    end_of,
)
from domain.shared.ids import SessionId, UserId
from tests.fakes.persistence.database import RefreshRow, TransactionRefused
from tests.fakes.persistence.database import Session as Opened


class InMemorySessions(SessionRepository):
    """The sessions of the session's person, and whose token it is that one can name."""

    def __init__(self, session: Opened) -> None:
        self._session = session

    async def open(self, session: Session, digest: str) -> None:
        self._session.require_own(session.user_id)
        if session.id in self._sessions or digest in self._tokens:
            raise self._session.refused(TransactionRefused("the id or token is taken"))
        self._sessions[session.id] = session
        self._tokens[digest] = RefreshRow(
            digest=digest, session_id=session.id, user_id=session.user_id, generation=1
        )

    async def standing(self, session_id: SessionId) -> Standing | None:
        session = self._sessions.get(session_id)
        if session is None or session.user_id != self._session.tenant:
            return None
        user = self._session.tables.users[session.user_id]
        return Standing(
            session=session,
            account_version=user.session_version,
            role=user.role,
            is_active=user.is_active,
        )

    async def live(self) -> Sequence[Session]:
        found = [each for each in self._sessions.values() if await self._goes_on(each.id)]
        return sorted(found, key=lambda each: (each.last_used_at, each.id), reverse=True)

    async def holder(self, digest: str) -> UserId | None:
        row = self._tokens.get(digest)
        return None if row is None else row.user_id

    async def of_token(self, digest: str) -> SessionId | None:
        row = self._tokens.get(digest)
        return row.session_id if row and row.user_id == self._session.tenant else None

    async def rotate(
        self, digest: str, *, salt: bytes, successor: str, device: Device
    ) -> Session | None:
        row = self._tokens.get(digest)
        if row is None or row.used_at is not None or not await self._goes_on(row.session_id):
            return None
        now = self._session.now
        self._tokens[digest] = replace(row, used_at=now, salt=salt)
        self._tokens[successor] = RefreshRow(
            digest=successor,
            session_id=row.session_id,
            user_id=row.user_id,
            generation=row.generation + 1,
        )
        before = self._sessions[row.session_id]
        changed = replace(
            before, device=device, last_used_at=now, expires_at=end_of(before.created_at, now)
        )
        self._sessions[row.session_id] = changed
        return changed

    async def used(self, digest: str) -> UsedToken | None:
        row = self._tokens.get(digest)
        if row is None or row.used_at is None or not await self._goes_on(row.session_id):
            return None
        next_ = next(
            each
            for each in self._tokens.values()
            if (each.session_id, each.generation) == (row.session_id, row.generation + 1)
        )
        return UsedToken(
            session_id=row.session_id,
            used_for=self._session.now - row.used_at,
            salt=row.salt,
            successor=next_.digest,
            successor_used=next_.used_at is not None,
        )

    async def prove(self, session_id: SessionId, method: SignInMethod) -> None:
        session = self._sessions.get(session_id)
        if session is not None and session.user_id == self._session.tenant:
            self._sessions[session_id] = replace(
                session,
                methods=session.methods | {method},
                authenticated_at=self._session.now,
            )

    async def end(self, session_id: SessionId, reason: SessionEnd) -> bool:
        if not await self._goes_on(session_id):
            return False
        self._end(session_id, reason)
        return True

    async def end_all(self, reason: SessionEnd, *, but: SessionId | None = None) -> int:
        tenant = self._session.tenant
        user = self._session.tables.users[tenant]
        version = user.session_version + 1
        self._session.tables.users[tenant] = replace(user, session_version=version)
        ended = 0
        for session in list(self._sessions.values()):
            if session.user_id != tenant or session.ended_at is not None:
                continue
            if session.id == but and session.version == version - 1:
                self._sessions[session.id] = replace(session, version=version)
            else:
                self._end(session.id, reason)
                ended += 1
        return ended

    async def _goes_on(self, session_id: SessionId) -> bool:
        standing = await self.standing(session_id)
        return standing is not None and standing.live(self._session.now)

    def _end(self, session_id: SessionId, reason: SessionEnd) -> None:
        session = self._sessions[session_id]
        self._sessions[session_id] = replace(session, ended_at=self._session.now, ended_by=reason)

    @property
    def _sessions(self) -> dict[SessionId, Session]:
        return self._session.tables.sessions

    @property
    def _tokens(self) -> dict[str, RefreshRow]:
        return self._session.tables.refresh_tokens
