"""The second factor: set it up, replace it, remove it, and prove it in a session."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from application.identity.attempts import AttemptThrottle
from application.identity.mail_desk import MailDesk
from application.identity.own_account import own_account
from application.identity.reauthenticate import Proof, Reauthenticate
from application.identity.second_factor_codes import SecondFactorCodes
from application.ports.keys import KeyChanges
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.security import Principal
from domain.audit.act import Act, AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.mail import MailKind
from domain.identity.second_factor import (
    RECOVERY_CODES,
    NoSecondFactor,
    SecondFactorKept,
    WrongCode,
    read_code,
    seal_use,
)
from domain.identity.session import SessionEnd, SignInMethod
from domain.identity.user import Role
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorState:
    """Whether there is one, whether the role needs one, and how many recovery codes are left."""

    enabled: bool
    required: bool
    recovery_codes_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedFactor:
    """A secret for an authenticator app: as text, as an address, and drawn. Shown once."""

    secret: str
    uri: str
    drawing: str


@dataclass(frozen=True, slots=True)
class ShowSecondFactor:
    """Shows a person how their account is protected."""

    uow: UnitOfWork
    required_for: frozenset[Role]

    async def __call__(self, principal: Principal) -> SecondFactorState:
        """The state."""
        async with self.uow.begin(principal.user_id) as tx:
            factor = await tx.second_factor.get()
            left = await tx.second_factor.recovery_codes_left()
        return SecondFactorState(
            enabled=factor is not None and factor.enabled,
            required=principal.role in self.required_for,
            recovery_codes_left=left,
        )


@dataclass(frozen=True, slots=True)
class ProposeSecondFactor:
    """Makes a secret to scan. Nothing changes until a code of it is shown."""

    uow: UnitOfWork
    codes: SecondFactorCodes
    reauthenticate: Reauthenticate

    async def __call__(self, principal: Principal, proof: Proof, origin: Origin) -> ProposedFactor:
        """The secret.

        Raises:
            ReauthenticationFailed: it was not proved who asks.
        """
        await self.reauthenticate(principal, proof, origin)
        secrets = self.codes.secrets
        secret = secrets.new_secret()
        sealed = self.codes.box.seal(secret, seal_use(principal.user_id))
        async with self.uow.begin(principal.user_id) as tx:
            user = await own_account(tx, principal.user_id)
            await tx.second_factor.propose(sealed)
        uri = secrets.uri(secret, user.email)
        return ProposedFactor(secret=secrets.written(secret), uri=uri, drawing=secrets.drawn(uri))


@dataclass(frozen=True, slots=True)
class ConfirmSecondFactor:
    """Enables what was proposed, once an app shows its code; the session has proved it then.

    Every other session ends, and any sign-in that has begun: none of them proved it. The person is
    told by mail.
    """

    uow: UnitOfWork
    codes: SecondFactorCodes
    changes: KeyChanges
    throttle: AttemptThrottle
    desk: MailDesk

    async def __call__(self, principal: Principal, text: str, origin: Origin) -> list[str]:
        """New recovery codes, shown this once.

        Raises:
            NoSecondFactor: nothing is proposed.
            WrongCode: the code is not the proposed secret's.
            RateLimited: too many have failed; it says for how long to wait.
            NotAuthenticated: the account is gone.
        """
        async with self.uow.begin(principal.user_id) as tx:
            user = await own_account(tx, principal.user_id)
        async with self.throttle(user.email, None, session=principal.session) as attempt:
            try:
                shown = await self._confirmed(principal, text, origin)
            except NoSecondFactor:
                attempt.proved = True  # no code was looked at, so none was wrong
                raise
            except WrongCode:
                await _failed(self.uow, user.id, origin)
                raise
            attempt.proved = True
        await self.changes.announce(principal.user_id)
        return shown

    async def _confirmed(self, principal: Principal, text: str, origin: Origin) -> list[str]:
        async with self.uow.begin(principal.user_id) as tx:
            factor = await tx.second_factor.get()
            if factor is None or factor.proposed is None:
                raise NoSecondFactor("Nothing is being set up. Ask for a secret first.")
            secret = self.codes.box.open(factor.proposed, seal_use(principal.user_id))
            code = read_code(text)
            step = code and self.codes.secrets.matching_step(secret, code, self.codes.clock.now())
            if not step or not await tx.second_factor.confirm(factor.proposed, step):
                raise WrongCode("The code is wrong. Look at the clock of your device.")
            shown = await _new_codes(tx, self.codes, principal.user_id)
            await _prove(tx, principal, SignInMethod.TOTP)
            await _end_others(tx, principal)
            await tx.audit.record(
                origin, acted(AuditAction.SECOND_FACTOR_ENABLED, principal.user_id)
            )
            await self.desk(tx, MailKind.SECOND_FACTOR_ENABLED, {}, user_id=principal.user_id)
        return shown


@dataclass(frozen=True, slots=True)
class ReplaceRecoveryCodes:
    """Makes new recovery codes; those from before are good no more. The person is told by mail."""

    uow: UnitOfWork
    codes: SecondFactorCodes
    reauthenticate: Reauthenticate
    desk: MailDesk

    async def __call__(self, principal: Principal, proof: Proof, origin: Origin) -> list[str]:
        """The codes, shown this once.

        Raises:
            NoSecondFactor: there is none that they could stand in for.
            ReauthenticationFailed: it was not proved who asks.
        """
        await self.reauthenticate(principal, proof, origin)
        async with self.uow.begin(principal.user_id) as tx:
            factor = await tx.second_factor.get()
            if factor is None or not factor.enabled:
                raise NoSecondFactor("Set up a second factor first.")
            shown = await _new_codes(tx, self.codes, principal.user_id)
            await tx.audit.record(
                origin, acted(AuditAction.RECOVERY_CODES_REPLACED, principal.user_id)
            )
            await self.desk(tx, MailKind.RECOVERY_CODES_REPLACED, {}, user_id=principal.user_id)
        return shown


@dataclass(frozen=True, slots=True)
class RemoveSecondFactor:
    """Removes the second factor with its recovery codes, where the role may be without.

    Every other session ends, and the person is told by mail.
    """

    uow: UnitOfWork
    reauthenticate: Reauthenticate
    required_for: frozenset[Role]
    changes: KeyChanges
    desk: MailDesk

    async def __call__(self, principal: Principal, proof: Proof, origin: Origin) -> None:
        """Remove it.

        Raises:
            SecondFactorKept: the role needs one.
            ReauthenticationFailed: it was not proved who asks.
            NoSecondFactor: there is none.
        """
        if principal.role in self.required_for:
            raise SecondFactorKept(
                f"The role {principal.role} needs a second factor. You can replace it."
            )
        await self.reauthenticate(principal, proof, origin)
        async with self.uow.begin(principal.user_id) as tx:
            if not await tx.second_factor.remove():
                raise NoSecondFactor("There is no second factor.")
            await _end_others(tx, principal)
            await tx.audit.record(
                origin, acted(AuditAction.SECOND_FACTOR_REMOVED, principal.user_id)
            )
            await self.desk(tx, MailKind.SECOND_FACTOR_REMOVED, {}, user_id=principal.user_id)
        await self.changes.announce(principal.user_id)


@dataclass(frozen=True, slots=True)
class StepUp:
    """Proves the second factor in a session anew."""

    uow: UnitOfWork
    codes: SecondFactorCodes
    changes: KeyChanges
    throttle: AttemptThrottle

    async def __call__(self, principal: Principal, code: str, origin: Origin) -> None:
        """Have the session count as one with a second factor, proved just now.

        Raises:
            WrongCode: the code is not good, or not any more.
            RateLimited: too many have failed; it says for how long to wait.
            NotAuthenticated: the account is gone.
        """
        async with self.uow.begin(principal.user_id) as tx:
            user = await own_account(tx, principal.user_id)
        async with self.throttle(user.email, None, session=principal.session) as attempt:
            try:
                async with self.uow.begin(user.id) as tx:
                    method = await self.codes.use(tx, user.id, code, origin)
                    if method is None:
                        raise WrongCode("The code is wrong, or was used before.")
                    await _prove(tx, principal, method)
                    await tx.audit.record(origin, _proved(principal, {method}))
            except WrongCode:
                await _failed(self.uow, user.id, origin)
                raise
            attempt.proved = True
        await self.changes.announce(principal.user_id)


@dataclass(frozen=True, slots=True)
class ProveAgain:
    """Proves anew in a session who acts in it, by everything that the account has."""

    uow: UnitOfWork
    reauthenticate: Reauthenticate
    changes: KeyChanges

    async def __call__(self, principal: Principal, proof: Proof, origin: Origin) -> None:
        """Have the session count as one that was proved just now.

        Raises:
            NotAuthenticated: the account is off.
            ReauthenticationFailed: something is missing or wrong.
            RateLimited: too many have failed; it says for how long to wait.
        """
        methods = await self.reauthenticate(principal, proof, origin)
        if not methods:
            return  # it has nothing to prove it by, and signed in just now
        async with self.uow.begin(principal.user_id) as tx:
            for method in sorted(methods):
                await _prove(tx, principal, method)
            await tx.audit.record(origin, _proved(principal, methods))
        await self.changes.announce(principal.user_id)


async def _new_codes(tx: Transaction, codes: SecondFactorCodes, user_id: UserId) -> list[str]:
    shown = [codes.secrets.new_recovery_code() for _ in range(RECOVERY_CODES)]
    await tx.second_factor.replace_recovery_codes(
        [codes.secrets.digests(code, user_id)[0] for code in shown]
    )
    return shown


async def _prove(tx: Transaction, principal: Principal, method: SignInMethod) -> None:
    if principal.session is not None:
        await tx.sessions.prove(principal.session.id, method)


async def _end_others(tx: Transaction, principal: Principal) -> None:
    session = principal.session.id if principal.session else None
    await tx.sessions.end_all(SessionEnd.CREDENTIALS_CHANGED, but=session)


async def _failed(uow: UnitOfWork, user_id: UserId, origin: Origin) -> None:
    async with uow.begin(user_id) as tx:
        failed = acted(AuditAction.PROOF_FAILED, user_id, after={"method": "second factor"})
        await tx.audit.record(origin, failed)


def _proved(principal: Principal, methods: AbstractSet[SignInMethod]) -> Act:
    said = ", ".join(sorted(method.value for method in methods))
    session = principal.session.id if principal.session else ""
    return acted(AuditAction.SESSION_PROVED, session, after={"method": said})
