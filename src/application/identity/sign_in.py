"""Sign in with email and password."""

from dataclasses import dataclass

from application.identity.register_user import normalised_email
from application.ports.persistence import UnitOfWork
from application.ports.security import AccessToken, AccessTokens, PasswordHasher
from domain.identity.user import InvalidCredentials, User
from domain.shared.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a person signs in with."""

    email: str
    password: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """Signs in, in the same time and words whether or not the account exists."""

    uow: UnitOfWork
    hasher: PasswordHasher
    tokens: AccessTokens

    async def __call__(self, command: Credentials) -> tuple[User, AccessToken]:
        """Give an access token.

        Raises:
            InvalidCredentials: they do not belong together, or the account is off.
        """
        user = await self._find(command.email)
        # No transaction is open while the password is hashed: it takes a tenth of a second.
        if user is None:
            await self.hasher.waste(command.password)
            raise InvalidCredentials("Email or password is wrong.")
        fits = await self.hasher.verify(command.password, user.password_hash)
        if not fits or not user.is_active:
            raise InvalidCredentials("Email or password is wrong.")
        if self.hasher.outdated(user.password_hash):
            stronger = await self.hasher.hash(command.password)
            async with self.uow.begin(user.id) as tx:
                await tx.users.set_password_hash(user.id, stronger)
        return user, self.tokens.issue(user)

    async def _find(self, email: str) -> User | None:
        try:
            normalised = normalised_email(email)
        except InvalidValue:
            return None
        async with self.uow.begin(None) as tx:
            return await tx.users.by_email(normalised)
