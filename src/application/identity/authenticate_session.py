"""Find out whether the session of an access token goes on."""

from dataclasses import dataclass
from datetime import datetime

from application.identity.account_cache import AccountCache
from application.identity.open_session import acting
from application.ports.clock import Clock
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from domain.identity.second_factor import SECOND_FACTORS
from domain.identity.session import Standing
from domain.identity.user import NotAuthenticated, Role
from domain.shared.ids import SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSession:
    """A session that goes on: whom it lets act as what, and until when at most."""

    principal: Principal
    expires_at: datetime


class SessionCache(AccountCache[SessionId, KnownSession]):
    """Sessions by their id."""


@dataclass(frozen=True, slots=True)
class AuthenticateSession:
    """Says who acts in a session: from memory, or by looking it up.

    A refusal is never given from memory. Roles in ``second_factor_for`` are restricted in a
    session that was not proved by a second factor.
    """

    uow: UnitOfWork
    cache: SessionCache
    clock: Clock
    second_factor_for: frozenset[Role] = frozenset()

    def remembered(self, claimed: Principal) -> Principal | None:
        """Who acts, if this process knows that the session goes on."""
        if claimed.session is None:
            return None
        known = self.cache.get(claimed.session.id)
        if known is None or known.expires_at <= self.clock.now():
            return None
        return _if_of(known, claimed)

    async def __call__(self, claimed: Principal) -> Principal:
        """Who acts, with the role they have now, by looking the session up.

        Raises:
            NotAuthenticated: the session is over, or the account is off.
            DatabaseUnavailable: it could not be looked up.
        """
        if claimed.session is None:
            raise NotAuthenticated(_OVER)
        epoch = self.cache.epoch
        async with self.uow.begin(claimed.user_id) as tx:
            standing = await tx.sessions.standing(claimed.session.id)
        if standing is None or not standing.live(self.clock.now()):
            raise NotAuthenticated(_OVER)
        known = self._known(standing)
        principal = _if_of(known, claimed)
        if principal is None:
            raise NotAuthenticated(_OVER)
        self.cache.put(claimed.session.id, claimed.user_id, known, epoch)
        return principal

    def _known(self, standing: Standing) -> KnownSession:
        session = standing.session
        proved = bool(session.methods & SECOND_FACTORS)
        return KnownSession(
            principal=Principal(
                user_id=session.user_id,
                role=standing.role,
                session=acting(session),
                restricted=standing.role in self.second_factor_for and not proved,
            ),
            expires_at=session.expires_at,
        )


def _if_of(known: KnownSession, claimed: Principal) -> Principal | None:
    """Who acts, if that is who the token says, in the account's present version."""
    session, token = known.principal.session, claimed.session
    if session is None or token is None or known.principal.user_id != claimed.user_id:
        return None
    return known.principal if token.version == session.version else None


_OVER = "This session is over. Sign in again."
