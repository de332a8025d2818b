"""Mail: due rows, what they are rendered to, and who sends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.identity.mail import Link, LinkPurpose, MailKind
from domain.shared.ids import UserId


class MailRepository(Protocol):
    """Mail that is due, added with what it tells of. No tenant reads it again."""

    async def add(
        self, mail_id: UUID, kind: MailKind, sealed: bytes, *, user_id: UserId | None = None
    ) -> None:
        """Keep it, once by its id. Also for a transaction of nobody."""
        ...


class LinkRepository(Protocol):
    """Single-use links. Who names a digest holds the link: also for a transaction of nobody."""

    async def add(self, link: Link) -> None:
        """Keep it, once by its digest, in place of older ones of its purpose and account."""
        ...

    async def waiting(self, email: str) -> Link | None:
        """The registration of that address that waits for its confirmation."""
        ...

    async def find(self, digest: str, purpose: LinkPurpose) -> Link | None:
        """The link, if it could be used now."""
        ...

    async def use(self, digest: str, purpose: LinkPurpose) -> bool:
        """Use it up. One conditional update decides: of several at once exactly one may go on."""
        ...

    async def withdraw(self, user_id: UserId) -> None:
        """Delete every link of the transaction's person, so that none is good any more."""
        ...

    async def forget(self, user_id: UserId, email: str) -> None:
        """Delete every link, used or not, of the transaction's person and of that address."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMail:
    """A mail that was claimed. ``attempts`` counts this one too."""

    id: UUID
    kind: MailKind
    sealed: bytes
    user_id: UserId | None
    attempts: int
    created_at: datetime


class MailQueue(Protocol):
    """The due rows of everybody. A claim is committed on its own, and lapses by itself."""

    async def claim(self, limit: int, lease: timedelta) -> Sequence[DueMail]:
        """Take some that are due; nobody else gets them for so long."""
        ...

    async def done(self, mail_id: UUID, outcome: str) -> None:
        """It was sent, or nothing was to be: what was in it is forgotten."""
        ...

    async def put_off(self, mail_id: UUID, wait: timedelta, error: str) -> None:
        """Try again after so long."""
        ...

    async def give_up(self, mail_id: UUID, error: str) -> None:
        """It cannot be sent: what was in it is forgotten."""
        ...

    async def forget(self, limit: int) -> int:
        """Delete some rows, and links, that are of no use any more; how many."""
        ...

    async def notices(self, limit: int) -> Sequence["DueNotice"]:
        """Notices that no mail was made of yet."""
        ...

    async def noticed(self, notice_id: UUID) -> None:
        """A mail was made of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueNotice:
    """A notice to be sent."""

    id: UUID
    user_id: UserId
    kind: str
    data: Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is to be said to whom, by the name of its template."""

    to: str
    template: str
    data: Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A mail as it is sent. ``id`` is the same at each try, so that a receiver can tell."""

    id: UUID
    to: str
    subject: str
    text: str
    html: str


class LetterWriter(Protocol):
    """Renders letters."""

    def write(self, mail_id: UUID, letter: Letter) -> Message:
        """The message, in text and HTML."""
        ...


class MailSender(Protocol):
    """Hands messages to a mail server."""

    async def send(self, message: Message) -> None:
        """Send it.

        Raises:
            MailRefused: it will never be taken.
            MailUndelivered: it may be taken later; or it was, and the answer was lost.
        """
        ...


class MailRefused(Exception):
    """The server takes this message from nobody, or for nobody."""


class MailUndelivered(Exception):
    """The server is away, or does not take the message now."""


class BreachedPasswords(Protocol):
    """Passwords that everybody tries."""

    def knows(self, password: str) -> bool:
        """Whether it is among them."""
        ...
