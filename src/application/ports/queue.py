"""The hint that work is due. It may be lost, repeated or late: the row is the job."""

from typing import Protocol

from domain.shared.ids import RunId


class JobQueue(Protocol):
    """Tells some worker about a run, soon."""

    async def announce_run(self, run_id: RunId) -> None:
        """Send the hint. Called after the commit that made the run due.

        A failure is logged and swallowed by the adapter, deliberately: the dispatcher
        finds the row, and the accepted request must not fail for a lost hint.
        """
        ...
