"""Mail that is due, and single-use links."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import rows_of, with_retries
from adapters.postgres.tables import account_links, mails, notices
from application.ports.mail import DueMail, DueNotice
from domain.identity.mail import Link, LinkPurpose, MailKind
from domain.shared.ids import UserId

_NAMING = text("SELECT set_config('app.link_digest', :digest, true)")
_ADDRESSING = text("SELECT set_config('app.link_email', :email, true)")
_GOOD = account_links.c.used_at.is_(None) & (account_links.c.expires_at > func.now())
_KEEP = timedelta(days=30)


class PostgresMails:
    """The ``MailRepository`` of one transaction, which cannot read what it writes."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self, mail_id: UUID, kind: MailKind, sealed: bytes, *, user_id: UserId | None = None
    ) -> None:
        await self._connection.execute(
            upsert(mails)
            .values(id=mail_id, kind=kind.value, sealed=sealed, user_id=user_id)
            # Without a target, which would have to be read.
            .on_conflict_do_nothing()
            .inline()
        )


class PostgresLinks:
    """The ``LinkRepository`` of one transaction. A policy shows the one that is named."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, link: Link) -> None:
        await self._connection.execute(_ADDRESSING, {"email": link.email})
        # What was sent before for the same is of no use any more.
        await self._connection.execute(
            update(account_links)
            .where(
                account_links.c.email == link.email,
                account_links.c.purpose == link.purpose.value,
                account_links.c.user_id.is_not_distinct_from(link.user_id),
                account_links.c.digest != link.digest,
                account_links.c.used_at.is_(None),
            )
            .values(used_at=func.now())
        )
        await self._connection.execute(
            upsert(account_links)
            .values(
                digest=link.digest,
                purpose=link.purpose.value,
                email=link.email,
                user_id=link.user_id,
                name=link.name,
                password=link.password_hash,
                expires_at=link.expires_at,
            )
            .on_conflict_do_nothing()
            .inline()
        )

    async def waiting(self, email: str) -> Link | None:
        await self._connection.execute(_ADDRESSING, {"email": email})
        rows = await self._connection.execute(
            select(account_links)
            .where(
                account_links.c.email == email,
                account_links.c.purpose == LinkPurpose.CONFIRM_REGISTRATION.value,
                _GOOD,
            )
            .order_by(account_links.c.created_at.desc())
            .limit(1)
        )
        return _link(rows.one_or_none())

    async def find(self, digest: str, purpose: LinkPurpose) -> Link | None:
        await self._connection.execute(_NAMING, {"digest": digest})
        rows = await self._connection.execute(
            select(account_links).where(
                account_links.c.digest == digest, account_links.c.purpose == purpose.value, _GOOD
            )
        )
        return _link(rows.one_or_none())

    async def use(self, digest: str, purpose: LinkPurpose) -> bool:
        await self._connection.execute(_NAMING, {"digest": digest})
        used = await self._connection.scalar(
            update(account_links)
            .where(
                account_links.c.digest == digest, account_links.c.purpose == purpose.value, _GOOD
            )
            .values(used_at=func.now())
            .returning(account_links.c.digest)
        )
        return used is not None

    async def withdraw(self, user_id: UserId) -> None:
        await self._connection.execute(
            delete(account_links).where(account_links.c.user_id == user_id)
        )

    async def forget(self, user_id: UserId, email: str) -> None:
        await self._connection.execute(_ADDRESSING, {"email": email})
        await self._connection.execute(
            delete(account_links).where(
                or_(account_links.c.user_id == user_id, account_links.c.email == email)
            )
        )


class PostgresMailQueue:
    """The ``MailQueue`` over the ``dispatch`` role's engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, limit: int, lease: timedelta) -> Sequence[DueMail]:
        due = (
            select(mails.c.id)
            .where(mails.c.done_at.is_(None), mails.c.due_at <= func.now())
            .order_by(mails.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = await self._changed(
            update(mails)
            .where(mails.c.id.in_(due.scalar_subquery()))
            .values(due_at=func.now() + lease, attempts=mails.c.attempts + 1)
            .returning(mails)
        )
        return [
            DueMail(
                id=row.id,
                kind=MailKind(row.kind),
                sealed=row.sealed,
                user_id=None if row.user_id is None else UserId(row.user_id),
                attempts=row.attempts,
                created_at=row.created_at,
            )
            for row in rows
        ]

    async def done(self, mail_id: UUID, outcome: str) -> None:
        await self._changed(
            update(mails)
            .where(mails.c.id == mail_id)
            .values(done_at=func.now(), outcome=outcome, sealed=b"")
        )

    async def put_off(self, mail_id: UUID, wait: timedelta, error: str) -> None:
        await self._changed(
            update(mails)
            .where(mails.c.id == mail_id, mails.c.done_at.is_(None))
            .values(due_at=func.now() + wait, outcome=error[:500])
        )

    async def give_up(self, mail_id: UUID, error: str) -> None:
        await self.done(mail_id, f"given up: {error[:500]}")

    async def forget(self, limit: int) -> int:
        old = select(mails.c.id).where(mails.c.done_at < func.now() - _KEEP).limit(limit)
        gone = await self._changed(delete(mails).where(mails.c.id.in_(old)).returning(mails.c.id))
        over = (
            select(account_links.c.digest)
            .where(account_links.c.expires_at < func.now() - timedelta(days=1))
            .limit(limit)
        )
        links = await self._changed(
            delete(account_links)
            .where(account_links.c.digest.in_(over))
            .returning(account_links.c.digest)
        )
        return len(gone) + len(links)

    async def notices(self, limit: int) -> Sequence[DueNotice]:
        async def read() -> Sequence[DueNotice]:
            async with self._engine.connect() as connection:
                rows = await connection.execute(
                    select(notices.c.id, notices.c.user_id, notices.c.kind, notices.c.data)
                    .where(notices.c.sent_at.is_(None))
                    .order_by(notices.c.created_at)
                    .limit(limit)
                )
                return [
                    DueNotice(id=row.id, user_id=UserId(row.user_id), kind=row.kind, data=row.data)
                    for row in rows
                ]

        return await with_retries(read)

    async def noticed(self, notice_id: UUID) -> None:
        await self._changed(
            update(notices).where(notices.c.id == notice_id).values(sent_at=func.now())
        )

    async def _changed(self, statement: Any) -> Sequence[Row[Any]]:
        return await rows_of(self._engine, statement)


def _link(row: Row[Any] | None) -> Link | None:
    if row is None:
        return None
    return Link(
        digest=row.digest,
        purpose=LinkPurpose(row.purpose),
        email=row.email,
        expires_at=row.expires_at,
        user_id=None if row.user_id is None else UserId(row.user_id),
        name=row.name,
        password_hash=row.password,
    )
