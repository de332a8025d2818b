"""Register a person, with an open account and a starting grant."""

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from application.ports.clock import Clock, IdMaker
from application.ports.persistence import UnitOfWork
from application.ports.security import PasswordHasher
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.ledger import Grant, LotKind
from domain.identity.user import Role, User, check_password, clean_name
from domain.shared.errors import InvalidValue
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a person gives to register. No role: that is the operator's to give."""

    email: str
    password: str
    name: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """Registers. The account is opened and granted in the same transaction.

    ``starting_grant`` is in credits.
    """

    uow: UnitOfWork
    hasher: PasswordHasher
    clock: Clock
    ids: IdMaker
    starting_grant: int

    async def __call__(self, command: Registration) -> User:
        """Keep the new user.

        Raises:
            InvalidValue: email, password or name does not fit.
            EmailTaken: an account with that email exists.
        """
        email = normalised_email(command.email)
        check_password(command.password)
        name = clean_name(command.name)
        password_hash = await self.hasher.hash(command.password)
        user = User(
            id=UserId(self.ids.new()),
            email=email,
            name=name,
            password_hash=password_hash,
            role=Role.MEMBER,
            is_active=True,
            created_at=self.clock.now(),
        )
        async with self.uow.begin(user.id) as tx:
            await tx.users.add(user)
            await tx.audit.record(
                command.origin.as_person(user.id),
                acted(AuditAction.REGISTERED, user.id, after=user),
            )
            await tx.ledger.open(user.id)
            await tx.entitlements.open_free(user.created_at)
            if self.starting_grant:
                await tx.ledger.grant(
                    Grant(
                        user_id=user.id,
                        key=f"start:{user.id}",
                        credits=self.starting_grant,
                        kind=LotKind.PROMOTION,
                        reference="start",
                    )
                )
        return user


def normalised_email(email: str) -> str:
    """An address in the one spelling under which its account is kept.

    Lower-cased whole: two people never share a mailbox that differs in case alone.

    Raises:
        InvalidValue: it is not an email address; the message says where it breaks.
    """
    try:
        checked = validate_email(email, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidValue("email", f"This is not an email address: {error}") from error
    return checked.normalized.lower()
