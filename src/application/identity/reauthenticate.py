"""Prove anew who one is, before what a stolen session must not be able to do."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from application.identity.attempts import AttemptThrottle
from application.identity.second_factor_codes import SecondFactorCodes
from application.ports.clock import Clock
from application.ports.persistence import UnitOfWork
from application.ports.security import PasswordHasher, Principal
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.session import ActingSession, SignInMethod
from domain.identity.user import NotAuthenticated, PermissionDenied, User
from domain.shared.ids import UserId

FRESH = timedelta(minutes=10)
"""How long ago it may be that somebody proved who they are: of an account that has neither password
nor second factor, and of an administrator who decides about others."""


class ReauthenticationFailed(PermissionDenied):
    """What was shown does not prove who it is, or something is missing; ``needs`` lists it."""

    code = "reauthentication_failed"


class ProofTooOld(PermissionDenied):
    """Who acts was proved too long ago for this."""

    code = "proof_too_old"

    def __init__(self) -> None:
        super().__init__("Prove who you are first, and try again: that was too long ago.")


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

    async def __call__(
        self, principal: Principal, proof: Proof, origin: Origin
    ) -> frozenset[SignInMethod]:
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
        methods = await self.of(user, proof, origin, session=principal.session)
        if not methods and not proved_lately(principal.session, self.clock.now()):
            raise ReauthenticationFailed(
                "Sign in again first: that was too long ago.", needs=["sign_in"]
            )
        return methods

    async def of(
        self, user: User, proof: Proof, origin: Origin, *, session: ActingSession | None = None
    ) -> frozenset[SignInMethod]:
        """By what a person proved who they are; nothing, if the account has nothing.

        ``session`` is the one of theirs that they act in, if any.

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
        async with self.throttle(user.email, None, session=session) as attempt:
            try:
                methods = await self._checked(user, proof, origin, enabled=enabled)
            except ReauthenticationFailed:
                async with self.uow.begin(user.id) as tx:
                    failed = acted(AuditAction.PROOF_FAILED, user.id, after={"method": "password"})
                    await tx.audit.record(origin, failed)
                raise
            attempt.proved = True
        return methods

    async def _checked(
        self, user: User, proof: Proof, origin: Origin, *, enabled: bool
    ) -> frozenset[SignInMethod]:
        methods = set()
        # The password first: a code is good once, and not to be lost over a slip.
        if user.has_password:
            if not await self.hasher.verify(proof.password, user.password_hash):
                raise ReauthenticationFailed(_WRONG)
            methods.add(SignInMethod.PASSWORD)
        if enabled:
            async with self.uow.begin(user.id) as tx:
                method = await self.codes.use(tx, user.id, proof.code, origin)
            if method is None:
                raise ReauthenticationFailed(_WRONG)
            methods.add(method)
        return frozenset(methods)

    async def _enabled(self, user_id: UserId) -> bool:
        async with self.uow.begin(user_id) as tx:
            factor = await tx.second_factor.get()
        return factor is not None and factor.enabled


def proved_lately(session: ActingSession | None, now: datetime) -> bool:
    """Whether it was proved within :data:`FRESH` who acts in a session."""
    if session is None or session.authenticated_at is None:
        return False
    return now - session.authenticated_at <= FRESH


_WRONG = "The password or the code is wrong."
