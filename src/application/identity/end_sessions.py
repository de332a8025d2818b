"""Sign out: of one session, of another one, of all."""

from dataclasses import dataclass

from application.ports.keys import KeyChanges
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from application.ports.sessions import RefreshTokens
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.session import Session, SessionEnd
from domain.shared.errors import NotFound
from domain.shared.ids import SessionId, UserId


@dataclass(frozen=True, slots=True)
class SignOut:
    """Ends the session that an access token or a refresh token is of."""

    uow: UnitOfWork
    refresh: RefreshTokens
    changes: KeyChanges

    async def __call__(
        self, principal: Principal | None, refresh: str | None, origin: Origin
    ) -> int:
        """End what is shown, and say how many sessions that were.

        What opens nothing is none the worse for it.
        """
        ended = 0
        if principal is not None and principal.session is not None:
            ended += await self._end(principal.user_id, principal.session.id, origin)
        if not refresh:
            return ended
        digest = self.refresh.digest(refresh)
        async with self.uow.begin(None) as tx:
            holder = await tx.sessions.holder(digest)
        if holder is None:
            return ended
        async with self.uow.begin(holder) as tx:
            session_id = await tx.sessions.of_token(digest)
        if session_id is not None:
            ended += await self._end(holder, session_id, origin)
        return ended

    async def _end(self, user_id: UserId, session_id: SessionId, origin: Origin) -> bool:
        async with self.uow.begin(user_id) as tx:
            ended = await tx.sessions.end(session_id, SessionEnd.SIGNED_OUT)
            if ended:
                await tx.audit.record(
                    origin.as_person(user_id), acted(AuditAction.SIGNED_OUT, session_id)
                )
        if ended:
            await self.changes.announce(user_id)
        return ended


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Shows a person where they are signed in."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId) -> list[Session]:
        """The sessions that are not over, the last used first."""
        async with self.uow.begin(user_id) as tx:
            return list(await tx.sessions.live())


@dataclass(frozen=True, slots=True)
class RevokeSession:
    """Ends one of a person's sessions, wherever it is."""

    uow: UnitOfWork
    changes: KeyChanges

    async def __call__(self, user_id: UserId, session_id: SessionId, origin: Origin) -> None:
        """End it.

        Raises:
            NotFound: no such session, another person's, or over already.
        """
        async with self.uow.begin(user_id) as tx:
            if not await tx.sessions.end(session_id, SessionEnd.REVOKED):
                raise NotFound("session", session_id)
            await tx.audit.record(origin, acted(AuditAction.SESSION_REVOKED, session_id))
        await self.changes.announce(user_id)


@dataclass(frozen=True, slots=True)
class SignOutEverywhere:
    """Ends every session of a person, this one and any that is being opened with it."""

    uow: UnitOfWork
    changes: KeyChanges

    async def __call__(self, user_id: UserId, origin: Origin) -> int:
        """End them; how many."""
        async with self.uow.begin(user_id) as tx:
            ended = await tx.sessions.end_all(SessionEnd.EVERYWHERE)
            await tx.audit.record(origin, acted(AuditAction.SIGNED_OUT_EVERYWHERE, user_id))
        await self.changes.announce(user_id)
        return ended
