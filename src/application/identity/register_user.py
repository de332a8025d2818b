"""Register a person, with an open account and a starting grant."""

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from application.identity.open_account import AccountOpener
from application.ports.persistence import UnitOfWork
from application.ports.security import PasswordHasher
from domain.audit.origin import Origin
from domain.identity.user import User, check_password, clean_name
from domain.shared.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a person gives to register. No role: that is the operator's to give."""

    email: str
    password: str
    name: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """Registers somebody at once, whose address is taken as theirs: on a laptop."""

    uow: UnitOfWork
    hasher: PasswordHasher
    open_account: AccountOpener

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
        user = self.open_account.member(email=email, name=name, password_hash=password_hash)
        async with self.uow.begin(user.id) as tx:
            await self.open_account(tx, user, command.origin)
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
