"""Many people's runs share the workers."""

from domain.projects.run import RunStatus
from tests.unit.runs.world import open_world


async def test_a_run_beyond_the_limit_waits_and_counts_no_attempt() -> None:
    world = await open_world(runs_per_user=1)
    first, second = await world.accepted(), await world.accepted()
    held = await world.claims.claim(first.id, 60)
    assert held is not None
    await world.worker()(second.id)
    waiting = await world.run(second.id)
    assert (waiting.status, waiting.attempts) == (RunStatus.QUEUED, 0)
    assert not world.model.calls


async def test_the_next_run_is_announced_by_the_first_look_after_one_ended() -> None:
    world = await open_world(runs_per_user=1)
    first, second = await world.accepted(), await world.accepted()
    await world.claims.claim(first.id, 60)
    await world.worker()(second.id)
    assert await world.dispatcher() == 0
    await world.cancel(world.user_id, first.id)
    async with world.uow.begin(world.user_id) as tx:
        await tx.runs.finish(first.id, RunStatus.CANCELLED)
    assert await world.dispatcher() == 1
    assert world.queue.announced[-1] == second.id
    await world.worker()(second.id)
    assert (await world.run(second.id)).status is RunStatus.SUCCEEDED


async def test_only_a_persons_first_run_is_announced_past_the_line() -> None:
    world = await open_world()
    first = await world.accepted()
    second = await world.accepted()
    assert world.queue.announced == [first.id]
    await world.dispatcher()
    assert world.queue.announced[1:] == [first.id, second.id]
