"""Go on with a session: a refresh token for the next one, and a fresh access token."""

from dataclasses import dataclass

import structlog

from application.identity.open_session import SignedIn, acting
from application.ports.keys import KeyChanges
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.security import AccessTokens
from application.ports.sessions import RefreshTokens, UsedToken
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.session import GRACE, Device, RefreshRefused, Session, SessionEnd
from domain.shared.ids import UserId

log = structlog.get_logger(__name__)

MAX_TOKEN_LENGTH = 128


@dataclass(frozen=True, slots=True)
class RefreshSession:
    """Uses a refresh token up and gives its successor.

    A token that is sent a second time is in two hands, so its whole session ends (RFC 9700
    §4.14.2), in a transaction of its own that no later error undoes.

    But a reply can be lost, and two tabs can ask at once. So for :data:`GRACE` after its use,
    and only while its successor is unused, a token gives **the same successor** again. That
    opens no second line of tokens: whoever else holds the token gets what its owner got, and of
    the two the second to use that successor, later than the grace, ends the session for both,
    as without a grace. A thief gains at most that he may come those seconds late. A token
    whose successor was used is refused at once, within the grace too.
    """

    uow: UnitOfWork
    refresh: RefreshTokens
    tokens: AccessTokens
    changes: KeyChanges

    async def __call__(self, token: str, device: Device, origin: Origin) -> SignedIn:
        """The session's next tokens.

        Raises:
            RefreshRefused: the token is unknown, was used before, or its session is over.
        """
        if not token or len(token) > MAX_TOKEN_LENGTH:
            raise RefreshRefused(_REFUSED)
        digest = self.refresh.digest(token)
        async with self.uow.begin(None) as tx:
            holder = await tx.sessions.holder(digest)
        if holder is None:
            raise RefreshRefused(_REFUSED)
        salt = self.refresh.salt()
        successor = self.refresh.successors(token, salt)[0]
        async with self.uow.begin(holder) as tx:
            session = await tx.sessions.rotate(
                digest, salt=salt, successor=self.refresh.digest(successor), device=device
            )
            if session is not None:
                return await self._signed_in(tx, session, successor)
            used = await tx.sessions.used(digest)
            if used is None:
                raise RefreshRefused(_REFUSED)
            again = self._again(token, used)
            standing = await tx.sessions.standing(used.session_id)
            if again is not None and standing is not None:
                return await self._signed_in(tx, standing.session, again)
        await self._reused(holder, used, device, origin)
        raise RefreshRefused(_REFUSED)

    def _again(self, token: str, used: UsedToken) -> str | None:
        """The successor that was given before, if it may be given again."""
        if used.successor_used or used.used_for > GRACE:
            return None
        return next(
            (
                successor
                for successor in self.refresh.successors(token, used.salt)
                if self.refresh.digest(successor) == used.successor
            ),
            None,
        )

    async def _signed_in(self, tx: Transaction, session: Session, refresh: str) -> SignedIn:
        user = await tx.users.get(session.user_id)
        if user is None:
            raise RefreshRefused(_REFUSED)
        return SignedIn(
            user=user,
            session=session,
            access=self.tokens.issue(user, acting(session)),
            refresh=refresh,
        )

    async def _reused(
        self, holder: UserId, used: UsedToken, device: Device, origin: Origin
    ) -> None:
        async with self.uow.begin(holder) as tx:
            # Of several that show it at once one ends the session, and that is written once.
            if await tx.sessions.end(used.session_id, SessionEnd.REUSED):
                await tx.audit.record(
                    origin, acted(AuditAction.REFRESH_TOKEN_REUSED, used.session_id)
                )
        await self.changes.announce(holder)
        log.warning(
            "refresh token reused",
            session_id=str(used.session_id),
            user_id=str(holder),
            address=device.address,
        )


_REFUSED = "This refresh token is not valid any more. Sign in again."
