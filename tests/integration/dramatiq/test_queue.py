"""Hints over a real server, to a real worker: threads, an event loop, and its end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from dramatiq.brokers.redis import RedisBroker

from adapters.dramatiq import HINT_SECONDS, DramatiqJobQueue, Handlers, RunWorker, open_broker
from adapters.dramatiq.queue import QUEUE
from domain.shared.ids import RunId, WebhookEndpointId
from entrypoints.local_stack import StackAddresses
from entrypoints.local_stack.ports import choose_free_port
from tests.contracts.job_queue_contract import Hinted, JobQueueContract, Received
from tests.contracts.samples import new_id
from tests.integration.redis.private_valkey import PrivateValkey


class Works:
    """A handler that keeps what it was given, and may be told to take its time."""

    def __init__(self) -> None:
        self.got: list[RunId] = []
        self.endpoints: list[WebhookEndpointId] = []
        self.handed_back: list[RunId] = []
        self.slow = False
        self.events: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Handlers]:
        self.events.append("opened")
        yield Handlers(run=self.handle, webhooks=self.endpoints.append)
        self.events.append("closed")

    async def handle(self, run_id: RunId) -> None:
        self.got.append(run_id)
        if not self.slow:
            return
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)  # a commit on the way out
            self.handed_back.append(run_id)
            raise


@pytest.fixture
def broker(stack: StackAddresses) -> Iterator[RedisBroker]:
    """A worker's own connections; closed, because a later test is blamed for what is left open."""
    opened = open_broker(stack.redis_url or "")
    # What others announced, for whom nobody works, would be heard here.
    for key in opened.client.scan_iter("dramatiq:*"):
        opened.client.delete(key)
    yield opened
    opened.client.close()
    opened.client.connection_pool.disconnect()


@pytest.fixture
async def works(broker: RedisBroker) -> AsyncIterator[Works]:
    handler = Works()
    worker = RunWorker(broker, handler.open, concurrency=4)
    await asyncio.to_thread(worker.start)
    yield handler
    await asyncio.to_thread(worker.stop)


@pytest.fixture
def queue(stack: StackAddresses) -> Iterator[DramatiqJobQueue]:
    sending = open_broker(stack.redis_url or "")
    yield DramatiqJobQueue(sending)
    sending.client.close()


async def _wait(works: Works, count: int) -> list[RunId]:
    async with asyncio.timeout(30):
        while len(works.got) < count:
            await asyncio.sleep(0.01)
    return list(works.got)


async def _wait_for_endpoints(works: Works, count: int) -> list[WebhookEndpointId]:
    async with asyncio.timeout(30):
        while len(works.endpoints) < count:
            await asyncio.sleep(0.01)
    return list(works.endpoints)


class TestDramatiq(JobQueueContract):
    """The contract, end to end."""

    @pytest.fixture
    def received(self, works: Works) -> Received:
        async def wait(count: int) -> list[RunId]:
            return await _wait(works, count)

        return wait

    @pytest.fixture
    def hinted(self, works: Works) -> Hinted:
        async def wait(count: int) -> list[WebhookEndpointId]:
            return await _wait_for_endpoints(works, count)

        return wait


async def test_a_worker_that_stops_lets_its_runs_be_handed_back_first(
    broker: RedisBroker, queue: DramatiqJobQueue
) -> None:
    works = Works()
    works.slow = True
    worker = RunWorker(broker, works.open, concurrency=2)
    await asyncio.to_thread(worker.start)
    run_ids = [RunId(new_id()), RunId(new_id())]
    for run_id in run_ids:
        await queue.announce_run(run_id)
    await _wait(works, 2)
    await asyncio.to_thread(worker.stop)
    assert sorted(works.handed_back) == sorted(run_ids)
    assert works.events == ["opened", "closed"]


async def test_runs_that_take_their_time_do_not_hold_up_webhooks(
    broker: RedisBroker, queue: DramatiqJobQueue
) -> None:
    works = Works()
    works.slow = True
    worker = RunWorker(broker, works.open, concurrency=2)
    await asyncio.to_thread(worker.start)
    try:
        for _ in range(5):
            await queue.announce_run(RunId(new_id()))
        await _wait(works, 2)
        hinted = [WebhookEndpointId(new_id()) for _ in range(10)]
        for endpoint_id in hinted:
            await queue.announce_webhooks(endpoint_id)
        assert sorted(await _wait_for_endpoints(works, len(hinted))) == sorted(hinted)
        assert len(works.got) == 2
    finally:
        await asyncio.to_thread(worker.stop)
    broker.flush(QUEUE)  # what is left is for nobody


async def test_a_handler_that_cannot_be_opened_is_no_silent_worker(
    broker: RedisBroker,
) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Handlers]:
        raise ConnectionRefusedError("no database")
        yield Handlers(run=_never, webhooks=lambda _: None)

    worker = RunWorker(broker, broken, concurrency=1)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(worker.start)


async def test_a_hint_that_cannot_be_sent_is_logged_and_fails_nobody() -> None:
    nowhere = DramatiqJobQueue(open_broker(f"redis://127.0.0.1:{choose_free_port()}/0"))
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(30):
            await nowhere.announce_run(RunId(new_id()))
    assert [entry["event"] for entry in logs] == ["hint not sent"]


async def test_a_server_that_stands_still_holds_no_request_up(tmp_path: Path) -> None:
    server = PrivateValkey(tmp_path)
    server.start()
    broker = open_broker(server.url, HINT_SECONDS)
    try:
        queue = DramatiqJobQueue(broker)
        await queue.announce_run(RunId(new_id()))
        server.freeze()
        with structlog.testing.capture_logs() as logs:
            # A worker's connection, which may wait, would take ten seconds.
            async with asyncio.timeout(8):
                await queue.announce_run(RunId(new_id()))
        assert [entry["event"] for entry in logs] == ["hint not sent"]
        server.thaw()
    finally:
        broker.client.close()
        server.kill()


async def _never(run_id: RunId) -> None:
    raise AssertionError(run_id)
