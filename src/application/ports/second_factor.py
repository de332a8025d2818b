"""The second factor: where it is kept, and how codes are made and compared."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.identity.second_factor import Challenge, TotpFactor
from domain.shared.ids import UserId


class SecondFactorRepository(Protocol):
    """The person's authenticator app and recovery codes."""

    async def get(self) -> TotpFactor | None:
        """The factor, enabled or only proposed."""
        ...

    async def propose(self, secret: bytes) -> None:
        """Keep a sealed secret that may become the factor's, in place of another such."""
        ...

    async def confirm(self, proposed: bytes, step: int) -> bool:
        """Have what was proposed be the factor from now on, its code of ``step`` being used.

        False: something else was proposed since, or it was confirmed before.
        """
        ...

    async def use_step(self, step: int) -> bool:
        """Use up the code of a step, and all before; False if it was not the first of it.

        One conditional update decides.
        """
        ...

    async def remove(self) -> bool:
        """Remove the factor and every recovery code; whether it was enabled."""
        ...

    async def replace_recovery_codes(self, digests: Sequence[str]) -> None:
        """Keep these, and none from before."""
        ...

    async def use_recovery_code(self, digests: Sequence[str]) -> bool:
        """Use up the code with one of these digests; False if there is none that is unused.

        One conditional update decides.
        """
        ...

    async def recovery_codes_left(self) -> int:
        """How many are unused."""
        ...


class ChallengeRepository(Protocol):
    """The person's sign-ins that wait for a second factor."""

    async def open(self, challenge: Challenge, digest: str) -> None:
        """Keep one under its token's digest; the person's old ones are forgotten."""
        ...

    async def holder(self, digest: str) -> UserId | None:
        """Whose it is: also for a transaction of nobody.

        Whoever can name the digest holds the token.
        """
        ...

    async def attempt(self, digest: str, *, at_most: int) -> Challenge | None:
        """Count an attempt to meet it; None if it is over, or was tried so often before."""
        ...

    async def use(self, digest: str) -> bool:
        """Use it up; False if it was, or its time is over. One conditional update decides."""
        ...


class SecondFactorSecrets(Protocol):
    """Makes secrets and codes, and compares them."""

    def new_secret(self) -> bytes:
        """A new secret to share with an authenticator app."""
        ...

    def matching_step(self, secret: bytes, code: str, now: datetime) -> int | None:
        """The step around ``now`` whose code that is, or None."""
        ...

    def written(self, secret: bytes) -> str:
        """A secret as people type it into an app."""
        ...

    def uri(self, secret: bytes, account: str) -> str:
        """A secret as apps read it: an ``otpauth`` address."""
        ...

    def drawn(self, uri: str) -> str:
        """An address as a QR code, in SVG."""
        ...

    def new_recovery_code(self) -> str:
        """A recovery code, as it is shown."""
        ...

    def digests(self, code: str, user_id: UserId) -> tuple[str, ...]:
        """What is kept of somebody's recovery code, the newest kind first; all are accepted."""
        ...

    def new_token(self) -> str:
        """A token for a challenge."""
        ...

    def token_digest(self, token: str) -> str:
        """What is kept of it."""
        ...
