"""The people who have accounts."""

from typing import Protocol

from domain.identity.user import Role, User
from domain.shared.ids import UserId


class UserRepository(Protocol):
    """People: the transaction's own person, and whoever is named by their email."""

    async def add(self, user: User) -> None:
        """Keep a new user.

        Raises:
            EmailTaken: an account with that email exists.
        """
        ...

    async def get(self, user_id: UserId) -> User | None:
        """The user with that id, if it is the transaction's person, or None."""
        ...

    async def by_email(self, email: str) -> User | None:
        """The user with that normalised email, or None."""
        ...

    async def set_password_hash(self, user_id: UserId, password_hash: str) -> None:
        """Replace the hash of the transaction's own person."""
        ...

    async def set_email(self, user_id: UserId, email: str) -> None:
        """Give the transaction's own person an address that was proved to be theirs.

        Raises:
            EmailTaken: another account has it.
        """
        ...

    async def keep_an_admin(self, user_id: UserId) -> None:
        """Have everybody else who takes an admin away wait until the commit.

        Call it before anything else is locked.

        Raises:
            LastAdmin: without that person no active admin would be left.
        """
        ...

    async def erase(self, user_id: UserId) -> None:
        """Switch the transaction's own person off, and forget name, address and password.

        Raises:
            LastAdmin: without that person no active admin would be left.
        """
        ...

    async def set_standing(
        self, by: UserId, *, role: Role | None = None, is_active: bool | None = None
    ) -> User:
        """Change the role of the transaction's person, or whether they may act; None keeps it.

        Raises:
            OwnStanding: ``by`` is the same person.
            PermissionDenied: ``by`` is no active admin. Of two who demote one another, one is.
            LastAdmin: no active admin would be left.
            NotFound: there is no such person.
        """
        ...
