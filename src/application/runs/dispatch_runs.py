"""Find runs that wait for a worker, and say so again."""

from dataclasses import dataclass

from application.failpoints import Failpoint, reach
from application.ports.claims import RunClaims
from application.ports.queue import JobQueue

LOOK = 20_000
"""How many due runs one look finds. Their order costs a look at all that wait, so it is made
for many at once: looked for batch by batch, twice the runs would cost four times the work."""

BATCH = 100
"""How many of them are put off at once: so many wait that longer when a dispatcher is killed."""

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
        due = await self.claims.due(LOOK)
        for start in range(0, len(due), BATCH):
            taken = await self.claims.put_off(due[start : start + BATCH], DEFER_SECONDS)
            for run_id in taken:
                reach(Failpoint.DUE_BEFORE_SEND)
                await self.queue.announce_run(run_id)
                reach(Failpoint.DUE_AFTER_SEND)
            announced += len(taken)
        return announced
