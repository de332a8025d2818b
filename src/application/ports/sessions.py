"""Sessions and their refresh tokens: where they are kept, and how the tokens are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.identity.session import Device, Session, SessionEnd, SignInMethod, Standing
from domain.shared.ids import SessionId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedToken:
    """A refresh token that was used: how long ago, and what followed it.

    ``successor`` is the next one's digest, ``salt`` what it was made with, and
    ``successor_used`` whether that one was used too.
    """

    session_id: SessionId
    used_for: timedelta
    salt: bytes
    successor: str
    successor_used: bool


class SessionRepository(Protocol):
    """The person's sessions. What is looked for by a digest may be anybody's."""

    async def open(self, session: Session, digest: str) -> None:
        """Keep a new session with the digest of its first refresh token."""
        ...

    async def standing(self, session_id: SessionId) -> Standing | None:
        """The session with its account, or None."""
        ...

    async def live(self) -> Sequence[Session]:
        """The sessions that are not over, the last used first."""
        ...

    async def holder(self, digest: str) -> UserId | None:
        """Whose refresh token that is: also for a transaction of nobody.

        Whoever can name the digest holds the token.
        """
        ...

    async def of_token(self, digest: str) -> SessionId | None:
        """The person's session that a refresh token is of, used or not."""
        ...

    async def rotate(
        self, digest: str, *, salt: bytes, successor: str, device: Device
    ) -> Session | None:
        """Use a refresh token up and put its successor in its place, if it is good.

        One conditional update decides: of several at once exactly one gets the session. None:
        the token was used before, is unknown, or its session is over.
        """
        ...

    async def used(self, digest: str) -> UsedToken | None:
        """A used refresh token of a session that is not over, or None."""
        ...

    async def prove(self, session_id: SessionId, method: SignInMethod) -> None:
        """Note that who acts in a session was proved once more, by that and now."""
        ...

    async def end(self, session_id: SessionId, reason: SessionEnd) -> bool:
        """End one; whether it was not over before."""
        ...

    async def end_all(self, reason: SessionEnd, *, but: SessionId | None = None) -> int:
        """Raise the account's version and end every session, ``but`` one, which gets it.

        A session that is being opened on what was known before is over too. How many were
        ended.
        """
        ...


class OldSessions(Protocol):
    """Sessions that are over, and sign-ins that came to nothing, of everybody."""

    async def delete(self, ended_for: timedelta, limit: int) -> int:
        """Delete some that have been over for so long; how many."""
        ...

    async def delete_challenges(self, limit: int) -> int:
        """Delete some sign-ins that waited in vain for their second factor; how many."""
        ...


class RefreshTokens(Protocol):
    """Makes refresh tokens, and hashes them."""

    def mint(self) -> str:
        """A new one from fresh randomness, as a session's first."""
        ...

    def salt(self) -> bytes:
        """What the next successor is made with."""
        ...

    def digest(self, token: str) -> str:
        """What is kept of a token."""
        ...

    def successors(self, token: str, salt: bytes) -> tuple[str, ...]:
        """What may follow a token under that salt, by each secret in force, the newest first.

        Nobody can compute them without a secret of ours, whatever else they have.
        """
        ...
