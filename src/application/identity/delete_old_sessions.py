"""Forget sessions that have been over for long, and sign-ins that came to nothing."""

from dataclasses import dataclass
from datetime import timedelta

from application.ports.sessions import OldSessions

KEEP = timedelta(days=30)
"""For how long after its end a session can still be looked into."""

BATCH = 500


@dataclass(frozen=True, slots=True)
class DeleteOldSessions:
    """Deletes a batch of them, with their refresh tokens."""

    old: OldSessions

    async def __call__(self) -> int:
        """Delete some; how many."""
        return await self.old.delete(KEEP, BATCH) + await self.old.delete_challenges(BATCH)
