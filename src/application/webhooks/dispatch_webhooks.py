"""Find endpoints that something is due to, and say so; forget what is old."""

from dataclasses import dataclass

from application.ports.queue import JobQueue
from application.ports.webhooks import WebhookClaims
from application.webhooks.replay_deliveries import KEEP

BATCH = 100
FORGET_BATCH = 500
DEFER_SECONDS = 2.0
"""How long an endpoint whose hint was sent is left alone before it is announced again."""


@dataclass(frozen=True, slots=True)
class DispatchWebhooks:
    """One look at due deliveries. Many dispatchers may look at once."""

    claims: WebhookClaims
    queue: JobQueue

    async def __call__(self) -> int:
        """Announce every endpoint that something is due to; returns how many there were.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        announced = 0
        while True:
            due = await self.claims.due(BATCH, DEFER_SECONDS)
            for endpoint_id in due:
                await self.queue.announce_webhooks(endpoint_id)
            announced += len(due)
            if len(due) < BATCH:
                return announced


@dataclass(frozen=True, slots=True)
class ForgetWebhooks:
    """One bounded batch of events past their time, with deliveries and attempts."""

    claims: WebhookClaims

    async def __call__(self) -> int:
        """Delete a batch; returns how many events there were.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        return await self.claims.forget(KEEP.total_seconds(), FORGET_BATCH)
