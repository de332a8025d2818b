"""Watchers see the whole log, once, in order, whatever is lost on the way to them."""

import asyncio

import pytest

from application.ports.live import Nudge, StepProgress
from application.ports.security import Principal
from application.runs import run_feed
from application.runs.follow_run import FollowRun, IssueStreamTicket
from domain.identity.user import NotAuthenticated, Role
from domain.shared.errors import NotFound
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import RunId, UserId
from tests.contracts.samples import new_id
from tests.fakes.clock import MovableClock
from tests.fakes.live import InMemoryStreamTickets
from tests.unit.runs.world import World, open_world


def caller(user_id: UserId) -> Principal:
    return Principal(user_id=user_id, role=Role.MEMBER)


def _follow(world: World) -> FollowRun:
    return FollowRun(world.uow, world.live, InMemoryStreamTickets(world.clock))


async def _seen(world: World, run_id: RunId, after: int = 0) -> list[int]:
    updates = _follow(world)(world.user_id, run_id, after)
    return [update.seq async for update in updates if isinstance(update, RunEvent)]


async def test_a_finished_run_is_replayed_from_any_number() -> None:
    world = await open_world()
    run = await world.accepted()
    await world.worker()(run.id)
    whole = [event.seq for event in await world.events(run.id)]
    assert await _seen(world, run.id) == whole
    assert await _seen(world, run.id, after=4) == whole[4:]
    assert await _seen(world, run.id, after=len(whole)) == []


async def test_a_live_run_is_followed_to_its_end() -> None:
    world = await open_world()
    run = await world.accepted()
    watching = asyncio.create_task(_seen(world, run.id))
    await world.worker()(run.id)
    assert await asyncio.wait_for(watching, 5) == [e.seq for e in await world.events(run.id)]


async def test_entries_are_found_without_any_nudge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_feed, "POLL_SECONDS", 0.01)
    world = await open_world()
    run = await world.accepted()
    watching = asyncio.create_task(_seen(world, run.id))
    await asyncio.sleep(0)

    async def lost(run_id: RunId, update: Nudge | StepProgress) -> None:
        return None

    monkeypatch.setattr(world.live, "publish", lost)
    await world.worker()(run.id)
    assert await asyncio.wait_for(watching, 5) == [e.seq for e in await world.events(run.id)]


async def test_fleeting_figures_pass_through() -> None:
    world = await open_world()
    run = await world.accepted()
    updates = _follow(world)(world.user_id, run.id, 1)
    coming = asyncio.ensure_future(anext(updates))
    while run.id not in world.live.followed():
        await asyncio.sleep(0)
    await world.live.publish(run.id, StepProgress(step="idea", output_tokens=7))
    assert await asyncio.wait_for(coming, 5) == StepProgress(step="idea", output_tokens=7)
    await updates.aclose()
    assert run.id not in world.live.followed()


async def test_a_strangers_run_is_not_found() -> None:
    world = await open_world()
    run = await world.accepted()
    with pytest.raises(NotFound):
        async for _ in _follow(world)(UserId(new_id()), run.id, 0):
            pass


async def test_a_ticket_admits_its_person_to_its_run_once() -> None:
    world = await open_world()
    run = await world.accepted()
    tickets = InMemoryStreamTickets(world.clock)
    ticket = await IssueStreamTicket(world.uow, tickets)(caller(world.user_id), run.id)
    follow = FollowRun(world.uow, world.live, tickets)
    assert (await follow.admit(ticket, run.id)).user_id == world.user_id
    with pytest.raises(NotAuthenticated):
        await follow.admit(ticket, run.id)


async def test_nobody_gets_a_ticket_for_a_strangers_run() -> None:
    world = await open_world()
    run = await world.accepted()
    issue = IssueStreamTicket(world.uow, InMemoryStreamTickets(MovableClock()))
    with pytest.raises(NotFound):
        await issue(caller(UserId(new_id())), run.id)


async def test_the_log_ends_with_the_runs_end() -> None:
    world = await open_world()
    run = await world.accepted()
    await world.cancel(world.user_id, run.id)
    updates = [u async for u in _follow(world)(world.user_id, run.id, 0)]
    assert isinstance(updates[-1], RunEvent)
    assert updates[-1].type is EventType.RUN_FINISHED
