"""What every ``Ledger`` keeps: each entry once, credits in lots, nobody below zero."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from application.billing.expire_credits import ExpireCredits
from application.billing.read_account import ShowBalance
from application.ports.ledger import EntryQuery, LapsedCredits
from application.ports.persistence import UnitOfWork
from domain.billing.days import Days, day_of
from domain.billing.ledger import (
    AccountKind,
    Balance,
    CapReached,
    ClawBack,
    ClawedBack,
    EntryKind,
    Grant,
    HouseCost,
    InsufficientCredits,
    LotKind,
    Reservation,
    Settlement,
)
from domain.projects.run import Run
from domain.shared.ids import RunId, UserId
from tests.contracts.samples import (
    all_at_once,
    intrude,
    keep_project,
    keep_run,
    keep_user,
    make_grant,
    make_reservation,
    make_user,
    new_id,
)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LONG_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


async def give(uow: UnitOfWork, *grants: Grant) -> list[bool]:
    """Grant to one person, in one block."""
    async with uow.begin(grants[0].user_id) as tx:
        return [await tx.ledger.grant(each) for each in grants]


async def reserve(uow: UnitOfWork, *wanted: Reservation) -> list[bool]:
    """Reserve for one person, in one block."""
    async with uow.begin(wanted[0].user_id) as tx:
        return [await tx.ledger.reserve(each) for each in wanted]


async def settle(uow: UnitOfWork, settled: Settlement) -> int:
    """Settle a step in a block of its own."""
    async with uow.begin(settled.user_id) as tx:
        return await tx.ledger.settle(settled)


async def claw_back(uow: UnitOfWork, claw: ClawBack) -> ClawedBack | None:
    """Claw back in a block of its own."""
    async with uow.begin(claw.user_id) as tx:
        return await tx.ledger.claw_back(claw)


async def balance(uow: UnitOfWork, user_id: UserId) -> Balance:
    """What the person has."""
    async with uow.begin(user_id) as tx:
        return await tx.ledger.balance(user_id)


async def keep_funded_run(uow: UnitOfWork, credits: int) -> Run:
    """A run of somebody who has that many credits."""
    owner = await keep_user(uow, credits=credits)
    return await keep_run(uow, await keep_project(uow, owner), cap_credits=1_000_000)


def settlement(run: Run, used: int, step: str = "idea", house: int = 0) -> Settlement:
    """A settlement with a key of its own."""
    return Settlement(
        user_id=run.user_id,
        key=f"step:{new_id()}",
        run_id=run.id,
        step=step,
        used=used,
        house={AccountKind.HOUSE_COST: house},
    )


def cost(run: Run, credits: int) -> HouseCost:
    """A cost of the house's with a key of its own."""
    return HouseCost(
        user_id=run.user_id,
        key=f"late:{new_id()}",
        run_id=run.id,
        step="idea",
        account=AccountKind.HOUSE_CRASH,
        credits=credits,
    )


async def bear(uow: UnitOfWork, borne: HouseCost) -> bool:
    """Book a cost of the house's in a block of its own."""
    async with uow.begin(borne.user_id) as tx:
        return await tx.ledger.bear(borne)


def claw(user_id: UserId, credits: int, reference: str = "") -> ClawBack:
    """A claw-back with a key of its own."""
    return ClawBack(user_id=user_id, key=f"claw:{new_id()}", credits=credits, reference=reference)


class LedgerContract:
    async def test_an_account_opens_with_nothing(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        assert await balance(uow, owner.id) == Balance(available=0, reserved=0)

    async def test_an_account_opened_twice_keeps_what_it_has(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, credits=300)
        async with uow.begin(owner.id) as tx:
            await tx.ledger.open(owner.id)
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_nothing_is_booked_without_an_account(self, uow: UnitOfWork) -> None:
        user = make_user()
        async with uow.begin(user.id) as tx:
            await tx.users.add(user)
        with pytest.raises(Exception, match="account"):
            await give(uow, make_grant(user.id, 1))

    # Grants

    async def test_a_grant_is_free_to_use(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        assert await give(uow, make_grant(owner.id, 300)) == [True]
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_a_grant_is_given_once(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        gift = make_grant(owner.id, 300)
        assert await give(uow, gift) + await give(uow, gift, gift) == [True, False, False]
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_another_grant_of_a_key_booked_before_is_not_given(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        gift = make_grant(owner.id, 300)
        again = make_grant(owner.id, 999, key=gift.key)
        assert await give(uow, gift, again) == [True, False]
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_of_many_grants_of_one_key_at_once_one_counts(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        gift = make_grant(owner.id, 300)
        given = await all_at_once(20, lambda: give(uow, gift))
        assert sum(result for [result] in given) == 1
        assert await balance(uow, owner.id) == Balance(available=300, reserved=0)

    async def test_of_many_grants_at_once_every_one_counts(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        given = await all_at_once(20, lambda: give(uow, make_grant(owner.id, 10)))
        assert given == [[True]] * 20
        assert await balance(uow, owner.id) == Balance(available=200, reserved=0)

    async def test_a_grant_rolled_back_can_be_given_again(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        gift = make_grant(owner.id, 300)
        with pytest.raises(ZeroDivisionError):
            async with uow.begin(owner.id) as tx:
                await tx.ledger.grant(gift)
                raise ZeroDivisionError
        assert await give(uow, gift) == [True]

    # Claw-backs

    async def test_what_is_clawed_back_is_gone(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, credits=300)
        assert await claw_back(uow, claw(owner.id, 100)) == ClawedBack(taken=100, owed=0)
        assert await balance(uow, owner.id) == Balance(available=200, reserved=0)

    async def test_a_claw_back_stops_at_zero_and_the_rest_is_owed(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, credits=60)
        assert await claw_back(uow, claw(owner.id, 100)) == ClawedBack(taken=60, owed=40)
        assert await balance(uow, owner.id) == Balance(available=0, reserved=0, owed=40)
        async with uow.begin(owner.id) as tx:
            assert await tx.ledger.owed() == 40

    async def test_nobody_owes_anything_at_first(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, credits=60)
        async with uow.begin(owner.id) as tx:
            assert await tx.ledger.owed() == 0

    async def test_a_claw_back_is_booked_once(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, credits=60)
        once = claw(owner.id, 100)
        assert await claw_back(uow, once) is not None
        assert await claw_back(uow, once) is None
        assert await balance(uow, owner.id) == Balance(available=0, reserved=0, owed=40)

    async def test_a_grant_pays_what_is_owed_first(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        await claw_back(uow, claw(owner.id, 40))
        await give(uow, make_grant(owner.id, 30))
        assert await balance(uow, owner.id) == Balance(available=0, reserved=0, owed=10)
        await give(uow, make_grant(owner.id, 30))
        assert await balance(uow, owner.id) == Balance(available=20, reserved=0)

    async def test_what_is_held_is_not_clawed_back(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 100)
        await reserve(uow, make_reservation(run, 70))
        clawed = await claw_back(uow, claw(run.user_id, 100))
        assert clawed == ClawedBack(taken=30, owed=70)
        assert await balance(uow, run.user_id) == Balance(available=0, reserved=70, owed=70)

    async def test_what_goes_back_pays_what_is_owed(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 100)
        await reserve(uow, make_reservation(run, 70))
        await claw_back(uow, claw(run.user_id, 50))
        assert await settle(uow, settlement(run, used=25)) == 25
        assert await balance(uow, run.user_id) == Balance(available=25, reserved=0, owed=0)

    # Reserving and settling

    async def test_a_reservation_moves_credits_to_those_held(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        assert await reserve(uow, make_reservation(run, 120)) == [True]
        assert await balance(uow, run.user_id) == Balance(available=180, reserved=120)

    async def test_a_reservation_is_booked_once(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        wanted = make_reservation(run, 120)
        assert await reserve(uow, wanted, wanted) == [True, False]
        assert await balance(uow, run.user_id) == Balance(available=180, reserved=120)

    async def test_a_settlement_takes_what_was_used_and_returns_the_rest(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(uow, make_reservation(run, 120))
        assert await settle(uow, settlement(run, used=50, house=9)) == 50
        assert await balance(uow, run.user_id) == Balance(available=250, reserved=0)

    async def test_a_use_above_the_hold_is_not_the_persons(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(uow, make_reservation(run, 120))
        assert await settle(uow, settlement(run, used=121)) == 120
        assert await balance(uow, run.user_id) == Balance(available=180, reserved=0)

    async def test_what_only_the_house_bears_moves_nothing_of_the_persons(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 300)
        assert await settle(uow, settlement(run, used=0, house=9)) == 0
        assert await balance(uow, run.user_id) == Balance(available=300, reserved=0)

    async def test_a_settlement_is_booked_once_and_tells_what_it_charged(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(uow, make_reservation(run, 120))
        once = settlement(run, used=50, house=3)
        assert [await settle(uow, once), await settle(uow, once)] == [50, 50]
        assert await balance(uow, run.user_id) == Balance(available=250, reserved=0)

    async def test_what_the_house_bears_later_is_booked_once_and_moves_nothing_of_the_persons(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(uow, make_reservation(run, 120))
        late = cost(run, 7)
        assert [await bear(uow, late), await bear(uow, late)] == [True, False]
        assert await balance(uow, run.user_id) == Balance(available=180, reserved=120)
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 120
            booked, *_ = await tx.ledger.entries(EntryQuery(limit=5))
        assert (booked.kind, booked.run_id, booked.step) == (EntryKind.HOUSE, run.id, "idea")
        assert booked.sums == {AccountKind.HOUSE_CRASH: -7, AccountKind.REVENUE: 7}

    async def test_of_many_bookings_of_one_cost_at_once_one_counts(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 0)
        late = cost(run, 7)
        assert sum(await all_at_once(10, lambda: bear(uow, late))) == 1

    async def test_who_has_the_accounts_lock_reads_what_came_before_it_and_nothing_after(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 0)

        async def book_under_the_lock() -> int:
            async with uow.begin(run.user_id) as tx:
                await tx.ledger.lock()
                before = len(await tx.ledger.entries(EntryQuery(limit=100)))
                await tx.ledger.bear(cost(run, 1))
            return before

        assert sorted(await all_at_once(10, book_under_the_lock)) == list(range(10))

    async def test_a_run_knows_what_its_steps_were_charged(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        for step, used in (("idea", 50), ("srs", 7)):
            await reserve(uow, make_reservation(run, 100, step))
            await settle(uow, settlement(run, used, step))
        async with uow.begin(run.user_id) as tx:
            stored = await tx.runs.get(run.id)
        assert stored is not None
        assert stored.charged_credits == 57

    # Never below zero

    async def test_a_reservation_of_all_there_is_fits(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        assert await reserve(uow, make_reservation(run, 300)) == [True]

    async def test_a_reservation_of_one_more_is_refused(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        with pytest.raises(InsufficientCredits) as refusal:
            await reserve(uow, make_reservation(run, 301))
        assert refusal.value.params == {"needed": 301, "available": 300}
        assert await balance(uow, run.user_id) == Balance(available=300, reserved=0)

    async def test_a_refusal_leaves_nothing_booked_even_where_the_block_goes_on(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 100)
        wanted = make_reservation(run, 150)
        async with uow.begin(run.user_id) as tx:
            with pytest.raises(InsufficientCredits):
                await tx.ledger.reserve(wanted)
            await tx.ledger.grant(make_grant(run.user_id, 60))
        assert await balance(uow, run.user_id) == Balance(available=160, reserved=0)
        assert await reserve(uow, wanted) == [True]

    async def test_of_many_reservations_at_once_as_many_succeed_as_fit(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 1_000 + 99)

        async def try_to_reserve() -> bool:
            try:
                await reserve(uow, make_reservation(run, 100))
            except InsufficientCredits:
                return False
            return True

        assert sum(await all_at_once(30, try_to_reserve)) == 10
        assert await balance(uow, run.user_id) == Balance(available=99, reserved=1_000)

    async def test_one_persons_credits_are_not_anothers(self, uow: UnitOfWork) -> None:
        await keep_user(uow, credits=1_000)
        run = await keep_funded_run(uow, 10)
        with pytest.raises(InsufficientCredits):
            await reserve(uow, make_reservation(run, 11))

    # Room: a run's cap

    async def test_a_run_holds_no_more_than_its_room(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(uow, make_reservation(run, 60, room=100))
        with pytest.raises(CapReached) as refusal:
            await reserve(uow, make_reservation(run, 41, "srs", room=100))
        assert refusal.value.params == {"needed": 41, "left": 40}
        assert await reserve(uow, make_reservation(run, 40, "srs", room=100)) == [True]

    async def test_what_other_runs_hold_takes_no_room(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(uow, make_reservation(run, 60, run_id=RunId(new_id())))
        assert await reserve(uow, make_reservation(run, 100, room=100)) == [True]

    # Lots

    async def test_what_has_lapsed_cannot_be_held(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 50)
        await give(uow, make_grant(run.user_id, 100, expires_at=LONG_AGO))
        with pytest.raises(InsufficientCredits):
            await reserve(uow, make_reservation(run, 51))

    async def test_what_has_lapsed_goes(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, credits=50)
        await give(
            uow,
            make_grant(owner.id, 100, expires_at=LONG_AGO),
            make_grant(owner.id, 20, expires_at=LONG_AHEAD),
        )
        async with uow.begin(owner.id) as tx:
            assert await tx.ledger.expire() == 100
        async with uow.begin(owner.id) as tx:
            assert await tx.ledger.expire() == 0
        assert await balance(uow, owner.id) == Balance(available=70, reserved=0)

    async def test_nobody_pays_back_with_what_has_lapsed(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, credits=50)
        await give(uow, make_grant(owner.id, 100, expires_at=LONG_AGO))
        assert await claw_back(uow, claw(owner.id, 80)) == ClawedBack(taken=50, owed=30)

    async def test_a_plans_credits_are_spent_before_those_that_were_bought(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 0)
        soon = datetime.now(UTC) + timedelta(days=1)
        await give(
            uow,
            make_grant(run.user_id, 10, kind=LotKind.TOP_UP, reference="bought"),
            make_grant(run.user_id, 10, kind=LotKind.PROMOTION, expires_at=soon),
            make_grant(run.user_id, 10, kind=LotKind.PLAN_GRANT, expires_at=LONG_AHEAD),
        )
        await reserve(uow, make_reservation(run, 20))
        # All that is left is what was bought: taking it back needs no debt.
        clawed = await claw_back(uow, claw(run.user_id, 10, "bought"))
        assert clawed == ClawedBack(taken=10, owed=0)

    async def test_lots_are_listed_as_they_will_be_spent(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        await give(
            uow,
            make_grant(owner.id, 10, kind=LotKind.TOP_UP, reference="pay_1"),
            make_grant(owner.id, 20, kind=LotKind.PLAN_GRANT, expires_at=LONG_AHEAD),
            make_grant(owner.id, 30, expires_at=LONG_AGO),
        )
        async with uow.begin(owner.id) as tx:
            lots = await tx.ledger.lots()
        assert [(lot.number, lot.kind, lot.granted, lot.remaining) for lot in lots] == [
            (2, LotKind.PLAN_GRANT, 20, 20),
            (1, LotKind.TOP_UP, 10, 10),
        ]
        assert (lots[0].expires_at, lots[1].reference) == (LONG_AHEAD, "pay_1")

    async def test_a_balance_that_is_looked_at_while_credits_move_is_of_one_moment(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 100)

        async def hold_and_give_back() -> None:
            for number in range(40):
                await reserve(uow, make_reservation(run, 60, f"step {number}"))
                await settle(uow, settlement(run, used=0, step=f"step {number}"))

        moving = asyncio.create_task(hold_and_give_back())
        show, seen = ShowBalance(uow), set()
        while not moving.done():
            shown, lots = await show(run.user_id)
            assert shown.available == sum(lot.remaining for lot in lots)
            seen.add((shown.available, shown.reserved))
            await asyncio.sleep(0)
        await moving
        assert seen <= {(100, 0), (40, 60)}

    async def test_whose_credits_have_lapsed_is_found_until_they_are_booked(
        self, uow: UnitOfWork, lapsed: LapsedCredits
    ) -> None:
        owner, other = await keep_user(uow, credits=5), await keep_user(uow)
        await give(uow, make_grant(owner.id, 1, expires_at=LONG_AHEAD))
        await give(uow, make_grant(other.id, 1, expires_at=LONG_AGO))
        found = await lapsed.owners(1_000)
        assert other.id in found
        assert owner.id not in found
        assert await ExpireCredits(lapsed, uow)() >= 1
        assert other.id not in await lapsed.owners(1_000)
        assert await balance(uow, other.id) == Balance(available=0, reserved=0)

    # Entries

    async def test_entries_are_listed_newest_first_with_what_they_moved(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_funded_run(uow, 100)
        await reserve(uow, make_reservation(run, 40))
        await settle(uow, settlement(run, used=15, house=2))
        async with uow.begin(run.user_id) as tx:
            entries = await tx.ledger.entries(EntryQuery(limit=10))
        assert sorted(entry.kind for entry in entries[:3]) == ["house", "release", "settle"]
        assert [entry.kind for entry in entries[3:]] == [EntryKind.RESERVE, EntryKind.GRANT]
        reserved = entries[3]
        assert (reserved.run_id, reserved.step) == (run.id, "idea")
        assert reserved.sums == {AccountKind.AVAILABLE: -40, AccountKind.RESERVED: 40}
        assert [entry.number for entry in entries] == sorted(
            (entry.number for entry in entries), reverse=True
        )

    async def test_entries_are_listed_by_page_kind_and_run(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 100)
        await reserve(
            uow, make_reservation(run, 1), make_reservation(run, 2, run_id=RunId(new_id()))
        )
        async with uow.begin(run.user_id) as tx:
            first = await tx.ledger.entries(EntryQuery(limit=2))
            rest = await tx.ledger.entries(EntryQuery(limit=2, before=first[-1].number))
            grants = await tx.ledger.entries(EntryQuery(limit=9, kind=EntryKind.GRANT))
            mine = await tx.ledger.entries(EntryQuery(limit=9, run_id=run.id))
            today = day_of(rest[0].at)
            since = await tx.ledger.entries(EntryQuery(limit=9, days=Days(first=today)))
            before = await tx.ledger.entries(
                EntryQuery(limit=9, days=Days(last=today - timedelta(days=1)))
            )
        assert [len(first), len(rest)] == [2, 1]
        assert rest == grants
        assert ([entry.number for entry in since], list(before)) == (
            [entry.number for entry in (*first, *rest)],
            [],
        )
        assert [entry.sums[AccountKind.RESERVED] for entry in mine] == [1]

    async def test_a_stranger_sees_no_entry(self, uow: UnitOfWork) -> None:
        await keep_user(uow, credits=100)
        stranger = await keep_user(uow)
        async with uow.begin(stranger.id) as tx:
            assert list(await tx.ledger.entries(EntryQuery(limit=9))) == []
            assert list(await tx.ledger.lots()) == []

    # Holds

    async def test_a_step_holds_nothing_at_first(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 0
            assert list(await tx.ledger.held_steps(run.id)) == []

    async def test_what_a_step_holds_adds_up(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        for credits in (100, 20, 3):
            await reserve(uow, make_reservation(run, credits))
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 123

    async def test_what_a_step_holds_adds_up_at_once_and_over_lots(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 0)
        await give(uow, *(make_grant(run.user_id, 4) for _ in range(4)))
        await all_at_once(15, lambda: reserve(uow, make_reservation(run, 1)))
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 15

    async def test_each_step_of_each_run_holds_its_own(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(
            uow,
            make_reservation(run, 1),
            make_reservation(run, 2, "srs"),
            make_reservation(run, 4, run_id=RunId(new_id())),
        )
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 1

    async def test_the_steps_that_hold_anything_are_found(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(uow, *(make_reservation(run, 5, step) for step in ("srs", "prd", "idea")))
        await settle(uow, settlement(run, 0, "prd"))
        async with uow.begin(run.user_id) as tx:
            assert list(await tx.ledger.held_steps(run.id)) == ["idea", "srs"]
            assert await tx.ledger.held(run.id, "prd") == 0

    async def test_of_many_settlements_at_once_one_finds_the_hold(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        await reserve(uow, make_reservation(run, 5))
        charged = await all_at_once(8, lambda: settle(uow, settlement(run, used=5)))
        assert sorted(charged) == [0] * 7 + [5]
        assert await balance(uow, run.user_id) == Balance(available=295, reserved=0)

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
        await intrude(uow, stranger.id, lambda tx: tx.ledger.reserve(make_reservation(run, 100)))
        await intrude(uow, stranger.id, lambda tx: tx.ledger.claw_back(claw(run.user_id, 100)))
        assert await balance(uow, run.user_id) == Balance(available=300, reserved=0)

    async def test_a_stranger_cannot_settle_a_hold(self, uow: UnitOfWork) -> None:
        run = await keep_funded_run(uow, 300)
        stranger = await keep_user(uow)
        await reserve(uow, make_reservation(run, 5))
        await intrude(uow, stranger.id, lambda tx: tx.ledger.settle(settlement(run, used=0)))
        await intrude(uow, stranger.id, lambda tx: tx.ledger.bear(cost(run, 7)))
        async with uow.begin(run.user_id) as tx:
            assert await tx.ledger.held(run.id, "idea") == 5
