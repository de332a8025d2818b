"""The account of who acts."""

from application.ports.persistence import Transaction
from domain.identity.user import NotAuthenticated, User
from domain.shared.ids import UserId


async def own_account(tx: Transaction, user_id: UserId) -> User:
    """The account, which may be gone since they were let in.

    Raises:
        NotAuthenticated: it is gone.
    """
    user = await tx.users.get(user_id)
    if user is None:
        raise NotAuthenticated("This account is not active. Sign in again.")
    return user
