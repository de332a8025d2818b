"""Finish a sign-in with its second factor."""

from dataclasses import dataclass

from application.identity.attempts import AttemptThrottle
from application.identity.open_session import SessionOpener, SignedIn
from application.identity.pass_first_factor import signed_in_act
from application.identity.second_factor_codes import SecondFactorCodes
from application.ports.persistence import Transaction, UnitOfWork
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.second_factor import (
    CHALLENGE_ATTEMPTS,
    Challenge,
    ChallengeOver,
    WrongCode,
)
from domain.identity.session import Device
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class MeetChallenge:
    """Opens the session that a sign-in waits for.

    The attempt is counted in a transaction of its own: that a code was wrong is not undone by
    what follows. Code, challenge and session are one transaction: of two that send the same, one
    gets a session, and a code is not used up for nothing.
    """

    uow: UnitOfWork
    opener: SessionOpener
    codes: SecondFactorCodes
    throttle: AttemptThrottle

    async def __call__(self, token: str, code: str, device: Device, origin: Origin) -> SignedIn:
        """The session.

        Raises:
            ChallengeOver: the sign-in is unknown, finished, too old, or was tried too often.
            WrongCode: the code is not good, or not any more.
            RateLimited: too many have failed; it says for how long to wait.
        """
        digest = self.codes.secrets.token_digest(token)
        async with self.uow.begin(None) as tx:
            holder = await tx.challenges.holder(digest)
        if holder is None:
            raise ChallengeOver(_OVER)
        async with self.uow.begin(holder) as tx:
            user = await tx.users.get(holder)
        if user is None:
            raise ChallengeOver(_OVER)
        # By account, over all challenges: whoever has the password can ask for many.
        async with self.throttle(user.email, device.address) as attempt:
            try:
                opened = await self._tried(user.id, digest, code, device, origin)
            except ChallengeOver:
                attempt.proved = True  # no code was looked at, so none was wrong
                raise
            attempt.proved = attempt.signed_in = True
        return opened

    async def _tried(
        self, holder: UserId, digest: str, code: str, device: Device, origin: Origin
    ) -> SignedIn:
        async with self.uow.begin(holder) as tx:
            challenge = await tx.challenges.attempt(digest, at_most=CHALLENGE_ATTEMPTS)
        if challenge is None:
            raise ChallengeOver(_OVER)
        try:
            async with self.uow.begin(holder) as tx:
                return await self._met(tx, holder, challenge, digest, code, device, origin)
        except WrongCode:
            async with self.uow.begin(holder) as tx:
                failed = acted(
                    AuditAction.SIGN_IN_FAILED, holder, after={"method": "second factor"}
                )
                await tx.audit.record(origin, failed)
            raise

    async def _met(
        self,
        tx: Transaction,
        holder: UserId,
        challenge: Challenge,
        digest: str,
        code: str,
        device: Device,
        origin: Origin,
    ) -> SignedIn:
        user = await tx.users.get(holder)
        # Whatever ended the account's sessions since ends this sign-in too.
        if user is None or not user.is_active or user.session_version != challenge.version:
            raise ChallengeOver(_OVER)
        method = await self.codes.use(tx, user.id, code, origin)
        if method is None:
            raise WrongCode("The code is wrong, or was used before.")
        if not await tx.challenges.use(digest):
            raise ChallengeOver(_OVER)
        opened = await self.opener(tx, user, challenge.methods | {method}, device)
        await tx.audit.record(origin.as_person(user.id), signed_in_act(opened))
        return opened


_OVER = "This sign-in is over. Begin again."
