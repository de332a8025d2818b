"""What is still to be deleted of those who left: due rows, one a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.shared.ids import UserId


class Erasures(Protocol):
    """What the transaction's person leaves to be deleted."""

    async def add(self) -> None:
        """Have the person's objects deleted, from now on. Once is enough."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueErasure:
    """Objects of somebody that are to be deleted, and for how long that has been asked for.

    ``attempts`` counts the failures since the last success.
    """

    user_id: UserId
    asked_for: timedelta
    attempts: int


class ErasureQueue(Protocol):
    """Everybody's due rows. A claim is committed on its own, and lapses by itself."""

    async def claim(self, limit: int, lease: timedelta) -> Sequence[DueErasure]:
        """Take some that are due; nobody else gets them for so long.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...

    async def go_on(self, user_id: UserId, wait: timedelta) -> None:
        """It went well so far: look again after so long."""
        ...

    async def put_off(self, user_id: UserId, wait: timedelta, error: str) -> None:
        """It failed: try again after so long."""
        ...

    async def done(self, user_id: UserId) -> None:
        """Nothing is left."""
        ...
