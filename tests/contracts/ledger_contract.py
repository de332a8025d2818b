"""What every ``Ledger`` keeps: each entry once, and no personal account below zero."""

import pytest

from application.ports.persistence import UnitOfWork
from domain.billing.ledger import (
    Balance,
    InsufficientCredits,
    JournalEntry,
    grant,
    reserve,
    settle,
)
from domain.identity.user import User
from domain.projects.run import Run
from domain.shared.ids import RunId, UserId
from tests.contracts.samples import (
    all_at_once,
    intrude,
    keep_project,
    keep_run,
    keep_user,
    make_user,
    new_id,
)


async def book(uow: UnitOfWork, *entries: JournalEntry) -> list[bool]:
    """Book entries of one person in one block."""
    async with uow.begin(entries[0].user_id) as tx:
        return [await tx.ledger.book(entry) for entry in entries]


async def balance(uow: UnitOfWork, user_id: UserId) -> Balance:
    """What the person has."""
    async with uow.begin(user_id) as tx:
        return await tx.ledger.balance(user_id)


async def keep_funded_run(uow: UnitOfWork, credits: int) -> Run:
    """A run of somebody who has that many credits."""
    owner = await keep_user(uow, credits=credits)
    return await keep_run(uow, await keep_project(uow, owner))


def reservation(run: Run, credits: int, step: str = "idea") -> JournalEntry:
    """A reservation with a key of its own."""
    return reserve(run.user_id, run.id, step, credits, f"reserve:{new_id()}")


def given(user: User, credits: int) -> JournalEntry:
    """A grant with a key of its own."""
    return grant(user.id, credits, f"grant:{new_id()}")


class LedgerContract:
    async def test_an_account_opens_with_nothing(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        assert await balance(uow, owner.id) == Balance(available=0, reserved=0)

    async def test_an_account_opened_twice_keeps_what_it_has(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, credits=300)
        async with uow.begin(owner.id) as tx:
            await tx.ledger.open(owner.id)
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_a_grant_is_free_to_use(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        assert await book(uow, given(owner, 300)) == [True]
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_a_reservation_moves_credits_to_those_held(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        await book(uow, reservation(run, 120))
        assert await balance(uow, run.user_id) == Balance(available=180, reserved=120)

    async def test_a_settlement_takes_what_was_used_and_returns_the_rest(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 300)
        entries = settle(run.user_id, run.id, "idea", held=120, used=50, house=9, key=f"{run.id}")
        await book(uow, reservation(run, 120), *entries)
        assert await balance(uow, run.user_id) == Balance(available=250, reserved=0)

    async def test_what_only_the_house_bears_moves_nothing_of_the_persons(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 300)
        entries = settle(run.user_id, run.id, "idea", held=0, used=0, house=9, key=f"{run.id}")
        assert await book(uow, *entries) == [True]
        assert await balance(uow, run.user_id) == Balance(available=300, reserved=0)

    async def test_an_entry_is_booked_once(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        entry = given(owner, 300)
        assert await book(uow, entry) + await book(uow, entry) == [True, False]
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_an_entry_is_booked_once_in_one_block(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        entry = given(owner, 300)
        assert await book(uow, entry, entry) == [True, False]
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_another_entry_of_a_key_booked_before_is_not_booked(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        entry = given(owner, 300)
        assert await book(uow, entry, grant(owner.id, 999, entry.key)) == [True, False]
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_of_many_bookings_at_once_one_counts(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        entry = given(owner, 300)
        booked = await all_at_once(20, lambda: book(uow, entry))
        assert sum(result for [result] in booked) == 1
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_an_entry_rolled_back_can_be_booked_again(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        entry = given(owner, 300)
        with pytest.raises(ZeroDivisionError):
            async with uow.begin(owner.id) as tx:
                await tx.ledger.book(entry)
                raise ZeroDivisionError
        assert await book(uow, entry) == [True]

    # Never below zero

    async def test_a_reservation_of_all_there_is_fits(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        assert await book(uow, reservation(run, 300)) == [True]

    async def test_a_reservation_of_one_more_is_refused(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        with pytest.raises(InsufficientCredits):
            await book(uow, reservation(run, 301))
        assert await balance(uow, run.user_id) == Balance(available=300, reserved=0)

    async def test_no_more_is_released_than_is_held(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        entries = settle(run.user_id, run.id, "idea", held=21, used=0, house=0, key=f"{run.id}")
        await book(uow, reservation(run, 20))
        with pytest.raises(InsufficientCredits):
            await book(uow, *entries)
        assert await balance(uow, run.user_id) == Balance(available=280, reserved=20)

    async def test_a_refused_entry_can_be_booked_once_there_is_enough(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 100)
        entry = reservation(run, 150)
        with pytest.raises(InsufficientCredits):
            await book(uow, entry)
        await book(uow, grant(run.user_id, 100, f"grant:{new_id()}"))
        assert await book(uow, entry) == [True]

    async def test_a_refusal_leaves_nothing_booked_even_where_the_block_goes_on(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 100)
        entry = reservation(run, 150)
        async with uow.begin(run.user_id) as tx:
            with pytest.raises(InsufficientCredits):
                await tx.ledger.book(entry)
            await tx.ledger.book(grant(run.user_id, 60, f"grant:{new_id()}"))
        assert await balance(uow, run.user_id) == Balance(available=160, reserved=0)
        assert await book(uow, entry) == [True]

    async def test_of_many_reservations_at_once_as_many_succeed_as_fit(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 1_000 + 99)

        async def try_to_reserve() -> bool:
            try:
                await book(uow, reservation(run, 100))
            except InsufficientCredits:
                return False
            return True

        assert sum(await all_at_once(30, try_to_reserve)) == 10
        assert await balance(uow, run.user_id) == Balance(available=99, reserved=1_000)

    async def test_one_persons_credits_are_not_anothers(self, uow: UnitOfWork) -> None:
        await keep_user(uow, credits=1_000)
        run = await keep_funded_run(uow, 10)
        with pytest.raises(InsufficientCredits):
            await book(uow, reservation(run, 11))

    # Holds

    async def test_a_step_holds_nothing_at_first(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 0

    async def test_what_a_step_holds_adds_up(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        for credits in (100, 20, 3):
            async with uow.begin(run.user_id) as tx:
                await tx.ledger.hold(run.id, "idea", credits)
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 123

    async def test_what_a_step_holds_adds_up_at_once(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)

        async def hold_one() -> None:
            async with uow.begin(run.user_id) as tx:
                await tx.ledger.hold(run.id, "idea", 1)

        await all_at_once(15, hold_one)
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 15

    async def test_each_step_of_each_run_holds_its_own(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        other = RunId(new_id())
        async with uow.begin(run.user_id) as tx:
            await tx.ledger.hold(run.id, "idea", 1)
            await tx.ledger.hold(run.id, "srs", 2)
            await tx.ledger.hold(other, "idea", 4)
            assert await tx.ledger.held(run.id, "idea") == 1

    async def test_the_steps_that_hold_anything_are_found(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            for step in ("srs", "prd", "idea"):
                await tx.ledger.hold(run.id, step, 5)
            await tx.ledger.close_hold(run.id, "prd")
            assert sorted(await tx.ledger.held_steps(run.id)) == ["idea", "srs"]

    async def test_a_closed_hold_holds_nothing(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            await tx.ledger.hold(run.id, "idea", 5)
        async with uow.begin(run.user_id) as tx:
            await tx.ledger.close_hold(run.id, "idea")
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 0

    async def test_a_hold_that_is_not_there_can_be_closed(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            await tx.ledger.close_hold(run.id, "idea")
            assert list(await tx.ledger.held_steps(run.id)) == []

    async def test_of_many_settlements_at_once_one_finds_the_hold(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            await tx.ledger.hold(run.id, "idea", 5)

        async def close() -> int:
            async with uow.begin(run.user_id) as tx:
                held = await tx.ledger.held(run.id, "idea")
                await tx.ledger.close_hold(run.id, "idea")
                return held

        assert sorted(await all_at_once(8, close)) == [0] * 7 + [5]

    # Strangers

    async def test_a_stranger_cannot_open_an_account(self, uow: UnitOfWork) -> None:
        user = make_user()
        stranger = await keep_user(uow)
        async with uow.begin(user.id) as tx:
            await tx.users.add(user)
        await intrude(uow, stranger.id, lambda tx: tx.ledger.open(user.id))
        assert await balance(uow, user.id) == Balance(available=0, reserved=0)

    async def test_a_stranger_cannot_spend_anothers_credits(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        stranger = await keep_user(uow)
        await intrude(uow, stranger.id, lambda tx: tx.ledger.book(reservation(run, 100)))
        assert await balance(uow, run.user_id) == Balance(available=300, reserved=0)

    async def test_a_stranger_cannot_close_a_hold(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        async with uow.begin(run.user_id) as tx:
            await tx.ledger.hold(run.id, "idea", 5)
        await intrude(uow, stranger.id, lambda tx: tx.ledger.close_hold(run.id, "idea"))
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 5

    async def test_a_stranger_cannot_stand_in_the_way_of_a_hold(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        await intrude(uow, stranger.id, lambda tx: tx.ledger.hold(run.id, "idea", 7))
        async with uow.begin(run.user_id) as tx:
            await tx.ledger.hold(run.id, "idea", 5)
            assert await tx.ledger.held(run.id, "idea") == 5
