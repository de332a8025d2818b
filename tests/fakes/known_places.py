"""Known places, in memory."""

from datetime import datetime

from application.ports.clock import Clock
from application.ports.known_places import REMEMBERED, KnownPlaces


class InMemoryKnownPlaces(KnownPlaces):
    """Places whose age a clock decides."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], datetime] = {}

    async def note(self, account: str, place: str) -> None:
        self._until[account, place] = self._clock.now() + REMEMBERED

    async def knows(self, account: str, place: str) -> bool:
        until = self._until.get((account, place))
        return until is not None and self._clock.now() < until
