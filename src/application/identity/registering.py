"""Register: ask for an account, and confirm the address it is for."""

from dataclasses import dataclass

from application.identity.attempts import AttemptThrottle
from application.identity.mail_desk import MAX_TOKEN_LENGTH, MailDesk, link_digest
from application.identity.mail_limits import MailLimits
from application.identity.open_account import AccountOpener
from application.identity.password_policy import PasswordPolicy
from application.identity.register_user import RegisterUser, Registration, normalised_email
from application.ports.persistence import UnitOfWork
from application.ports.security import PasswordHasher
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.mail import Link, LinkPurpose, LinkRefused, MailKind
from domain.identity.user import EmailTaken, InvalidCredentials, User, clean_name
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class AskToRegister:
    """Takes a registration down. It becomes an account when its address is confirmed.

    Whether the address has an account already is neither looked at nor told here: the same row is
    written in either case, and what is sent to the address is decided on sending. ``open_at_once``
    makes the account at once, on a laptop, where nobody is told apart either.
    """

    uow: UnitOfWork
    hasher: PasswordHasher
    policy: PasswordPolicy
    desk: MailDesk
    limits: MailLimits
    register: RegisterUser
    open_at_once: bool = False

    async def __call__(self, command: Registration) -> None:
        """Have the confirmation sent.

        Raises:
            InvalidValue: email, password or name does not fit.
            RateLimited: too much mail was asked for from that address.
        """
        email = normalised_email(command.email)
        self.policy(command.password, email)
        name = clean_name(command.name)
        if self.open_at_once:
            # Nothing is mailed.
            try:
                await self.register(command)
            except EmailTaken:
                return
            return
        wanted = await self.limits(MailKind.REGISTRATION, email, command.origin.address)
        password_hash = await self.hasher.hash(command.password)
        if not wanted:
            return
        async with self.uow.begin(None) as tx:
            await self.desk(
                tx,
                MailKind.REGISTRATION,
                {"email": email, "name": name, "password_hash": password_hash},
            )


@dataclass(frozen=True, slots=True)
class AskForConfirmation:
    """Has the confirmation of an address sent again."""

    uow: UnitOfWork
    desk: MailDesk
    limits: MailLimits

    async def __call__(self, email: str, origin: Origin) -> None:
        """Have it sent, if a registration or an account waits for it.

        Raises:
            InvalidValue: it is not an email address.
            RateLimited: too much mail was asked for from there.
        """
        address = normalised_email(email)
        # Counted with what it repeats.
        if not await self.limits(MailKind.REGISTRATION, address, origin.address):
            return
        async with self.uow.begin(None) as tx:
            await self.desk(tx, MailKind.CONFIRMATION_AGAIN, {"email": address})


@dataclass(frozen=True, slots=True)
class ConfirmAddress:
    """Uses the link up that proves an address, and opens its account.

    The password is asked for again: whoever registered a stranger's address knows one that the
    stranger does not, and a stranger who only clicks opens nothing for them.
    """

    uow: UnitOfWork
    hasher: PasswordHasher
    opener: AccountOpener
    throttle: AttemptThrottle

    async def __call__(self, token: str, password: str, origin: Origin) -> User:
        """The account, open, with its starting credits.

        Raises:
            LinkRefused: unknown, used, too old, or for something else.
            InvalidCredentials: the password is not the one that was registered with.
            RateLimited: too many have failed; it says for how long to wait.
        """
        link = await self._found(token)
        known = await self._password_hash(link)
        async with self.throttle(link.email, origin.address) as attempt:
            if not await self.hasher.verify(password, known):
                raise InvalidCredentials("The password is not the one you registered with.")
            attempt.proved = True
        if link.user_id is not None:
            return await self._verified(link, link.user_id, origin)
        user = self.opener.member(
            email=link.email, name=link.name, password_hash=link.password_hash
        )
        try:
            async with self.uow.begin(user.id) as tx:
                if not await tx.links.use(link.digest, link.purpose):
                    raise LinkRefused
                await self.opener(tx, user, origin)
        except EmailTaken as error:
            # Another link of the same address was first.
            raise LinkRefused from error
        return user

    async def _found(self, token: str) -> Link:
        if len(token) > MAX_TOKEN_LENGTH:
            raise LinkRefused
        digest = link_digest(token)
        async with self.uow.begin(None) as tx:
            for purpose in (LinkPurpose.CONFIRM_REGISTRATION, LinkPurpose.CONFIRM_ADDRESS):
                link = await tx.links.find(digest, purpose)
                if link is not None:
                    return link
        raise LinkRefused

    async def _password_hash(self, link: Link) -> str:
        if link.user_id is None:
            return link.password_hash
        async with self.uow.begin(link.user_id) as tx:
            user = await tx.users.get(link.user_id)
        if user is None or user.email != link.email or not user.is_active or not user.has_password:
            raise LinkRefused
        return user.password_hash

    async def _verified(self, link: Link, user_id: UserId, origin: Origin) -> User:
        async with self.uow.begin(user_id) as tx:
            if not await tx.links.use(link.digest, link.purpose):
                raise LinkRefused
            await tx.users.set_email(user_id, link.email)
            await tx.audit.record(
                origin.as_person(user_id), acted(AuditAction.EMAIL_VERIFIED, user_id)
            )
            user = await tx.users.get(user_id)
        if user is None:
            raise LinkRefused
        return user
