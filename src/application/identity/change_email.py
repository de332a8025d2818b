"""Change the address of an account: confirmed at the new one, told to the old one."""

from dataclasses import dataclass

from application.identity.mail_desk import MAX_TOKEN_LENGTH, MailDesk, link_digest
from application.identity.mail_limits import MailLimits
from application.identity.own_account import own_account
from application.identity.reauthenticate import Proof, Reauthenticate
from application.identity.register_user import normalised_email
from application.ports.keys import KeyChanges
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.mail import LinkPurpose, LinkRefused, MailKind
from domain.identity.session import SessionEnd
from domain.identity.user import EmailTaken


@dataclass(frozen=True, slots=True)
class AskToChangeEmail:
    """Has a link sent to the new address. Whether another account has it is not told.

    Who asks may be a thief, whom the owner then shuts out: the link is made only while the
    account's sessions are as they were (:class:`DeliverMail`), and ends with the password.
    """

    uow: UnitOfWork
    proved: Reauthenticate
    desk: MailDesk
    limits: MailLimits

    async def __call__(
        self, principal: Principal, proof: Proof, email: str, origin: Origin
    ) -> None:
        """Have it sent.

        Raises:
            InvalidValue: it is not an email address.
            NotAuthenticated: the account is off.
            ReauthenticationFailed: something is missing or wrong.
            RateLimited: too many have failed, or too much mail was asked for.
        """
        address = normalised_email(email)
        await self.proved(principal, proof, origin)
        if not await self.limits(MailKind.EMAIL_CHANGE, address, origin.address):
            return
        user_id = principal.user_id
        async with self.uow.begin(user_id) as tx:
            user = await own_account(tx, user_id)
            asked: dict[str, str | int] = {"email": address, "version": user.session_version}
            await self.desk(tx, MailKind.EMAIL_CHANGE, asked, user_id=user_id)


@dataclass(frozen=True, slots=True)
class ConfirmEmail:
    """Uses such a link up. Every session and every other link ends: the account has another name
    now.
    """

    uow: UnitOfWork
    desk: MailDesk
    changes: KeyChanges

    async def __call__(self, token: str, origin: Origin) -> None:
        """Change the address.

        Raises:
            LinkRefused: unknown, used, too old, or the address has an account by now.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise LinkRefused
        digest = link_digest(token)
        async with self.uow.begin(None) as tx:
            link = await tx.links.find(digest, LinkPurpose.CHANGE_EMAIL)
        if link is None or link.user_id is None:
            raise LinkRefused
        try:
            async with self.uow.begin(link.user_id) as tx:
                user = await tx.users.get(link.user_id)
                if user is None or not user.is_active:
                    raise LinkRefused
                if not await tx.links.use(digest, link.purpose):
                    raise LinkRefused
                await tx.users.set_email(user.id, link.email)
                await tx.sessions.end_all(SessionEnd.CREDENTIALS_CHANGED)
                await tx.links.withdraw(user.id)
                await tx.audit.record(
                    origin.as_person(user.id),
                    acted(
                        AuditAction.EMAIL_CHANGED,
                        user.id,
                        before={"email": user.email},
                        after={"email": link.email},
                    ),
                )
                told = {"to": user.email, "new_email": link.email}
                await self.desk(tx, MailKind.EMAIL_CHANGED, told, user_id=user.id)
        except EmailTaken as error:
            raise LinkRefused from error
        await self.changes.announce(link.user_id)
