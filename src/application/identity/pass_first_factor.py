"""What follows when somebody has proved by one thing who they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from application.identity.open_session import SessionOpener, SignedIn
from application.ports.clock import Clock
from application.ports.persistence import Transaction
from application.ports.second_factor import SecondFactorSecrets
from domain.audit.act import Act, AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.second_factor import CHALLENGE_LIFE, Challenge
from domain.identity.session import Device, SignInMethod
from domain.identity.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorNeeded:
    """No session yet: a code is asked for. ``challenge`` is a secret, and opens nothing alone."""

    challenge: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PassFirstFactor:
    """Opens a session, or asks for the second factor where the account has one."""

    opener: SessionOpener
    secrets: SecondFactorSecrets
    clock: Clock

    async def __call__(
        self,
        tx: Transaction,
        user: User,
        methods: Iterable[SignInMethod],
        device: Device,
        origin: Origin,
    ) -> SignedIn | SecondFactorNeeded:
        """Do so in a transaction of that person's; ``user`` as for :class:`SessionOpener`."""
        factor = await tx.second_factor.get()
        if factor is None or not factor.enabled:
            opened = await self.opener(tx, user, methods, device)
            await tx.audit.record(origin.as_person(user.id), signed_in_act(opened))
            return opened
        challenge = Challenge(
            user_id=user.id,
            version=user.session_version,
            methods=frozenset(methods),
            expires_at=self.clock.now() + CHALLENGE_LIFE,
        )
        token = self.secrets.new_token()
        await tx.challenges.open(challenge, self.secrets.token_digest(token))
        return SecondFactorNeeded(challenge=token, expires_at=challenge.expires_at)


def signed_in_act(opened: SignedIn) -> Act:
    """That somebody signed in, and by what, for the audit log."""
    methods = ", ".join(sorted(method.value for method in opened.session.methods))
    return acted(AuditAction.SIGNED_IN, opened.user.id, after={"method": methods})
