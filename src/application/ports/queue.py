"""The hint that work is due. It may be lost, repeated or late: the row is the job."""

from typing import Protocol

from domain.shared.ids import RunId, WebhookEndpointId


class JobQueue(Protocol):
    """Tells some worker about work, soon."""

    async def announce_run(self, run_id: RunId) -> None:
        """Send the hint. Called after the commit that made the run due.

        A failure is logged and swallowed by the adapter, deliberately: the dispatcher
        finds the row, and the accepted request must not fail for a lost hint.
        """
        ...

    async def announce_webhooks(self, endpoint_id: WebhookEndpointId) -> None:
        """Send the hint that something is due to a webhook endpoint; fails as the other does."""
        ...
