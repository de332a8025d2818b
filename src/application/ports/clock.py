"""Time and identifiers, so that tests may choose them."""

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class IdMaker(Protocol):
    """Makes identifiers."""

    def new(self) -> UUID:
        """A UUID of version 7 (RFC 9562 §5.7): later ones sort after earlier ones."""
        ...
