"""Whatever breaks and wherever, a key's effect happens at most once and its reply stays."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from application.idempotency.answer_once import (
    KEEP_SECONDS,
    LEASE_SECONDS,
    Answer,
    AnswerOnce,
    KeyedRequest,
)
from application.idempotency.delete_expired_keys import BATCH, DeleteExpiredKeys
from application.ports.idempotency import Completion, StoredReply
from application.ports.paging import Page
from application.ports.persistence import DatabaseUnavailable
from application.projects.create_project import CreateProject, NewProject
from application.projects.execute_project import ExecuteProject, Execution
from application.runs.cancel_run import CancelRun
from domain.agents.artifacts import Mode
from domain.projects.project import Project
from domain.projects.run import Run
from domain.shared.errors import Conflict, DomainError
from domain.shared.idempotency import IdempotencyInFlight, IdempotencyKey, IdempotencyMismatch
from domain.shared.ids import UserId
from tests.contracts.samples import keep_project, keep_run, keep_user, make_project
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.live import InMemoryLiveUpdates
from tests.fakes.persistence import (
    InMemoryDatabase,
    InMemoryExpiredIdempotencyKeys,
    InMemoryUnitOfWork,
)
from tests.fakes.queue import RecordingJobQueue

KEY = IdempotencyKey("one-key")

Effect = Callable[[Completion[Project]], Awaitable[Project]]


class Killed(BaseException):
    """The end of a process, which does nothing more after it."""


class World:
    """A person who creates projects under one key."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.database = InMemoryDatabase(self.clock)
        self.uow = InMemoryUnitOfWork(self.database)
        self.ids = CountingIds()
        self.once = AnswerOnce(self.uow)
        self.create = CreateProject(self.uow, self.clock, self.ids)
        self.user_id: UserId

    async def created(self, completion: Completion[Project] | None) -> Project:
        return await self.create(
            NewProject(
                user_id=self.user_id,
                idea="A long enough idea.",
                mode=Mode.DEVELOPER,
                once=completion,
            )
        )

    async def answer(self, effect: Effect | None = None, *, request_hash: str = "h") -> Answer:
        return await self.ask(effect or self.created, request_hash=request_hash)

    async def ask(self, effect: Any, *, request_hash: str = "h") -> Answer:
        return await self.once(
            KeyedRequest(user_id=self.user_id, key=KEY, request_hash=request_hash),
            effect,
            render=lambda result: StoredReply(
                status=201, headers={"A": "b"}, body=str(result.id).encode()
            ),
            refusal=refused,
        )

    async def projects(self) -> int:
        async with self.uow.begin(self.user_id) as tx:
            return len(await tx.projects.page(Page(limit=100), status=None, search=""))

    def pass_seconds(self, seconds: float) -> None:
        self.clock.move(timedelta(seconds=seconds))


def refused(error: DomainError) -> StoredReply | None:
    if isinstance(error, Conflict):
        return StoredReply(status=409, headers={}, body=error.code.encode())
    return None


@pytest.fixture
async def world() -> World:
    made = World()
    made.user_id = (await keep_user(made.uow)).id
    return made


async def test_a_repeat_gets_the_first_reply_and_has_no_effect(world: World) -> None:
    first, second = await world.answer(), await world.answer()
    assert (first.replayed, second.replayed) == (False, True)
    assert second.reply == first.reply
    assert await world.projects() == 1


async def test_many_at_once_have_one_effect(world: World) -> None:
    outcomes = await asyncio.gather(*(world.answer() for _ in range(20)), return_exceptions=True)
    assert len([o for o in outcomes if isinstance(o, Answer) and not o.replayed]) == 1
    assert all(isinstance(outcome, (Answer, IdempotencyInFlight)) for outcome in outcomes)
    assert (await world.answer()).replayed
    assert await world.projects() == 1


async def test_another_request_under_the_key_is_refused(world: World) -> None:
    await world.answer()
    with pytest.raises(IdempotencyMismatch):
        await world.answer(request_hash="other")


async def test_after_a_day_the_key_is_free(world: World) -> None:
    await world.answer()
    world.pass_seconds(KEEP_SECONDS - 1)
    assert (await world.answer()).replayed
    world.pass_seconds(1)
    assert not (await world.answer(request_hash="other")).replayed


async def test_a_refusal_is_kept_although_the_effect_was_rolled_back(world: World) -> None:
    async def refuse(completion: Completion[Project]) -> Project:
        async with world.uow.begin(world.user_id) as tx:
            await completion.store(tx.idempotency, make_project(world.user_id))
            raise Conflict("not now")

    first = await world.answer(refuse)
    assert (first.replayed, first.reply.status, first.reply.body) == (False, 409, b"conflict")
    assert await world.answer() == Answer(reply=first.reply, replayed=True)


@pytest.mark.parametrize(
    "error", [DomainError("to mend"), RuntimeError("a fault"), asyncio.CancelledError("cut off")]
)
async def test_what_is_no_outcome_frees_the_key_at_once(world: World, error: BaseException) -> None:
    async def fail(_: Completion[Project]) -> Project:
        raise error

    with pytest.raises(type(error)):
        await world.answer(fail)
    assert not (await world.answer(request_hash="mended")).replayed


async def test_a_commit_that_breaks_leaves_neither_effect_nor_reply(world: World) -> None:
    async def break_at_commit(completion: Completion[Project]) -> Project:
        world.database.fail_next_commit()
        return await world.created(completion)

    with pytest.raises(DatabaseUnavailable):
        await world.answer(break_at_commit)
    assert await world.projects() == 0
    assert not (await world.answer()).replayed
    assert await world.projects() == 1


async def test_a_commit_whose_word_was_lost_is_found_by_the_repeat(world: World) -> None:
    async def lose_the_word(completion: Completion[Project]) -> Project:
        await world.created(completion)
        raise DatabaseUnavailable("it went away in the middle")

    with pytest.raises(DatabaseUnavailable):
        await world.answer(lose_the_word)
    assert (await world.answer()).replayed
    assert await world.projects() == 1


async def test_when_not_even_the_release_gets_through_the_lease_frees_the_key(
    world: World,
) -> None:
    async def go_away(_: Completion[Project]) -> Project:
        world.database.fail_next()
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError):
        await world.answer(go_away)
    with pytest.raises(IdempotencyInFlight):
        await world.answer()
    world.pass_seconds(LEASE_SECONDS)
    assert not (await world.answer()).replayed


async def test_a_process_that_died_before_its_commit_frees_the_key_by_its_lease(
    world: World,
) -> None:
    async def die(_: Completion[Project]) -> Project:
        raise Killed

    with pytest.raises(Killed):
        await world.answer(die)
    world.pass_seconds(LEASE_SECONDS - 1)
    with pytest.raises(IdempotencyInFlight):
        await world.answer()
    world.pass_seconds(1)
    assert not (await world.answer()).replayed
    assert await world.projects() == 1


async def test_who_was_slower_than_the_lease_is_rolled_back(world: World) -> None:
    async def linger(completion: Completion[Project]) -> Project:
        world.pass_seconds(LEASE_SECONDS)
        assert not (await world.answer()).replayed
        return await world.created(completion)

    with pytest.raises(IdempotencyInFlight):
        await world.answer(linger)
    assert (await world.answer()).replayed
    assert await world.projects() == 1


async def test_a_refusal_slower_than_the_lease_does_not_replace_the_reply(world: World) -> None:
    async def linger(_: Completion[Project]) -> Project:
        world.pass_seconds(LEASE_SECONDS)
        await world.answer()
        raise Conflict("not now")

    with pytest.raises(IdempotencyInFlight):
        await world.answer(linger)
    assert (await world.answer()).reply.status == 201


async def test_a_use_case_that_forgets_its_key_is_our_fault(world: World) -> None:
    async def forget(_: Completion[Project]) -> Project:
        return await world.created(None)

    with pytest.raises(RuntimeError, match="did not complete"):
        await world.answer(forget)


async def test_executing_completes_the_key_with_the_run(world: World) -> None:
    user = await keep_user(world.uow)
    project = await keep_project(world.uow, user)
    world.user_id = user.id
    execute = ExecuteProject(world.uow, RecordingJobQueue(), world.clock, world.ids)

    async def effect(completion: Completion[Run]) -> Run:
        return await execute(Execution(user_id=user.id, project_id=project.id, once=completion))

    first, second = await world.ask(effect), await world.ask(effect)
    assert second == Answer(reply=first.reply, replayed=True)


async def test_cancelling_completes_the_key_although_nobody_can_be_told(world: World) -> None:
    run = await keep_run(world.uow)
    world.user_id = run.user_id
    live = InMemoryLiveUpdates()
    cancel = CancelRun(world.uow, live, world.clock, RecordingJobQueue())

    async def effect(completion: Completion[Run]) -> Run:
        await cancel(run.user_id, run.id, once=completion)
        raise RuntimeError("the nudge was lost")

    with pytest.raises(RuntimeError):
        await world.ask(effect)
    assert await world.ask(effect) == Answer(
        reply=StoredReply(status=201, headers={"A": "b"}, body=str(run.id).encode()), replayed=True
    )


async def test_expired_keys_are_deleted_a_batch_at_a_time(world: World) -> None:
    for number in range(BATCH + 1):
        async with world.uow.begin(world.user_id) as tx:
            await tx.idempotency.claim(
                IdempotencyKey(f"k{number}"), "h", lease_seconds=1, keep_seconds=60
            )
    sweep = DeleteExpiredKeys(InMemoryExpiredIdempotencyKeys(world.database))
    assert await sweep() == 0
    world.pass_seconds(60)
    assert [await sweep() for _ in range(3)] == [BATCH, 1, 0]
