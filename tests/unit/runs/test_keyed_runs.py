"""Runs that were started with a key: made by rules for a test key, and kept to the key's cap."""

from application.projects.execute_project import ExecuteProject, Execution
from application.projects.retry_run import RetryRun
from domain.billing.ledger import PERSONAL
from domain.keys.api_key import ActingKey, ApiKey
from domain.keys.key_text import KeyEnvironment
from domain.projects.run import Run, RunStatus
from tests.contracts.keys_contract import make_key
from tests.unit.runs.world import GRANT, World, open_world


async def started(world: World, **changes: object) -> tuple[ApiKey, Run]:
    """A key, and a run that it was used to start."""
    key = make_key(world.user_id, modes=frozenset(), **changes)
    async with world.uow.begin(world.user_id) as tx:
        await tx.keys.add(key)
    project = await world.project()
    execute = ExecuteProject(world.uow, world.queue, world.clock, world.ids)
    run = await execute(Execution(user_id=world.user_id, project_id=project.id, key=acting(key)))
    return key, run


def acting(key: ApiKey) -> ActingKey:
    return ActingKey(id=key.id, environment=key.environment, scopes=key.scopes, modes=key.modes)


async def stored(world: World, key: ApiKey) -> ApiKey:
    async with world.uow.begin(world.user_id) as tx:
        found = await tx.keys.get(key.id)
    assert found is not None
    return found


async def test_a_test_run_asks_rules_and_is_never_charged() -> None:
    world = await open_world()
    key, run = await started(world, environment=KeyEnvironment.TEST)
    await world.worker()(run.id)
    ended = await world.run(run.id)
    assert (ended.status, ended.test, ended.api_key_id) == (RunStatus.SUCCEEDED, True, key.id)
    assert not world.model.calls
    assert world.rules.calls
    # These rules have a price, which real ones do not: even so nothing is the person's.
    of_run = [each for each in world.database.tables.entries.values() if each.run_id == run.id]
    assert {posting.account for each in of_run for posting in each.postings}.isdisjoint(PERSONAL)
    tasks = (await world.tasks(run.id)).values()
    assert sum(task.credits + task.cost_nano_usd for task in tasks) == 0
    assert not world.database.tables.holds
    assert (await world.balance()).available == GRANT
    assert (await stored(world, key)).credits_used == 0


async def test_a_live_run_asks_the_model_and_never_rules() -> None:
    world = await open_world()
    _, run = await started(world)
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert world.model.calls
    assert not world.rules.calls


async def test_what_a_run_was_charged_is_counted_to_its_key() -> None:
    world = await open_world()
    key, run = await started(world, credit_cap=GRANT)
    await world.worker()(run.id)
    charged = sum(task.credits for task in (await world.tasks(run.id)).values())
    kept = await stored(world, key)
    assert charged > 0
    assert (kept.credits_used, kept.credits_held) == (charged, 0)
    assert (await world.balance()).available == GRANT - charged


async def test_a_cap_ends_a_run_before_it_is_passed() -> None:
    free = await open_world()
    key, run = await started(free)
    await free.worker()(run.id)
    whole = (await stored(free, key)).credits_used

    world = await open_world()
    key, run = await started(world, credit_cap=whole // 2)
    await world.worker()(run.id)
    ended, kept = await world.run(run.id), await stored(world, key)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, "key_cap_reached")
    assert kept.credits_used <= whole // 2
    assert kept.credits_held == 0
    assert (await world.balance()).available == GRANT - kept.credits_used


async def test_a_test_runs_retry_is_a_test_run() -> None:
    world = await open_world()
    _, run = await started(world, environment=KeyEnvironment.TEST)
    await world.cancel(world.user_id, run.id)
    await world.worker()(run.id)
    retry = RetryRun(world.uow, world.queue, world.clock, world.ids)
    assert (await retry(world.user_id, run.id)).test


async def test_a_test_key_makes_a_test_run_of_a_live_ones_retry() -> None:
    world = await open_world()
    _, run = await started(world)
    await world.cancel(world.user_id, run.id)
    await world.worker()(run.id)
    tester = make_key(world.user_id, environment=KeyEnvironment.TEST, modes=frozenset())
    retry = RetryRun(world.uow, world.queue, world.clock, world.ids)
    assert (await retry(world.user_id, run.id, key=acting(tester))).test
