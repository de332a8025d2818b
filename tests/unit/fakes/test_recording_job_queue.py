"""The fake queue keeps the contract."""

import pytest

from domain.shared.ids import RunId
from tests.contracts.job_queue_contract import JobQueueContract, Received
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
