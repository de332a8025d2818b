"""What a job queue promises: a hint reaches whoever takes them, and sending never fails."""

import asyncio
from collections.abc import Awaitable, Callable

from application.ports.queue import JobQueue
from domain.shared.ids import RunId, WebhookEndpointId
from tests.contracts.samples import new_id

Received = Callable[[int], Awaitable[list[RunId]]]
"""Wait for that many hints and return all that came."""

Hinted = Callable[[int], Awaitable[list[WebhookEndpointId]]]
"""The same for hints at webhook endpoints."""


class JobQueueContract:
    """Fixtures: ``queue``, ``received`` and ``hinted`` for what comes out at the other end."""

    async def test_a_hint_arrives(self, queue: JobQueue, received: Received) -> None:
        run_id = RunId(new_id())
        await queue.announce_run(run_id)
        assert run_id in await received(1)

    async def test_hints_of_many_senders_all_arrive(
        self, queue: JobQueue, received: Received
    ) -> None:
        run_ids = {RunId(new_id()) for _ in range(20)}
        await asyncio.gather(*(queue.announce_run(run_id) for run_id in run_ids))
        assert run_ids <= set(await received(20))

    async def test_the_same_run_may_be_announced_again(
        self, queue: JobQueue, received: Received
    ) -> None:
        run_id = RunId(new_id())
        await queue.announce_run(run_id)
        await queue.announce_run(run_id)
        assert (await received(2)).count(run_id) == 2

    async def test_a_hint_at_an_endpoint_arrives_as_such(
        self, queue: JobQueue, received: Received, hinted: Hinted
    ) -> None:
        endpoint_id, run_id = WebhookEndpointId(new_id()), RunId(new_id())
        await queue.announce_webhooks(endpoint_id)
        await queue.announce_run(run_id)
        assert endpoint_id in await hinted(1)
        runs = await received(1)
        assert run_id in runs
        assert endpoint_id not in runs
