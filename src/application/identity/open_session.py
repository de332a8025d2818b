"""Open a session for somebody who has proved who they are."""

from collections.abc import Iterable
from dataclasses import dataclass

from application.ports.clock import Clock, IdMaker
from application.ports.persistence import Transaction
from application.ports.security import AccessToken, AccessTokens
from application.ports.sessions import RefreshTokens
from domain.identity.session import ActingSession, Device, Session, SignInMethod, end_of
from domain.identity.user import User
from domain.shared.ids import SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A person with a session, and its tokens: both are secrets."""

    user: User
    session: Session
    access: AccessToken
    refresh: str


@dataclass(frozen=True, slots=True)
class SessionOpener:
    """Opens sessions, whatever the way somebody signed in by."""

    tokens: AccessTokens
    refresh: RefreshTokens
    clock: Clock
    ids: IdMaker

    async def __call__(
        self, tx: Transaction, user: User, methods: Iterable[SignInMethod], device: Device
    ) -> SignedIn:
        """A new session, in a transaction of that person's.

        ``user`` as it was read before who they are was proved: when the account's sessions are
        ended in between, this one is over from its beginning.
        """
        now = self.clock.now()
        session = Session(
            id=SessionId(self.ids.new()),
            user_id=user.id,
            version=user.session_version,
            methods=frozenset(methods),
            device=device,
            created_at=now,
            authenticated_at=now,
            last_used_at=now,
            expires_at=end_of(now, now),
        )
        refresh = self.refresh.mint()
        await tx.sessions.open(session, self.refresh.digest(refresh))
        return SignedIn(
            user=user,
            session=session,
            access=self.tokens.issue(user, acting(session)),
            refresh=refresh,
        )


def acting(session: Session) -> ActingSession:
    """The session, as requests name it."""
    return ActingSession(
        id=session.id,
        version=session.version,
        methods=session.methods,
        authenticated_at=session.authenticated_at,
    )
