"""The fake queue keeps the contract."""

import pytest

from domain.shared.ids import RunId, WebhookEndpointId
from tests.contracts.job_queue_contract import Hinted, JobQueueContract, Received
from tests.fakes.queue import RecordingJobQueue


class TestRecordingJobQueue(JobQueueContract):
    """Hints are kept in order."""

    @pytest.fixture
    def queue(self) -> RecordingJobQueue:
        return RecordingJobQueue()

    @pytest.fixture
    def received(self, queue: RecordingJobQueue) -> Received:
        async def announced(count: int) -> list[RunId]:
            assert len(queue.announced) >= count
            return list(queue.announced)

        return announced

    @pytest.fixture
    def hinted(self, queue: RecordingJobQueue) -> Hinted:
        async def announced(count: int) -> list[WebhookEndpointId]:
            assert len(queue.endpoints) >= count
            return list(queue.endpoints)

        return announced
