"""Find runs that wait for a worker, and say so again."""

from dataclasses import dataclass

from application.failpoints import Failpoint, reach
from application.ports.persistence import RunClaims
from application.ports.queue import JobQueue

BATCH = 100
DEFER_SECONDS = 5.0
"""How long a run whose hint was sent is left alone before it is announced again."""


@dataclass(frozen=True, slots=True)
class DispatchRuns:
    """One look at the due rows. Many dispatchers may look at once."""

    claims: RunClaims
    queue: JobQueue

    async def __call__(self) -> int:
        """Announce every due run; returns how many there were.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        announced = 0
        while True:
            due = await self.claims.due(BATCH, DEFER_SECONDS)
            for run_id in due:
                reach(Failpoint.DUE_BEFORE_SEND)
                await self.queue.announce_run(run_id)
                reach(Failpoint.DUE_AFTER_SEND)
            announced += len(due)
            if len(due) < BATCH:
                return announced
