"""A run that breaks its worker is counted, backs off, and ends dead with its evidence."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

from application.ports.claims import RunClaims, RunUnreadable
from domain.agents.artifacts import Mode
from domain.projects.project import ProjectStatus
from domain.projects.run import MAX_CLAIMS, Claim, Run, RunStatus
from domain.shared.events import EventType
from domain.shared.ids import RunId
from tests.contracts.samples import make_reservation
from tests.fakes.persistence import InMemoryRunClaims
from tests.unit.runs.world import GRANT, World, open_world

LONGEST_BACK_OFF = timedelta(seconds=100)


def change(world: World, run: Run, **fields: object) -> None:
    """Put into the run's row what no use case would."""
    row = world.database.tables.runs[run.id]
    changed = replace(row.run, **fields)  # type: ignore[arg-type]  # whatever the test says
    world.database.tables.runs[run.id] = replace(row, run=changed)


class UnreadableClaims(InMemoryRunClaims):
    """Claims whose rows are not those of runs."""

    async def claim(self, run_id: RunId, lease_seconds: float) -> Claim | None:
        claim = await super().claim(run_id, lease_seconds)
        if claim is None:
            return None
        run = claim.run
        raise RunUnreadable(
            run.id,
            run.project_id,
            run.user_id,
            fence=claim.fence,
            attempts=run.attempts,
            reason="'poetry' is not a valid Mode",
        )


async def wear_out(world: World, run: Run) -> list[RunStatus]:
    """Work on the run until it would be dead; its states in between."""
    states = []
    for _ in range(MAX_CLAIMS):
        await world.worker()(run.id)
        states.append((await world.run(run.id)).status)
        world.clock.move(LONGEST_BACK_OFF)
    return states


async def test_a_run_of_an_unknown_mode_ends_dead_with_the_fault_as_evidence() -> None:
    world = await open_world()
    run = await world.accepted()
    change(world, run, mode=Mode.STUDENT)
    states = await wear_out(world, run)
    assert states == [*[RunStatus.QUEUED] * (MAX_CLAIMS - 1), RunStatus.DEAD]
    ended = await world.run(run.id)
    assert ended.error_code == "worker_error"
    assert ended.error.startswith("InvalidValue: ")
    assert world.metrics.deaths == ["worker_error"]
    events = await world.events(run.id)
    assert events[-1].type is EventType.RUN_FINISHED
    assert events[-1].data["status"] == "dead"


async def test_between_its_tries_it_backs_off_for_longer_each_time() -> None:
    world = await open_world()
    run = await world.accepted()
    change(world, run, mode=Mode.STUDENT)
    waits = []
    for _ in range(MAX_CLAIMS - 1):
        await world.worker()(run.id)
        row = world.database.tables.runs[run.id]
        waits.append((row.not_before - world.clock.now()).total_seconds())
        world.clock.set(row.not_before)
    assert waits == [2, 4, 8, 16]


async def test_it_blocks_nobody_else() -> None:
    world = await open_world()
    poison, sound = await world.accepted(), await world.accepted()
    change(world, poison, mode=Mode.STUDENT)
    worker = world.worker()
    await worker(poison.id)
    await worker(sound.id)
    assert (await world.run(sound.id)).status is RunStatus.SUCCEEDED


async def test_a_row_that_cannot_be_read_ends_dead_and_gives_back_what_it_held() -> None:
    world = await open_world()
    run = await world.accepted()
    async with world.uow.begin(world.user_id) as tx:
        await tx.ledger.reserve(make_reservation(run, 100))
    world.claims = cast(RunClaims, UnreadableClaims(world.database))
    await wear_out(world, run)
    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.DEAD, "worker_error")
    assert ended.error == "RunUnreadable: 'poetry' is not a valid Mode"
    assert (await world.balance()).available == GRANT
    assert world.metrics.deaths == ["worker_error"]
    async with world.uow.begin(world.user_id) as tx:
        project = await tx.projects.get(run.project_id)
    assert project is not None
    assert project.status is ProjectStatus.FAILED


async def test_a_fault_at_the_end_itself_still_ends_the_run() -> None:
    world = await open_world()
    run = await world.accepted()
    await world.cancel(world.user_id, run.id)
    # As of a person who cancelled while something was held, so that a worker must end it.
    change(world, run, status=RunStatus.QUEUED, cancel_requested=True, progress=300)
    await wear_out(world, run)
    ended = await world.run(run.id)
    assert (ended.status, ended.error_code) == (RunStatus.DEAD, "worker_error")


async def test_a_lost_worker_is_counted_too() -> None:
    world = await open_world()
    run = await world.accepted()
    for _ in range(MAX_CLAIMS):
        assert await world.claims.claim(run.id, 1) is not None
        world.clock.move(timedelta(seconds=2))
    await world.worker()(run.id)
    assert world.metrics.deaths == ["worker_lost"]
