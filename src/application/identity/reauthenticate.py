"""Prove anew who one is, before what a stolen session must not be able to do."""

from dataclasses import dataclass
from datetime import timedelta

from application.identity.attempts import AttemptThrottle
from application.identity.second_factor_codes import SecondFactorCodes
from application.ports.clock import Clock
from application.ports.persistence import UnitOfWork
from application.ports.security import PasswordHasher, Principal
from domain.identity.session import ActingSession, SignInMethod
from domain.identity.user import NotAuthenticated, PermissionDenied, User
from domain.shared.ids import UserId

FRESH = timedelta(minutes=10)
"""How long ago the sign-in of an account may be that has neither password nor second factor."""


class ReauthenticationFailed(PermissionDenied):
    """What was shown does not prove who it is, or something is missing; ``needs`` lists it."""

    code = "reauthentication_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a person shows: everything that their account has."""

    password: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Reauthenticate:
    """Holds a person to their password and their second factor, as far as they have them.

    Who has neither signed in elsewhere, and has to have done so just now.
    """

    uow: UnitOfWork
    hasher: PasswordHasher
    codes: SecondFactorCodes
    clock: Clock
    throttle: AttemptThrottle

    async def __call__(self, principal: Principal, proof: Proof) -> frozenset[SignInMethod]:
        """By what it was proved. A code is used up by it.

        Raises:
            ReauthenticationFailed: something is missing or wrong.
            RateLimited: too many have failed; it says for how long to wait.
            NotAuthenticated: the account is gone or off.
        """
        async with self.uow.begin(principal.user_id) as tx:
            user = await tx.users.get(principal.user_id)
        if user is None or not user.is_active:
            raise NotAuthenticated("This account is not active. Sign in again.")
        methods = await self.of(user, proof)
        if not methods and not self._fresh(principal.session):
            raise ReauthenticationFailed(
                "Sign in again first: that was too long ago.", needs=["sign_in"]
            )
        return methods

    async def of(self, user: User, proof: Proof) -> frozenset[SignInMethod]:
        """By what a person proved who they are; nothing, if the account has nothing.

        Raises:
            ReauthenticationFailed: something is missing or wrong.
            RateLimited: too many have failed; it says for how long to wait.
        """
        enabled = await self._enabled(user.id)
        needs = [
            name
            for name, needed, given in (
                ("password", user.has_password, proof.password),
                ("code", enabled, proof.code),
            )
            if needed and not given
        ]
        if needs:
            raise ReauthenticationFailed(f"Send your {' and '.join(needs)}.", needs=needs)
        if not user.has_password and not enabled:
            return frozenset()
        async with self.throttle(user.email, None) as attempt:
            methods = await self._checked(user, proof, enabled=enabled)
            attempt.proved = True
        return methods

    async def _checked(self, user: User, proof: Proof, *, enabled: bool) -> frozenset[SignInMethod]:
        methods = set()
        # The password first: a code is good once, and not to be lost over a slip.
        if user.has_password:
            if not await self.hasher.verify(proof.password, user.password_hash):
                raise ReauthenticationFailed(_WRONG)
            methods.add(SignInMethod.PASSWORD)
        if enabled:
            async with self.uow.begin(user.id) as tx:
                method = await self.codes.use(tx, user.id, proof.code)
            if method is None:
                raise ReauthenticationFailed(_WRONG)
            methods.add(method)
        return frozenset(methods)

    async def _enabled(self, user_id: UserId) -> bool:
        async with self.uow.begin(user_id) as tx:
            factor = await tx.second_factor.get()
        return factor is not None and factor.enabled

    def _fresh(self, session: ActingSession | None) -> bool:
        if session is None or session.authenticated_at is None:
            return False
        return self.clock.now() - session.authenticated_at <= FRESH


_WRONG = "The password or the code is wrong."
