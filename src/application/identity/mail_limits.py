"""How much mail strangers may have us send."""

from dataclasses import dataclass
from typing import Final

from application.identity.mail_desk import link_digest
from application.ports.rate_limiter import Charge, RateLimiter
from domain.keys.addresses import caller
from domain.keys.rate_limit import RateLimited, RatePolicy

TO_ONE: Final = RatePolicy(of="mail-to", quota=5, window_seconds=60 * 60)
FROM_ONE: Final = RatePolicy(of="mail-from", quota=120, window_seconds=60 * 60)
"""A college's lab stands behind one address: a class of sixty may register, and ask once more."""


@dataclass(frozen=True, slots=True)
class MailLimits:
    """Counts what is asked for, by recipient and by the address that asks."""

    limiter: RateLimiter

    async def __call__(self, email: str, address: str) -> bool:
        """Whether the recipient may be sent this one; who asks is not told.

        Raises:
            RateLimited: too much was asked for from that address.
        """
        asked = await self.limiter.charge([Charge(policy=FROM_ONE, caller=caller(address))])
        if not asked.admitted:
            raise RateLimited(asked.violated)
        to = await self.limiter.charge([Charge(policy=TO_ONE, caller=link_digest(email)[:32])])
        return to.admitted
