"""Show a person to themselves."""

from dataclasses import dataclass

from application.ports.persistence import UnitOfWork
from domain.billing.ledger import Balance
from domain.identity.user import NotAuthenticated, User
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class ShowUser:
    """Reads the signed-in person and their balance."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId) -> tuple[User, Balance]:
        """The person and their credits.

        Raises:
            NotAuthenticated: the account is gone or switched off since the token was made.
        """
        async with self.uow.begin(user_id) as tx:
            user = await tx.users.get(user_id)
            if user is None or not user.is_active:
                raise NotAuthenticated("This account is not active. Sign in again.")
            return user, await tx.ledger.balance(user_id)
