"""What every database keeps of plans, subscriptions, seats and entitlements."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.persistence import UnitOfWork
from application.ports.subscriptions import DueSeat, Notice, SubscriptionSchedule
from domain.billing.payments import Mandate
from domain.billing.plans import FREE, Plan, PlanChanged
from domain.billing.seats import Seat, SeatTaken
from domain.billing.subscriptions.changes import AllotCredits, NoticeKind
from domain.billing.subscriptions.lifecycle import begin, begin_trial
from domain.billing.subscriptions.subscription import (
    AlreadySubscribed,
    AtEnd,
    ChargeStatus,
    Subscription,
    SubscriptionStatus,
    TrialUsed,
)
from domain.identity.user import User
from domain.shared.ids import OrderId, ProjectId, SeatId, SubscriptionId
from tests.contracts.plan_samples import make_plan
from tests.contracts.samples import (
    all_at_once,
    intrude,
    keep_project,
    keep_user,
    new_id,
)

# The years before anything that a test of its own clock makes: other rows are never due here.
NOW = datetime(2020, 1, 31, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def newer(plan: Plan, **changes: object) -> Plan:
    """The next version of a plan."""
    return replace(plan, id=make_plan().id, version=plan.version + 1, **changes)  # type: ignore[arg-type]


async def plan_of(uow: UnitOfWork, code: str = "pro") -> Plan:
    async with uow.begin(None) as tx:
        plan = await tx.plans.current(code)
    assert plan is not None
    return plan


async def keep_subscription(
    uow: UnitOfWork, user: User | None = None, code: str = "pro", *, seats: int = 1
) -> Subscription:
    """A stored subscription that waits for its first payment."""
    user = user or await keep_user(uow)
    outcome = begin(SubscriptionId(new_id()), user.id, await plan_of(uow, code), seats, NOW)
    sub = outcome.subscription
    assert sub.charge is not None
    async with uow.begin(user.id) as tx:
        await tx.subscriptions.add(sub)
        await tx.subscriptions.add_charge(sub.id, sub.charge, OrderId(new_id()))
    return sub


def make_seat(sub: Subscription, number: int = 1, **changes: object) -> Seat:
    seat = Seat(
        id=SeatId(new_id()),
        subscription_id=sub.id,
        user_id=sub.user_id,
        number=number,
        email=f"{number}-{sub.id}@example.org",
        holder_id=None,
        assigned_at=NOW,
    )
    return replace(seat, **changes)  # type: ignore[arg-type]


def allotted(sub: Subscription, first: int = 1, last: int = 1) -> AllotCredits:
    return AllotCredits(
        key=f"plan:{sub.id}:1",
        first=first,
        last=last,
        credits=900,
        expires_at=NOW + timedelta(days=30),
        reference=f"{sub.id}:1",
    )


class PlansContract:
    async def test_what_the_migration_sells_is_offered_cheapest_first(
        self, uow: UnitOfWork
    ) -> None:
        async with uow.begin(None) as tx:
            offered = [plan.code for plan in await tx.plans.offered()]
        assert offered[0] == FREE
        assert [c for c in offered if c in ("free", "college", "student", "team", "pro")] == [
            "free",
            "college",
            "student",
            "team",
            "pro",
        ]

    async def test_a_new_version_is_the_current_one_and_the_old_one_stays(
        self, uow: UnitOfWork
    ) -> None:
        admin = await keep_user(uow)
        first = make_plan(f"p{new_id().hex[:12]}")
        second = newer(first, price_paise=99_900, on_sale=False)
        async with uow.begin(admin.id) as tx:
            await tx.plans.add(first, by=admin.id)
            await tx.plans.add(second, by=admin.id)
        async with uow.begin(None) as tx:
            assert await tx.plans.current(first.code) == second
            assert await tx.plans.get(first.id) == first
            assert first.code not in [plan.code for plan in await tx.plans.offered()]
            versions = await tx.plans.versions(limit=10, after=None, code=first.code)
            assert versions == [second, first]
            rest = await tx.plans.versions(limit=10, after=second.id, code=first.code)
            assert rest == [first]

    async def test_a_version_is_written_once(self, uow: UnitOfWork) -> None:
        admin = await keep_user(uow)
        plan = make_plan(f"p{new_id().hex[:12]}")
        async with uow.begin(admin.id) as tx:
            await tx.plans.add(plan, by=admin.id)
        with pytest.raises(PlanChanged):
            async with uow.begin(admin.id) as tx:
                await tx.plans.add(replace(plan, id=make_plan().id), by=admin.id)


class SubscriptionsContract:
    async def test_what_is_added_is_read_back_with_its_charge(self, uow: UnitOfWork) -> None:
        sub = await keep_subscription(uow, code="team", seats=3)
        async with uow.begin(sub.user_id) as tx:
            assert await tx.subscriptions.current() == sub
            assert await tx.subscriptions.latest() == sub
            assert await tx.subscriptions.get(sub.id, lock=True) == sub

    async def test_every_field_that_changes_is_written_back(self, uow: UnitOfWork) -> None:
        sub = await keep_subscription(uow)
        changed = replace(
            sub,
            status=SubscriptionStatus.PAST_DUE,
            plan=await plan_of(uow, "student"),
            seats=2,
            anchor=NOW + HOUR,
            anchored=3,
            period=4,
            period_start=NOW + 2 * HOUR,
            period_end=NOW + 3 * HOUR,
            next_plan=await plan_of(uow, "team"),
            next_seats=5,
            at_end=AtEnd.PAUSE,
            charges=7,
            ahead="x:7",
            attempt=2,
            missed_at=NOW + 4 * HOUR,
            paused_at=NOW + 5 * HOUR,
            mandate=Mandate(customer_id="cust_1", token_id="token_1"),
        )
        async with uow.begin(sub.user_id) as tx:
            await tx.subscriptions.save(changed)
        async with uow.begin(sub.user_id) as tx:
            assert await tx.subscriptions.get(sub.id) == changed

    async def test_one_lives_at_a_time_and_the_block_may_go_on(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        first = await keep_subscription(uow, user)
        second = replace(first, id=SubscriptionId(new_id()), charge=None)
        async with uow.begin(user.id) as tx:
            with pytest.raises(AlreadySubscribed):
                await tx.subscriptions.add(second)
            ended = replace(first, status=SubscriptionStatus.CANCELLED, ended_at=NOW)
            await tx.subscriptions.save(ended)
            await tx.subscriptions.add(second)
        async with uow.begin(user.id) as tx:
            assert await tx.subscriptions.current() == second

    async def test_one_of_many_at_once_is_kept(self, uow: UnitOfWork) -> None:
        user, plan = await keep_user(uow), await plan_of(uow)

        async def try_once() -> bool:
            sub = replace(
                begin(SubscriptionId(new_id()), user.id, plan, 1, NOW).subscription, charge=None
            )
            try:
                async with uow.begin(user.id) as tx:
                    await tx.subscriptions.add(sub)
            except AlreadySubscribed:
                return False
            return True

        assert sum(await all_at_once(10, try_once)) == 1

    async def test_a_person_has_one_trial_ever(self, uow: UnitOfWork) -> None:
        user, plan = await keep_user(uow), await plan_of(uow)
        first = begin_trial(SubscriptionId(new_id()), user.id, plan, NOW, used=False).subscription
        async with uow.begin(user.id) as tx:
            assert not await tx.subscriptions.trial_used()
            await tx.subscriptions.add(first)
            await tx.subscriptions.save(
                replace(first, status=SubscriptionStatus.CANCELLED, ended_at=NOW)
            )
        async with uow.begin(user.id) as tx:
            assert await tx.subscriptions.trial_used()
            with pytest.raises(TrialUsed):
                await tx.subscriptions.add(replace(first, id=SubscriptionId(new_id())))

    async def test_a_charge_is_found_by_its_order_and_closed(self, uow: UnitOfWork) -> None:
        sub = await keep_subscription(uow)
        assert sub.charge is not None
        reference = sub.charge.reference
        async with uow.begin(sub.user_id) as tx:
            order_id = await tx.subscriptions.order_of(reference)
            assert order_id is not None
            assert await tx.subscriptions.charge_of(order_id) == (sub.id, sub.charge)
            assert await tx.subscriptions.charge_of(OrderId(new_id())) is None
            await tx.subscriptions.close_charge(reference, ChargeStatus.PAID)
            await tx.subscriptions.note_refund(reference, 300)
            await tx.subscriptions.note_refund(reference, 200)
            found = await tx.subscriptions.charge_of(order_id)
        assert found is not None
        assert (found[1].status, found[1].refunded_paise) == (ChargeStatus.PAID, 500)

    async def test_what_a_seat_is_allotted_is_taken_once(self, uow: UnitOfWork) -> None:
        sub = await keep_subscription(uow, code="team", seats=3)
        async with uow.begin(sub.user_id) as tx:
            await tx.subscriptions.allot(sub.id, allotted(sub, 1, 3))
            await tx.subscriptions.allot(sub.id, allotted(sub, 1, 3))
            first = await tx.subscriptions.take_own(sub.id, 1, NOW)
            assert [(a.seat, a.credits, a.granted_to) for a in first] == [(1, 900, sub.user_id)]
            assert await tx.subscriptions.take_own(sub.id, 1, NOW) == []
            assert await tx.subscriptions.take_own(sub.id, 2, NOW + timedelta(days=30)) == []
            assert await tx.subscriptions.given(f"{sub.id}:1", sub.user_id) == first
            await tx.subscriptions.withhold(f"{sub.id}:1")
            assert await tx.subscriptions.take_own(sub.id, 3, NOW) == []

    async def test_another_persons_is_not_seen(self, uow: UnitOfWork) -> None:
        sub, stranger = await keep_subscription(uow), await keep_user(uow)
        await intrude(uow, stranger.id, lambda tx: tx.subscriptions.save(replace(sub, seats=9)))
        async with uow.begin(stranger.id) as tx:
            assert await tx.subscriptions.get(sub.id) is None
            assert await tx.subscriptions.current() is None
        async with uow.begin(sub.user_id) as tx:
            assert await tx.subscriptions.get(sub.id) == sub

    async def test_seats_are_given_once_withdrawn_and_given_again(self, uow: UnitOfWork) -> None:
        sub = await keep_subscription(uow, code="team", seats=3)
        first, second = make_seat(sub, 1), make_seat(sub, 2)
        async with uow.begin(sub.user_id) as tx:
            await tx.seats.add(second)
            await tx.seats.add(first)
            with pytest.raises(SeatTaken):
                await tx.seats.add(make_seat(sub, 1, email="other@example.org"))
            with pytest.raises(SeatTaken):
                await tx.seats.add(make_seat(sub, 3, email=first.email))
            assert await tx.seats.of(sub.id) == [first, second]
            await tx.seats.withdraw(first.id, NOW + HOUR)
            assert await tx.seats.of(sub.id) == [second]
            await tx.seats.add(make_seat(sub, 1, email="other@example.org"))

    async def test_a_notice_is_told_once(self, uow: UnitOfWork) -> None:
        sub = await keep_subscription(uow)

        def notice(key: str) -> Notice:
            return Notice(
                id=new_id(),
                user_id=sub.user_id,
                key=key,
                kind=NoticeKind.RENEWED,
                data={"plan": "pro", "seats": 2},
                created_at=NOW,
                subscription_id=sub.id,
            )

        older, newest = notice("a"), notice("b")
        async with uow.begin(sub.user_id) as tx:
            for one in (older, newest, notice("a")):
                await tx.notices.add(one)
            told = await tx.notices.of_subscription(sub.id, limit=10, after=None)
            rest = await tx.notices.of_subscription(sub.id, limit=10, after=newest.id)
        assert told == [newest, older]
        assert rest == [older]


class EntitlementsContract:
    async def test_without_anything_it_is_free(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        async with uow.begin(user.id) as tx:
            assert (await tx.entitlements.effective(NOW)).code == FREE
            assert await tx.entitlements.paid_until(NOW) is None

    async def test_the_dearest_that_lasts_counts_until_it_ends(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        pro, student = await plan_of(uow), await plan_of(uow, "student")
        own, seat = SubscriptionId(new_id()), SubscriptionId(new_id())
        async with uow.begin(user.id) as tx:
            await tx.entitlements.put(own, student.id, NOW + 3 * HOUR, NOW)
            await tx.entitlements.put(seat, pro.id, NOW + HOUR, NOW)
            assert await tx.entitlements.effective(NOW) == pro
            assert await tx.entitlements.effective(NOW + HOUR) == student
            assert await tx.entitlements.paid_until(NOW) == NOW + 3 * HOUR
            assert (await tx.entitlements.effective(NOW + 3 * HOUR)).code == FREE
            await tx.entitlements.put(seat, pro.id, NOW + 5 * HOUR, NOW + HOUR)
            assert await tx.entitlements.effective(NOW + 4 * HOUR) == pro
            await tx.entitlements.end(seat, NOW + 2 * HOUR)
            assert await tx.entitlements.effective(NOW + 2 * HOUR) == student

    async def test_nobody_has_what_another_has(self, uow: UnitOfWork) -> None:
        user, stranger = await keep_user(uow), await keep_user(uow)
        pro = await plan_of(uow)
        async with uow.begin(user.id) as tx:
            await tx.entitlements.put(SubscriptionId(new_id()), pro.id, NOW + HOUR, NOW)
        async with uow.begin(stranger.id) as tx:
            assert (await tx.entitlements.effective(NOW)).code == FREE

    async def test_months_of_free_are_counted(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        async with uow.begin(user.id) as tx:
            assert await tx.entitlements.free_month() is None
            await tx.entitlements.open_free(NOW)
            await tx.entitlements.open_free(NOW + HOUR)
            assert await tx.entitlements.free_month() == (NOW, 1)
            await tx.entitlements.next_free_month(2, NOW + HOUR)
            assert await tx.entitlements.free_month() == (NOW, 2)

    async def test_a_project_is_kept_from_its_touch_and_from_a_plans_end(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        project = await keep_project(uow, owner, updated_at=NOW, created_at=NOW)
        free, student = await plan_of(uow, FREE), await plan_of(uow, "student")
        assert free.retention_days and student.retention_days
        async with uow.begin(owner.id) as tx:
            kept = await tx.retention.kept_until(project.id, NOW)
            assert kept == NOW + timedelta(days=free.retention_days)
            ends = NOW + timedelta(days=60)
            await tx.entitlements.put(SubscriptionId(new_id()), student.id, ends, NOW)
            kept = await tx.retention.kept_until(project.id, NOW)
            assert kept == ends + timedelta(days=student.retention_days)
            assert await tx.retention.noticed(project.id) is None
            await tx.retention.notice(project.id, ends)
            assert await tx.retention.noticed(project.id) == ends
            await tx.retention.forget(project.id)
            assert await tx.retention.noticed(project.id) is None

    async def test_a_plan_that_keeps_for_good_keeps_for_good(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        project = await keep_project(uow, owner, updated_at=NOW)
        lasting = make_plan(f"p{new_id().hex[:12]}", retention_days=None)
        async with uow.begin(owner.id) as tx:
            await tx.plans.add(lasting, by=owner.id)
            await tx.entitlements.put(SubscriptionId(new_id()), lasting.id, NOW + HOUR, NOW)
            assert await tx.retention.kept_until(project.id, NOW) is None
            assert await tx.retention.kept_until(ProjectId(new_id()), NOW) == NOW


class SubscriptionScheduleContract:
    async def test_a_due_subscription_is_taken_by_one_and_comes_again(
        self, uow: UnitOfWork, subscription_schedule: SubscriptionSchedule
    ) -> None:
        sub = await keep_subscription(uow)
        assert sub.due_at is not None

        async def take() -> int:
            due = await subscription_schedule.due_subscriptions(sub.due_at, 1_000, 60)  # type: ignore[arg-type]
            return sum(row.id == sub.id for row in due)

        early = await subscription_schedule.due_subscriptions(sub.due_at - HOUR, 1_000, 60)
        assert sub.id not in [row.id for row in early]
        assert sum(await all_at_once(8, take)) == 1
        later = sub.due_at + timedelta(seconds=60)
        again = await subscription_schedule.due_subscriptions(later, 1_000, 60)
        assert [row.user_id for row in again if row.id == sub.id] == [sub.user_id]

    async def test_an_open_charge_is_collected_when_it_is_asked_for(
        self, uow: UnitOfWork, subscription_schedule: SubscriptionSchedule
    ) -> None:
        sub = await keep_subscription(uow)
        assert sub.charge is not None
        reference = sub.charge.reference

        async def due() -> list[str]:
            found = await subscription_schedule.due_collections(NOW, 1_000, 60)
            return [row.reference for row in found if row.reference == reference]

        assert await due() == []
        async with uow.begin(sub.user_id) as tx:
            await tx.subscriptions.collect(reference, NOW)
        assert await due() == [reference]
        assert await due() == []
        async with uow.begin(sub.user_id) as tx:
            await tx.subscriptions.collect(reference, NOW)
            await tx.subscriptions.close_charge(reference, ChargeStatus.VOID)
        assert await due() == []

    async def test_a_seat_is_brought_up_once_and_again_when_it_changed_meanwhile(
        self, uow: UnitOfWork, subscription_schedule: SubscriptionSchedule
    ) -> None:
        holder = await keep_user(uow)
        sub = await keep_subscription(uow, code="team", seats=2)
        seat = make_seat(sub, 2)
        lasting = replace(
            sub, status=SubscriptionStatus.ACTIVE, period=0, period_end=NOW + 24 * HOUR
        )
        async with uow.begin(sub.user_id) as tx:
            await tx.subscriptions.save(lasting)
            await tx.seats.add(seat)
            await tx.subscriptions.allot(sub.id, allotted(sub, 1, 2))

        async def due(at: datetime) -> DueSeat | None:
            found = await subscription_schedule.due_seats(at, 1_000, 60)
            return next((row for row in found if row.id == seat.id), None)

        first = await due(NOW)
        assert first is not None and first.holder_id is None
        assert (first.number, first.email, first.until) == (2, seat.email, lasting.entitled_until)
        await subscription_schedule.bind(first, holder.id)
        held = replace(first, holder_id=holder.id)
        given = await subscription_schedule.claim_allotments(held, NOW)
        assert [(a.seat, a.credits, a.granted_to) for a in given] == [(2, 900, holder.id)]
        # What was claimed and not marked is given again, to the same person only.
        assert await subscription_schedule.claim_allotments(held, NOW) == given
        async with uow.begin(sub.user_id) as tx:
            await tx.seats.touch(sub.id, NOW + HOUR)
        await subscription_schedule.seat_done(held, given, again_at=None)
        again = await due(NOW + HOUR)
        assert again is not None and again.holder_id == holder.id
        assert await subscription_schedule.claim_allotments(again, NOW) == []
        await subscription_schedule.seat_done(again, [], again_at=None)
        assert await due(NOW + 10 * HOUR) is None

    async def test_a_withdrawn_seat_has_nothing_more(
        self, uow: UnitOfWork, subscription_schedule: SubscriptionSchedule
    ) -> None:
        holder = await keep_user(uow)
        sub = await keep_subscription(uow, code="team", seats=2)
        seat = make_seat(sub, 2, holder_id=holder.id)
        async with uow.begin(sub.user_id) as tx:
            await tx.subscriptions.save(
                replace(sub, status=SubscriptionStatus.ACTIVE, period=0, period_end=NOW + HOUR)
            )
            await tx.seats.add(seat)
            await tx.subscriptions.allot(sub.id, allotted(sub, 1, 2))
            await tx.seats.withdraw(seat.id, NOW)
        found = await subscription_schedule.due_seats(NOW, 1_000, 60)
        (mine,) = [row for row in found if row.id == seat.id]
        assert mine.withdrawn and mine.until is None
        assert await subscription_schedule.claim_allotments(mine, NOW) == []

    async def test_a_month_of_free_comes_due(
        self, uow: UnitOfWork, subscription_schedule: SubscriptionSchedule
    ) -> None:
        user = await keep_user(uow)
        async with uow.begin(user.id) as tx:
            await tx.entitlements.open_free(NOW)
        due = await subscription_schedule.due_free_months(NOW + timedelta(days=27), 1_000, 60)
        assert user.id not in due
        at = NOW + timedelta(days=29)
        assert user.id in await subscription_schedule.due_free_months(at, 1_000, 60)
        assert user.id not in await subscription_schedule.due_free_months(at, 1_000, 60)

    async def test_old_projects_are_those_that_nothing_lasts_for(
        self, uow: UnitOfWork, subscription_schedule: SubscriptionSchedule
    ) -> None:
        owner, paying = await keep_user(uow), await keep_user(uow)
        old = await keep_project(uow, owner, updated_at=NOW)
        paid = await keep_project(uow, paying, updated_at=NOW)
        fresh = await keep_project(uow, owner, updated_at=NOW + 2 * HOUR)
        pro = await plan_of(uow)
        async with uow.begin(paying.id) as tx:
            await tx.entitlements.put(SubscriptionId(new_id()), pro.id, NOW + 99 * HOUR, NOW)

        async def due() -> set[ProjectId]:
            found = await subscription_schedule.old_projects(NOW + HOUR, NOW + HOUR, 1_000, 60)
            return {row.id for row in found} & {old.id, paid.id, fresh.id}

        assert await due() == {old.id}
        assert await due() == set()

    async def test_operators_find_everybodys(
        self, uow: UnitOfWork, subscription_schedule: SubscriptionSchedule
    ) -> None:
        older, newer_ = await keep_subscription(uow), await keep_subscription(uow)
        found = await subscription_schedule.page(SubscriptionStatus.PENDING, limit=2, after=None)
        assert [row.id for row in found] == [newer_.id, older.id]
        rest = await subscription_schedule.page(None, limit=1, after=newer_.id)
        assert [row.id for row in rest] == [older.id]
        of_one = await subscription_schedule.page(None, limit=9, after=None, user_id=older.user_id)
        assert [row.id for row in of_one] == [older.id]
        one = await subscription_schedule.find(older.id)
        assert one is not None and (one.plan, one.status) == ("pro", "pending")
        assert await subscription_schedule.find(SubscriptionId(new_id())) is None
