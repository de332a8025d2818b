"""The hint that work is due, kept instead of sent."""

from application.ports.queue import JobQueue
from domain.shared.ids import RunId, WebhookEndpointId


class RecordingJobQueue(JobQueue):
    """Remembers what was announced, in order. Clear ``announced`` to lose the hints."""

    def __init__(self) -> None:
        self.announced: list[RunId] = []
        self.endpoints: list[WebhookEndpointId] = []

    async def announce_run(self, run_id: RunId) -> None:
        self.announced.append(run_id)

    async def announce_webhooks(self, endpoint_id: WebhookEndpointId) -> None:
        self.endpoints.append(endpoint_id)
