"""Change a password, knowing it; and set another, having the mailbox."""

from dataclasses import dataclass

from application.identity.attempts import AttemptThrottle
from application.identity.mail_desk import MAX_TOKEN_LENGTH, MailDesk, link_digest
from application.identity.mail_limits import MailLimits
from application.identity.own_account import own_account
from application.identity.password_policy import PasswordPolicy
from application.identity.reauthenticate import Proof, Reauthenticate
from application.identity.register_user import normalised_email
from application.ports.keys import KeyChanges
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.security import PasswordHasher, Principal
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.mail import LinkPurpose, LinkRefused, MailKind
from domain.identity.session import SessionEnd
from domain.shared.ids import SessionId, UserId


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """Replaces the password; every other session ends, and the person is told by mail.

    Links that were sent are good no more: whoever knew the old password may have asked for them.
    """

    uow: UnitOfWork
    hasher: PasswordHasher
    policy: PasswordPolicy
    proved: Reauthenticate
    desk: MailDesk
    changes: KeyChanges

    async def __call__(self, principal: Principal, proof: Proof, new: str, origin: Origin) -> int:
        """Replace it; how many other sessions ended.

        Raises:
            NotAuthenticated: the account is off.
            ReauthenticationFailed: something is missing or wrong.
            InvalidValue: the new one does not fit.
            RateLimited: too many have failed; it says for how long to wait.
        """
        await self.proved(principal, proof, origin)
        async with self.uow.begin(principal.user_id) as tx:
            user = await own_account(tx, principal.user_id)
        self.policy(new, user.email, field="new_password")
        password_hash = await self.hasher.hash(new)
        session = principal.session.id if principal.session else None
        async with self.uow.begin(user.id) as tx:
            ended = await _replace(
                tx,
                self.desk,
                user.id,
                password_hash,
                origin.as_person(user.id),
                AuditAction.PASSWORD_CHANGED,
                but=session,
            )
        await self.changes.announce(user.id)
        return ended


@dataclass(frozen=True, slots=True)
class AskForReset:
    """Has a link sent that sets another password, if the address has an account."""

    uow: UnitOfWork
    desk: MailDesk
    limits: MailLimits

    async def __call__(self, email: str, origin: Origin) -> None:
        """Have it sent: the same is done here whether there is an account or not.

        Raises:
            InvalidValue: it is not an email address.
            RateLimited: too much mail was asked for from there.
        """
        address = normalised_email(email)
        if not await self.limits(MailKind.PASSWORD_RESET, address, origin.address):
            return
        async with self.uow.begin(None) as tx:
            await self.desk(tx, MailKind.PASSWORD_RESET, {"email": address})


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Uses such a link up. Every session and every other link ends, and failed sign-ins are
    forgotten.
    """

    uow: UnitOfWork
    hasher: PasswordHasher
    policy: PasswordPolicy
    desk: MailDesk
    throttle: AttemptThrottle
    changes: KeyChanges

    async def __call__(self, token: str, new: str, origin: Origin) -> None:
        """Set the password.

        Raises:
            LinkRefused: unknown, used, too old, or for something else.
            InvalidValue: the password does not fit; the link stays good.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise LinkRefused
        digest = link_digest(token)
        async with self.uow.begin(None) as tx:
            link = await tx.links.find(digest, LinkPurpose.RESET_PASSWORD)
        if link is None or link.user_id is None:
            raise LinkRefused
        self.policy(new, link.email)
        password_hash = await self.hasher.hash(new)
        async with self.uow.begin(link.user_id) as tx:
            user = await tx.users.get(link.user_id)
            if user is None or not user.is_active or user.email != link.email:
                raise LinkRefused
            if not await tx.links.use(digest, link.purpose):
                raise LinkRefused
            await _replace(
                tx,
                self.desk,
                user.id,
                password_hash,
                origin.as_person(user.id),
                AuditAction.PASSWORD_RESET,
                but=None,
            )
            # Who reads its mail has the address.
            await tx.users.set_email(user.id, user.email)
        await self.changes.announce(user.id)
        await self.throttle.forget(user.email, origin.address)


async def _replace(
    tx: Transaction,
    desk: MailDesk,
    user_id: UserId,
    password_hash: str,
    origin: Origin,
    action: AuditAction,
    *,
    but: SessionId | None,
) -> int:
    await tx.users.set_password_hash(user_id, password_hash)
    ended = await tx.sessions.end_all(SessionEnd.CREDENTIALS_CHANGED, but=but)
    await tx.links.withdraw(user_id)
    await tx.audit.record(origin, acted(action, user_id))
    await desk(tx, MailKind.PASSWORD_CHANGED, {}, user_id=user_id)
    return ended
