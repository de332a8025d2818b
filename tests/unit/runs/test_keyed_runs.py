"""Runs that were started with a key: made by rules for a test key, and kept to the key's cap."""

import pytest

from application.ports.usage import SettledStep, UsageFilter
from application.projects.execute_project import ExecuteProject, Execution
from application.projects.retry_run import RetryRun
from application.runs import write_codebase
from domain.agents.artifacts import Mode
from domain.billing.ledger import PERSONAL
from domain.billing.plans import PlanForbidsMode
from domain.billing.usage import NO_USAGE
from domain.keys.api_key import ActingKey, ApiKey, KeyCapReached, ModeNotAllowed
from domain.keys.key_text import KeyEnvironment
from domain.projects.project import Project
from domain.projects.run import Run, RunStatus
from tests.contracts.keys_contract import make_key
from tests.contracts.samples import ORIGIN, keep_project
from tests.unit.runs.test_limits_of_credits import CREDITS, HELD
from tests.unit.runs.world import GRANT, World, open_world


async def started(
    world: World,
    project: Project | None = None,
    *,
    cap_credits: int | None = None,
    **changes: object,
) -> tuple[ApiKey, Run]:
    """A key, and a run that it was used to start."""
    key = make_key(world.user_id, **{"modes": frozenset(), **changes})
    async with world.uow.begin(world.user_id) as tx:
        await tx.keys.add(key)
    project = project or await world.project()
    execute = ExecuteProject(world.uow, world.queue, world.clock, world.ids)
    run = await execute(
        Execution(
            user_id=world.user_id,
            project_id=project.id,
            cap_credits=cap_credits,
            key=acting(key),
        )
    )
    return key, run


async def settled(world: World) -> list[SettledStep]:
    async with world.uow.begin(world.user_id) as tx:
        return [line.step for line in await tx.usage.lines(UsageFilter(), after=None, limit=1_000)]


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
    assert (await world.run(run.id)).charged_credits == 0
    assert (await world.balance()).available == GRANT
    assert (await stored(world, key)).credits_used == 0
    # It is on the account of usage, as what nobody was charged for.
    steps = await settled(world)
    assert {step.step for step in steps} == set(await world.tasks(run.id))
    assert {step.api_key_id for step in steps} == {key.id}
    assert {(step.charged, step.credits, step.usage) for step in steps} == {(False, 0, NO_USAGE)}


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
    steps = await settled(world)
    assert {step.api_key_id for step in steps} == {key.id}
    assert sum(step.credits for step in steps) == kept.credits_used


async def test_a_run_without_a_key_is_nobodys_in_the_account_of_usage() -> None:
    world = await open_world()
    await world.worker()((await world.accepted()).id)
    assert {step.api_key_id for step in await settled(world)} == {None}


async def test_a_key_cap_that_fits_one_call_at_a_time_is_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(write_codebase, "BATCH_FILES", 1)
    world = await open_world()
    _, run = await started(world, credit_cap=HELD + 10 * CREDITS)
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.SUCCEEDED
    assert world.model.most_in_flight == 1


async def test_what_was_paid_before_a_keys_cap_is_neither_asked_nor_paid_again() -> None:
    world = await open_world()
    key, run = await started(world, credit_cap=3 * CREDITS + HELD)
    await world.worker()(run.id)
    ended, task = await world.run(run.id), (await world.tasks(run.id))["code"]
    assert (ended.error_code, ended.charged_credits) == ("key_cap_reached", 4 * CREDITS)
    assert (task.error_code, task.credits) == ("key_cap_reached", CREDITS)
    kept = await stored(world, key)
    assert (kept.credits_used, kept.credits_held) == (4 * CREDITS, 0)
    retry = RetryRun(world.uow, world.queue, world.clock, world.ids)
    again = await retry(world.user_id, run.id, origin=ORIGIN)
    await world.worker()(again.id)
    assert (await world.run(again.id)).status is RunStatus.SUCCEEDED
    assert len(world.model.asked("code.plan")) == 1


async def test_whichever_of_two_caps_is_lower_holds() -> None:
    for run_cap, key_cap, code in (
        (2 * HELD, HELD - 1, "key_cap_reached"),
        (HELD - 1, 2 * HELD, "cap_reached"),
    ):
        world = await open_world()
        key, run = await started(world, cap_credits=run_cap, credit_cap=key_cap)
        await world.worker()(run.id)
        ended = await world.run(run.id)
        assert (ended.status, ended.error_code) == (RunStatus.FAILED, code)
        assert ended.charged_credits == (await stored(world, key)).credits_used == 0
        assert (await world.balance()).reserved == 0


async def test_a_key_that_is_used_up_starts_nothing() -> None:
    world = await open_world()
    with pytest.raises(KeyCapReached):
        await started(world, credit_cap=0)


async def test_a_project_must_be_of_a_mode_of_the_plan_and_of_the_key() -> None:
    world = await open_world()
    founders, developers = frozenset({Mode.FOUNDER}), frozenset({Mode.DEVELOPER})
    async with world.uow.begin(world.user_id) as tx:
        user = await tx.users.get(world.user_id)
    # A key widens nothing: the free plan has no projects of founders.
    with pytest.raises(PlanForbidsMode):
        await started(world, await keep_project(world.uow, user, mode=Mode.FOUNDER), modes=founders)
    project = await world.project()
    with pytest.raises(ModeNotAllowed):
        await started(world, project, modes=founders)
    _, run = await started(world, project, modes=developers)
    assert run.mode is Mode.DEVELOPER


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
    assert (await retry(world.user_id, run.id, origin=ORIGIN)).test


async def test_a_test_key_makes_a_test_run_of_a_live_ones_retry() -> None:
    world = await open_world()
    _, run = await started(world)
    await world.cancel(world.user_id, run.id)
    await world.worker()(run.id)
    tester = make_key(world.user_id, environment=KeyEnvironment.TEST, modes=frozenset())
    retry = RetryRun(world.uow, world.queue, world.clock, world.ids)
    assert (await retry(world.user_id, run.id, origin=ORIGIN, key=acting(tester))).test
