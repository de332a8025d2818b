"""How much mail strangers may have us send."""

from dataclasses import dataclass
from typing import Final

from application.identity.mail_desk import link_digest
from application.ports.rate_limiter import Charge, RateLimiter
from domain.identity.mail import MailKind
from domain.keys.addresses import caller
from domain.keys.rate_limit import RateLimited, RatePolicy

_HOUR: Final = 60 * 60

TO_ONE: Final = RatePolicy(of="mail-to", quota=5, window_seconds=_HOUR)
"""To one recipient, of one kind, for one address that asks. Whoever has a stranger sent
confirmations uses up neither the stranger's resets nor what the stranger asks for."""

TO_ONE_IN_ALL: Final = RatePolicy(of="mail-to-in-all", quota=20, window_seconds=_HOUR)
"""To one recipient, of one kind, whoever asks."""

FROM_ONE: Final = RatePolicy(of="mail-from", quota=120, window_seconds=_HOUR)
"""A college's lab stands behind one address: a class of sixty may register, and ask once more."""


@dataclass(frozen=True, slots=True)
class MailLimits:
    """Counts what is asked for, by recipient and by the address that asks."""

    limiter: RateLimiter

    async def __call__(self, kind: MailKind, email: str, address: str) -> bool:
        """Whether the recipient may be sent this one; who asks is not told.

        Raises:
            RateLimited: too much was asked for from that address.
        """
        place = caller(address)
        asked = await self.limiter.charge([Charge(policy=FROM_ONE, caller=place)])
        if not asked.admitted:
            raise RateLimited(asked.violated)
        to = await self.limiter.charge(
            [
                Charge(policy=TO_ONE, caller=_named(kind, email, place)),
                Charge(policy=TO_ONE_IN_ALL, caller=_named(kind, email)),
            ]
        )
        return to.admitted


def _named(*parts: str) -> str:
    """A recipient in a bucket's name: the counts say nobody's address."""
    return link_digest(" ".join(parts))[:32]
