"""Due mail and links, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from application.ports.mail import (
    DueMail,
    DueNotice,
    LinkRepository,
    MailQueue,
    MailRepository,
)
from domain.identity.mail import Link, LinkPurpose, MailKind
from domain.shared.ids import UserId
from tests.fakes.persistence.database import InMemoryDatabase, LinkRow, MailRow, Session


class InMemoryMails(MailRepository):
    """What is added."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(
        self, mail_id: UUID, kind: MailKind, sealed: bytes, *, user_id: UserId | None = None
    ) -> None:
        now = self._session.now
        self._session.tables.mails.setdefault(
            mail_id,
            MailRow(
                mail=DueMail(
                    id=mail_id,
                    kind=kind,
                    sealed=sealed,
                    user_id=user_id,
                    attempts=0,
                    created_at=now,
                ),
                due_at=now,
            ),
        )


class InMemoryLinks(LinkRepository):
    """Whichever link one can name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, link: Link) -> None:
        same = (link.email, link.purpose, link.user_id)
        for digest, row in list(self._links.items()):
            of = (row.link.email, row.link.purpose, row.link.user_id)
            if of == same and digest != link.digest and row.used_at is None:
                self._links[digest] = replace(row, used_at=self._session.now)
        self._links.setdefault(link.digest, LinkRow(link=link))

    async def waiting(self, email: str) -> Link | None:
        found = [
            row.link
            for row in self._links.values()
            if (row.link.email, row.link.purpose) == (email, LinkPurpose.CONFIRM_REGISTRATION)
            and row.good(self._session.now)
        ]
        return found[-1] if found else None

    async def find(self, digest: str, purpose: LinkPurpose) -> Link | None:
        row = self._links.get(digest)
        if row is None or row.link.purpose is not purpose or not row.good(self._session.now):
            return None
        return row.link

    async def use(self, digest: str, purpose: LinkPurpose) -> bool:
        if await self.find(digest, purpose) is None:
            return False
        self._links[digest] = replace(self._links[digest], used_at=self._session.now)
        return True

    async def withdraw(self, user_id: UserId) -> None:
        for digest, row in list(self._links.items()):
            if row.link.user_id == user_id:
                del self._links[digest]

    async def forget(self, user_id: UserId, email: str) -> None:
        for digest, row in list(self._links.items()):
            if row.link.user_id == user_id or row.link.email == email:
                del self._links[digest]

    @property
    def _links(self) -> dict[str, LinkRow]:
        return self._session.tables.links


class InMemoryMailQueue(MailQueue):
    """The due rows of everybody."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def claim(self, limit: int, lease: timedelta) -> Sequence[DueMail]:
        claimed = []
        async with self._database.session(None) as session:
            for row in list(session.tables.mails.values())[:limit]:
                if row.outcome is None and row.due_at <= session.now:
                    mail = replace(row.mail, attempts=row.mail.attempts + 1)
                    session.tables.mails[mail.id] = replace(
                        row, mail=mail, due_at=session.now + lease
                    )
                    claimed.append(mail)
        return claimed

    async def done(self, mail_id: UUID, outcome: str) -> None:
        async with self._database.session(None) as session:
            row = session.tables.mails[mail_id]
            session.tables.mails[mail_id] = replace(
                row, outcome=outcome, mail=replace(row.mail, sealed=b"")
            )

    async def put_off(self, mail_id: UUID, wait: timedelta, error: str) -> None:
        async with self._database.session(None) as session:
            row = session.tables.mails[mail_id]
            session.tables.mails[mail_id] = replace(row, due_at=session.now + wait)

    async def give_up(self, mail_id: UUID, error: str) -> None:
        await self.done(mail_id, f"given up: {error}")

    async def forget(self, limit: int) -> int:
        return 0

    async def notices(self, limit: int) -> Sequence[DueNotice]:
        return []

    async def noticed(self, notice_id: UUID) -> None:
        """None is ever due here."""
