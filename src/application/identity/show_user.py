"""Show a person to themselves."""

from dataclasses import dataclass

from application.ports.reads import HotReads
from domain.billing.ledger import Balance
from domain.identity.user import NotAuthenticated, User
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class ShowUser:
    """Reads the signed-in person and their balance."""

    reads: HotReads

    async def __call__(self, user_id: UserId) -> tuple[User, Balance]:
        """The person and their credits.

        Raises:
            NotAuthenticated: the account is gone or switched off since the token was made.
        """
        found = await self.reads.user(user_id)
        if found is None or not found[0].is_active:
            raise NotAuthenticated("This account is not active. Sign in again.")
        return found
