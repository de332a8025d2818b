"""Where accounts were signed in to before."""

from datetime import timedelta
from typing import Final, Protocol

REMEMBERED: Final = timedelta(days=30)
"""How long a place is known, from the last time somebody signed in there."""


class KnownPlaces(Protocol):
    """Remembers from which addresses an account was signed in to.

    It may forget, and does while what keeps it is away: then a place is not known. Neither method
    raises for that.
    """

    async def note(self, account: str, place: str) -> None:
        """Somebody signed in to the account of that name there, with all that it asks for."""
        ...

    async def knows(self, account: str, place: str) -> bool:
        """Whether somebody did, within :data:`REMEMBERED`."""
        ...
