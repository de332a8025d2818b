"""What a job queue promises: a hint reaches whoever takes them, and sending never fails."""

import asyncio
from collections.abc import Awaitable, Callable

from application.ports.queue import JobQueue
from domain.shared.ids import RunId
from tests.contracts.samples import new_id

Received = Callable[[int], Awaitable[list[RunId]]]
"""Wait for that many hints and return all that came."""


class JobQueueContract:
    """Fixtures: ``queue``, and ``received`` for what comes out at the other end."""

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
