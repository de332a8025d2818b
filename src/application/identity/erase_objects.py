"""Delete the stored objects of those who deleted their account."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from application.ports.erasure import DueErasure, ErasureQueue
from application.ports.object_store import ObjectStore, ObjectStoreUnavailable

log = structlog.get_logger(__name__)

PEOPLE = 5
OBJECTS = 1_000
"""Deleted of one person at a time: what S3 takes in one request."""

LEASE = timedelta(minutes=2)
AGAIN = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=6)

SETTLED = timedelta(days=1)
"""When it is looked a last time: what a worker was still writing as the account was deleted is
there by then."""


@dataclass(frozen=True, slots=True)
class EraseObjects:
    """Deletes what lies under a person's id, in batches, until nothing does.

    A store that is away is tried again, with growing waits and for as long as it takes. A process
    that dies in between leaves a claim that lapses, and deleting what is gone is harmless.
    """

    queue: ErasureQueue
    objects: ObjectStore

    async def __call__(self) -> int:
        """Delete a batch for each of some people; of how many."""
        due = await self.queue.claim(PEOPLE, LEASE)
        for erasure in due:
            await self._erase(erasure)
        return len(due)

    async def _erase(self, erasure: DueErasure) -> None:
        try:
            gone = await self.objects.delete_under(f"{erasure.user_id}/", OBJECTS)
        except ObjectStoreUnavailable as error:
            wait = min(AGAIN * 2 ** min(erasure.attempts, 20), LONGEST_WAIT)
            log.warning("objects not deleted", user_id=str(erasure.user_id), error=str(error))
            await self.queue.put_off(erasure.user_id, wait, str(error))
            return
        if gone:
            log.info("objects deleted", user_id=str(erasure.user_id), count=gone)
        if gone == OBJECTS:
            await self.queue.go_on(erasure.user_id, timedelta())
        elif gone or erasure.asked_for < SETTLED:
            await self.queue.go_on(erasure.user_id, max(SETTLED - erasure.asked_for, AGAIN))
        else:
            await self.queue.done(erasure.user_id)
