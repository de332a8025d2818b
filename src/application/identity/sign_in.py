"""Sign in with email and password."""

from dataclasses import dataclass

from application.identity.attempts import AttemptThrottle
from application.identity.open_session import SignedIn
from application.identity.pass_first_factor import PassFirstFactor, SecondFactorNeeded
from application.identity.register_user import normalised_email
from application.ports.persistence import UnitOfWork
from application.ports.security import PasswordHasher
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.session import Device, SignInMethod
from domain.identity.user import InvalidCredentials, User
from domain.shared.errors import InvalidValue
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a person signs in with."""

    email: str
    password: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class SignIn:
    """Signs in, in the same time and words whether or not the account exists."""

    uow: UnitOfWork
    hasher: PasswordHasher
    first_factor: PassFirstFactor
    throttle: AttemptThrottle

    async def __call__(self, command: Credentials, device: Device) -> SignedIn | SecondFactorNeeded:
        """Open a session, or ask for the second factor.

        Raises:
            InvalidCredentials: they do not belong together, or the account is off.
            RateLimited: too many have failed; it says for how long to wait.
        """
        async with self.throttle(_account(command.email), device.address) as attempt:
            signed_in = await self._checked(command, device)
            attempt.proved = True
            attempt.signed_in = isinstance(signed_in, SignedIn)
        return signed_in

    async def _checked(self, command: Credentials, device: Device) -> SignedIn | SecondFactorNeeded:
        user = await self._find(command.email)
        # No transaction is open while the password is hashed: it takes a tenth of a second.
        if user is None or not user.has_password:
            await self.hasher.waste(command.password)
            known = None if user is None else user.id
            await self._record(known, command.origin, AuditAction.SIGN_IN_FAILED)
            raise InvalidCredentials("Email or password is wrong.")
        fits = await self.hasher.verify(command.password, user.password_hash)
        if not fits or not user.is_active:
            await self._record(user.id, command.origin, AuditAction.SIGN_IN_FAILED)
            raise InvalidCredentials("Email or password is wrong.")
        outdated = self.hasher.outdated(user.password_hash)
        stronger = await self.hasher.hash(command.password) if outdated else None
        async with self.uow.begin(user.id) as tx:
            if stronger is not None:
                await tx.users.set_password_hash(user.id, stronger)
            return await self.first_factor(
                tx, user, [SignInMethod.PASSWORD], device, command.origin
            )

    async def _record(self, user_id: UserId | None, origin: Origin, action: AuditAction) -> None:
        # Also of an account that does not exist: the answer takes the same time.
        subject: object = user_id or ""
        async with self.uow.begin(user_id) as tx:
            await tx.audit.record(origin, acted(action, subject, after={"method": "password"}))

    async def _find(self, email: str) -> User | None:
        try:
            normalised = normalised_email(email)
        except InvalidValue:
            return None
        async with self.uow.begin(None) as tx:
            return await tx.users.by_email(normalised)


def _account(email: str) -> str:
    try:
        return normalised_email(email)
    except InvalidValue:
        return email
