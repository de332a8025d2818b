"""Every way a run begins and ends is told to endpoints, once, with the commit that says so."""

import json
from collections.abc import Sequence

import pytest

from application.runs.set_aside import set_aside
from domain.agents.artifacts import Mode
from domain.identity.user import Role
from domain.projects.run import Run, RunStatus
from domain.shared.ids import RunId
from tests.contracts.webhooks_contract import keep_endpoint
from tests.unit.runs.test_poison import UnreadableClaims, change, wear_out
from tests.unit.runs.world import World, open_world


def told(world: World) -> Sequence[dict[str, object]]:
    """The bodies of all events, oldest first."""
    rows = world.database.tables.webhook_events
    return [json.loads(rows[id_].event.body) for id_ in sorted(rows)]


async def listening(world: World) -> None:
    await keep_endpoint(world.uow, world.user_id, events=("run.*",))


def types(world: World) -> list[object]:
    return [body["type"] for body in told(world)]


async def test_a_run_that_succeeds() -> None:
    world = await open_world(role=Role.PARTNER)
    await listening(world)
    run = await world.accepted()
    assert types(world) == ["run.accepted"]
    await world.worker()(run.id)
    accepted, succeeded = told(world)
    queued, *_, finished = await world.events(run.id)
    said = {name: value for name, value in queued.data.items() if name != "steps"}
    assert said["mode"] == "developer"
    assert accepted["data"] == {"run_id": str(run.id), **said}
    assert succeeded["type"] == "run.succeeded"
    assert succeeded["data"] == {
        "run_id": str(run.id),
        "project_id": str(run.project_id),
        **finished.data,
    }


async def test_a_run_that_fails() -> None:
    world = await open_world(credits=1, role=Role.PARTNER)
    await listening(world)
    run = await world.accepted()
    await world.worker()(run.id)
    assert (await world.run(run.id)).status is RunStatus.FAILED
    assert types(world) == ["run.accepted", "run.failed"]
    data = told(world)[1]["data"]
    assert isinstance(data, dict)
    assert data["error_code"] == "insufficient_credits"


async def test_a_run_that_is_cancelled_before_it_began_and_after() -> None:
    world = await open_world(role=Role.PARTNER)
    await listening(world)
    waiting = await world.accepted()
    await world.cancel(world.user_id, waiting.id)
    assert types(world) == ["run.accepted", "run.cancelled"]
    begun = await world.accepted()
    change(world, begun, cancel_requested=True)
    await world.worker()(begun.id)
    assert types(world)[2:] == ["run.accepted", "run.cancelled"]


@pytest.mark.parametrize("unreadable", [False, True])
async def test_a_run_that_is_dead(unreadable: bool) -> None:
    world = await open_world(role=Role.PARTNER)
    await listening(world)
    run = await world.accepted()
    if unreadable:
        world.claims = UnreadableClaims(world.database)
    else:
        change(world, run, mode=Mode.STUDENT)
    await wear_out(world, run)
    assert types(world) == ["run.accepted", "run.dead"]


async def test_an_end_that_is_not_committed_is_not_told() -> None:
    world = await open_world(role=Role.PARTNER)
    await listening(world)
    run: Run = await world.accepted()
    world.database.fail_next_commit()
    with pytest.raises(Exception, match="connection broke"):
        await set_aside(
            world.uow,
            world.user_id,
            run.project_id,
            RunId(run.id),
            error_code="worker_lost",
            error="Lost.",
        )
    assert types(world) == ["run.accepted"]


async def test_nothing_is_kept_for_who_has_no_endpoint() -> None:
    world = await open_world(role=Role.PARTNER)
    run = await world.accepted()
    await world.worker()(run.id)
    assert told(world) == []
