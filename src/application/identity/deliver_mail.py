"""Send what is due by mail, and make mail of notices."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from application.identity.mail_desk import MailDesk, link_digest
from application.ports.mail import (
    DueMail,
    Letter,
    LetterWriter,
    MailQueue,
    MailRefused,
    MailSender,
    MailUndelivered,
)
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.security import SecretUnreadable
from domain.identity.mail import LASTS, Link, LinkPurpose, MailKind
from domain.identity.user import User

log = structlog.get_logger(__name__)

BATCH = 20
LEASE = timedelta(minutes=2)
"""Longer than a server may take; past it a crashed process's mail is sent by another."""

WAITS = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 3_600, 14_400, 43_200))
"""Between tries; after the last the mail is given up, some seventeen hours after the first."""


@dataclass(frozen=True, slots=True)
class DeliverMail:
    """Claims due mail, finds out what is to be said, and sends it.

    Whether an account exists decides here what is sent, and not in the request that asked, which
    writes the same row in either case. A mail is at least tried once and, when a
    process dies between the server's taking it and our noting that, taken twice: with the same
    ``Message-ID``.
    """

    queue: MailQueue
    uow: UnitOfWork
    desk: MailDesk
    writer: LetterWriter
    sender: MailSender
    public_url: str

    async def __call__(self) -> int:
        """Send a batch; how many rows were looked at."""
        due = await self.queue.claim(BATCH, LEASE)
        for mail in due:
            await self._deliver(mail)
        return len(due)

    async def _deliver(self, mail: DueMail) -> None:
        try:
            letter = await self._letter(mail, self.desk.read(mail.id, mail.sealed))
        except SecretUnreadable as error:
            await self.queue.give_up(mail.id, str(error))
            return
        if letter is None:
            await self.queue.done(mail.id, "nothing")
            return
        try:
            await self.sender.send(self.writer.write(mail.id, letter))
        except MailRefused as error:
            log.warning("mail refused", mail_id=str(mail.id), kind=mail.kind, error=str(error))
            await self.queue.give_up(mail.id, str(error))
        except MailUndelivered as error:
            if mail.attempts > len(WAITS):
                await self.queue.give_up(mail.id, str(error))
            else:
                await self.queue.put_off(mail.id, WAITS[mail.attempts - 1], str(error))
        else:
            await self.queue.done(mail.id, letter.template)

    async def _letter(self, mail: DueMail, data: dict[str, str | int]) -> Letter | None:
        match mail.kind:
            case MailKind.REGISTRATION | MailKind.CONFIRMATION_AGAIN:
                return await self._of_registration(mail, data)
            case MailKind.PASSWORD_RESET:
                return await self._of_reset(mail, data)
            case MailKind.EMAIL_CHANGE:
                return await self._of_change(mail, data)
            case _:
                return await self._of_fact(mail, data)

    async def _of_registration(self, mail: DueMail, data: dict[str, str | int]) -> Letter | None:
        email = str(data["email"])
        async with self.uow.begin(None) as tx:
            user = await tx.users.by_email(email)
            if user is not None and user.email_verified_at is None and user.is_active:
                link = _link(mail, data, email, LinkPurpose.CONFIRM_ADDRESS, user)
                return await self._linked(tx, link, data, "confirm_address")
            if user is not None:
                told: dict[str, str | int] = {"sign_in": self.public_url}
                return Letter(to=email, template="already_registered", data=told)
            link = _link(mail, data, email, LinkPurpose.CONFIRM_REGISTRATION)
            if mail.kind is MailKind.CONFIRMATION_AGAIN:
                waiting = await tx.links.waiting(email)
                if waiting is None:
                    return None
                link = _link(
                    mail, data, email, waiting.purpose, None, waiting.name, waiting.password_hash
                )
            return await self._linked(tx, link, data, "confirm_registration")

    async def _of_reset(self, mail: DueMail, data: dict[str, str | int]) -> Letter | None:
        email = str(data["email"])
        async with self.uow.begin(None) as tx:
            user = await tx.users.by_email(email)
            if user is None or not user.is_active:
                return None
            link = _link(mail, data, email, LinkPurpose.RESET_PASSWORD, user)
            return await self._linked(tx, link, data, "reset_password")

    async def _of_change(self, mail: DueMail, data: dict[str, str | int]) -> Letter | None:
        email = str(data["email"])
        if mail.user_id is None:
            return None
        async with self.uow.begin(mail.user_id) as tx:
            if await tx.users.by_email(email) is not None:
                told: dict[str, str | int] = {"sign_in": self.public_url}
                return Letter(to=email, template="already_registered", data=told)
            user = await tx.users.get(mail.user_id)
            if user is None or not user.is_active:
                return None
            if data.get("version", user.session_version) != user.session_version:
                return None  # the account's sessions were ended since it was asked for
            link = _link(mail, data, email, LinkPurpose.CHANGE_EMAIL, user)
            return await self._linked(tx, link, data, "change_email")

    async def _of_fact(self, mail: DueMail, data: dict[str, str | int]) -> Letter | None:
        to = data.get("to")
        if to is None:
            if mail.user_id is None:
                return None
            async with self.uow.begin(mail.user_id) as tx:
                user = await tx.users.get(mail.user_id)
            if user is None or not user.is_active:
                return None
            to = user.email
        said = {name: value for name, value in data.items() if name != "token"}
        return Letter(to=str(to), template=mail.kind.value, data=said)

    async def _linked(
        self, tx: Transaction, link: Link, data: dict[str, str | int], template: str
    ) -> Letter:
        await tx.links.add(link)
        page = link.purpose.value.replace("_", "-")
        # Behind the hash sign, which no browser sends on: not to us, nor to whom a page refers.
        url = f"{self.public_url}/{page}#token={data['token']}"
        hours = int(LASTS[link.purpose].total_seconds() // 3600)
        return Letter(
            to=link.email,
            template=template,
            data={"url": url, "code": data["token"], "hours": hours},
        )


@dataclass(frozen=True, slots=True)
class MailNotices:
    """Makes mail of notices, once of each."""

    queue: MailQueue
    uow: UnitOfWork
    desk: MailDesk

    async def __call__(self) -> int:
        """Make mail of a batch; how many."""
        due = await self.queue.notices(BATCH)
        for notice in due:
            async with self.uow.begin(notice.user_id) as tx:
                # By the notice's own id: a second time changes nothing.
                await self.desk(
                    tx,
                    MailKind.NOTICE,
                    {"kind": notice.kind, **notice.data},
                    user_id=notice.user_id,
                    mail_id=notice.id,
                )
            await self.queue.noticed(notice.id)
        return len(due)


@dataclass(frozen=True, slots=True)
class ForgetMail:
    """Deletes mail that was sent, and links that are over."""

    queue: MailQueue

    async def __call__(self) -> int:
        """Delete a batch; how many."""
        return await self.queue.forget(500)


def _link(
    mail: DueMail,
    data: Mapping[str, str | int],
    email: str,
    purpose: LinkPurpose,
    user: User | None = None,
    name: str | None = None,
    password_hash: str | None = None,
) -> Link:
    return Link(
        digest=link_digest(str(data["token"])),
        purpose=purpose,
        email=email,
        expires_at=mail.created_at + LASTS[purpose],
        user_id=None if user is None else user.id,
        name=str(data.get("name", "")) if name is None else name,
        password_hash=(
            str(data.get("password_hash", "")) if password_hash is None else password_hash
        ),
    )
