"""Use up a code: of an authenticator app, or a recovery code."""

from dataclasses import dataclass

from application.ports.clock import Clock
from application.ports.persistence import Transaction
from application.ports.second_factor import SecondFactorSecrets
from application.ports.security import SecretBox
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.second_factor import read_code, read_recovery_code, seal_use
from domain.identity.session import SignInMethod
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class SecondFactorCodes:
    """Says by which second factor somebody proved who they are, once for each code."""

    secrets: SecondFactorSecrets
    box: SecretBox
    clock: Clock

    async def use(
        self, tx: Transaction, user_id: UserId, text: str, origin: Origin
    ) -> SignInMethod | None:
        """Use the code up in a transaction of that person's; None if it is not good."""
        code = read_code(text)
        if code is not None:
            return await self._use_app(tx, user_id, code)
        recovery = read_recovery_code(text)
        if recovery is not None and await tx.second_factor.use_recovery_code(
            self.secrets.digests(recovery, user_id)
        ):
            await tx.audit.record(
                origin.as_person(user_id), acted(AuditAction.RECOVERY_CODE_USED, user_id)
            )
            return SignInMethod.RECOVERY_CODE
        return None

    async def _use_app(self, tx: Transaction, user_id: UserId, code: str) -> SignInMethod | None:
        factor = await tx.second_factor.get()
        if factor is None or factor.secret is None:
            return None
        secret = self.box.open(factor.secret, seal_use(user_id))
        step = self.secrets.matching_step(secret, code, self.clock.now())
        if step is None or not await tx.second_factor.use_step(step):
            return None
        return SignInMethod.TOTP
