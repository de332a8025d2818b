"""What every ``UnitOfWork`` keeps: all of a block or nothing, and one person's rows only."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from application.ports.paging import Page
from application.ports.persistence import Transaction, UnitOfWork
from domain.billing.ledger import Balance
from domain.identity.user import User
from domain.projects.run import Run
from domain.shared.events import EventType
from tests.contracts.samples import (
    all_at_once,
    intrude,
    keep_project,
    keep_user,
    make_call,
    make_document,
    make_grant,
    make_project,
    make_reservation,
    make_run,
    make_task,
    make_user,
)


class Interruption(Exception):
    """Raised inside a block to see what becomes of it."""


async def write_everywhere(tx: Transaction, owner: User) -> Run:
    """One row through every repository."""
    project = make_project(owner.id)
    run = make_run(project)
    await tx.projects.add(project)
    await tx.runs.add(run)
    await tx.runs.append_event(run.id, EventType.RUN_QUEUED, {})
    await tx.tasks.put(make_task(run))
    await tx.documents.add([make_document(run)])
    await tx.calls.add(make_call(run))
    await tx.ledger.grant(make_grant(owner.id, 110))
    await tx.ledger.reserve(make_reservation(run, 10))
    return run


async def count_everything(uow: UnitOfWork, run: Run) -> list[int]:
    """How much each repository has of what hangs on ``run``."""
    async with uow.begin(run.user_id) as tx:
        return [
            len(await tx.projects.page(Page(limit=10), status=None, search="")),
            len(await tx.runs.of_project(run.project_id, Page(limit=10))),
            len(await tx.runs.events(run.id, 0, 10)),
            len(await tx.tasks.of_run(run.id)),
            len(await tx.documents.latest(run.project_id)),
            len(await tx.calls.of_step(run.id, "idea")),
            (await tx.ledger.balance(run.user_id)).available // 100,
            len(await tx.ledger.held_steps(run.id)),
        ]


ALL = [1] * 8
NONE = [0] * 8

Write = Callable[[Transaction, Run], Awaitable[object]]


WRITES_IN_ANOTHERS_NAME: dict[str, Write] = {
    "project": lambda tx, run: tx.projects.add(make_project(run.user_id)),
    "event": lambda tx, run: tx.runs.append_event(run.id, EventType.RUN_STARTED, {}),
    "task": lambda tx, run: tx.tasks.put(make_task(run, step="srs")),
    "document": lambda tx, run: tx.documents.add([make_document(run, format="docx")]),
    "call": lambda tx, run: tx.calls.add(make_call(run)),
    "entry": lambda tx, run: tx.ledger.grant(make_grant(run.user_id, 100)),
}


class UnitOfWorkContract:
    async def test_a_block_that_ends_is_kept_in_every_repository(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            run = await write_everywhere(tx, owner)
        assert await count_everything(uow, run) == ALL

    async def test_a_block_sees_what_it_wrote(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        project = make_project(owner.id)
        async with uow.begin(owner.id) as tx:
            await tx.projects.add(project)
            assert await tx.projects.get(project.id) == project

    async def test_a_block_can_speak_for_two_and_is_kept_or_undone_as_one(
        self, uow: UnitOfWork
    ) -> None:
        owner, other = await keep_user(uow), await keep_user(uow)
        projects = {user.id: make_project(user.id) for user in (owner, other)}

        async def write(tx: Transaction) -> None:
            await tx.projects.add(projects[owner.id])
            async with tx.speaking_for(other.id) as theirs:
                await theirs.projects.add(projects[other.id])
                assert await theirs.projects.get(projects[owner.id].id) is None
            assert await tx.projects.get(projects[owner.id].id) == projects[owner.id]
            assert await tx.projects.get(projects[other.id].id) is None

        async def kept() -> list[bool]:
            found = []
            for user in (owner, other):
                async with uow.begin(user.id) as tx:
                    found.append(await tx.projects.get(projects[user.id].id) is not None)
            return found

        with pytest.raises(Interruption):
            async with uow.begin(owner.id) as tx:
                await write(tx)
                raise Interruption
        assert await kept() == [False, False]
        async with uow.begin(owner.id) as tx:
            await write(tx)
        assert await kept() == [True, True]

    async def test_a_block_that_raises_leaves_nothing_in_any_repository(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        with pytest.raises(Interruption):
            async with uow.begin(owner.id) as tx:
                run = await write_everywhere(tx, owner)
                raise Interruption
        assert await count_everything(uow, run) == NONE

    async def test_the_error_of_a_block_comes_out_as_it_was(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        error = Interruption("as it was")
        with pytest.raises(Interruption) as caught:
            async with uow.begin(owner.id):
                raise error
        assert caught.value is error

    async def test_a_block_that_is_cancelled_leaves_nothing(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        project = make_project(owner.id)
        written = asyncio.Event()

        async def write_and_linger() -> None:
            async with uow.begin(owner.id) as tx:
                await tx.projects.add(project)
                written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write_and_linger())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with uow.begin(owner.id) as tx:
            assert await tx.projects.get(project.id) is None

    async def test_many_blocks_at_once_are_all_kept(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)

        async def add_project() -> None:
            async with uow.begin(owner.id) as tx:
                await tx.projects.add(make_project(owner.id))

        await all_at_once(40, add_project)
        async with uow.begin(owner.id) as tx:
            assert len(await tx.projects.page(Page(limit=100), status=None, search="")) == 40

    async def test_a_person_sees_nothing_of_another_in_any_repository(
        self, uow: UnitOfWork
    ) -> None:
        owner, stranger = await keep_user(uow), await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            run = await write_everywhere(tx, owner)
        assert await count_everything(uow, replace(run, user_id=stranger.id)) == NONE

    async def test_a_person_cannot_read_another_balance(self, uow: UnitOfWork) -> None:
        owner, stranger = await keep_user(uow, credits=500), await keep_user(uow)
        seen = Balance(available=0, reserved=0)
        with suppress(Exception):  # to refuse is as good as to show nothing
            async with uow.begin(stranger.id) as tx:
                seen = await tx.ledger.balance(owner.id)
        assert seen == Balance(available=0, reserved=0)

    async def test_nobody_sees_nothing_but_people(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        seen = None
        with suppress(Exception):  # to refuse is as good as to show nothing
            async with uow.begin(None) as tx:
                seen = await tx.projects.get(project.id)
        assert seen is None

    async def test_who_registers_does_so_as_themselves_and_is_found_by_their_email(
        self, uow: UnitOfWork
    ) -> None:
        user = make_user()
        await intrude(uow, None, lambda tx: tx.users.add(user))
        async with uow.begin(user.id) as tx:
            await tx.users.add(user)
        async with uow.begin(None) as tx:
            assert await tx.users.by_email(user.email) == user

    async def test_nobody_cannot_write_for_a_person(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        project = make_project(owner.id)
        await intrude(uow, None, lambda tx: tx.projects.add(project))
        async with uow.begin(owner.id) as tx:
            assert await tx.projects.get(project.id) is None

    async def test_a_new_person_and_their_account_are_made_in_one_block(
        self, uow: UnitOfWork
    ) -> None:
        user = make_user()
        async with uow.begin(user.id) as tx:
            await tx.users.add(user)
            await tx.ledger.open(user.id)
            await tx.ledger.grant(make_grant(user.id, 100))
        async with uow.begin(user.id) as tx:
            assert (await tx.ledger.balance(user.id)).available == 100

    @pytest.mark.parametrize(
        "write", WRITES_IN_ANOTHERS_NAME.values(), ids=WRITES_IN_ANOTHERS_NAME.keys()
    )
    async def test_a_person_cannot_write_in_anothers_name(
        self, uow: UnitOfWork, write: Write
    ) -> None:
        owner, stranger = await keep_user(uow), await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            run = await write_everywhere(tx, owner)
        await intrude(uow, stranger.id, lambda tx: write(tx, run))
        assert await count_everything(uow, run) == ALL
