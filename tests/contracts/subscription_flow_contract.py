"""Subscriptions from their order to their end, over whatever database is beneath."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.billing.refund_desk import RefundOrder
from application.ports.ledger import EntryQuery
from application.ports.payments import OrderFilter
from application.subscriptions.manage_subscription import Change, NewSubscription
from domain.billing.ledger import AccountKind, EntryKind
from domain.billing.orders import Order, OrderNotOpen, OrderStatus
from domain.billing.payments import Payment
from domain.billing.plans import FREE
from domain.billing.seats import NoFreeSeat, SeatTaken
from domain.billing.subscriptions.changes import NoticeKind
from domain.billing.subscriptions.subscription import (
    AlreadySubscribed,
    AtEnd,
    NoSubscription,
    SubscriptionState,
    SubscriptionStatus,
)
from domain.billing.top_ups import worth
from domain.identity.user import User
from domain.shared.errors import InvalidValue, NotFound
from tests.contracts.office import Office
from tests.contracts.samples import ORIGIN, all_at_once, keep_project, make_user
from tests.contracts.subscriptions_contract import plan_of

DAY = timedelta(days=1)


class SubscriptionFlowContract:
    async def test_a_paid_order_starts_it_with_its_credits_and_limits(self, office: Office) -> None:
        user = await office.person()
        shown = await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="pro"))
        assert shown.subscription is not None
        assert shown.subscription.status is SubscriptionStatus.PENDING
        assert (shown.plan.code, await office.free(user)) == (FREE, 0)
        order, _ = await office.pay(user)
        pro = await plan_of(office.uow)
        assert order.amount_paise == pro.price_paise
        assert (await office.has(user)).status is SubscriptionStatus.ACTIVE
        assert (await office.plan(user), await office.free(user)) == (pro, pro.credits)

    async def test_the_same_payment_again_gives_nothing_again(self, office: Office) -> None:
        user = await office.buyer()
        credits = await office.free(user)
        for order in [await office.now(await self._order(office, user))]:
            for seen in await office.gateway.payments_of(order.gateway_order_id):
                await all_at_once(5, lambda o=order, s=seen: office.see(o, s))  # type: ignore[misc]
        await office.settle()
        assert await office.free(user) == credits

    async def test_a_mandate_renews_it_before_its_end(self, office: Office) -> None:
        user = await office.buyer()
        first = await office.has(user)
        assert first.mandate is not None
        await office.pass_time(first.period_end - office.clock.now() - DAY / 2)
        assert (await office.has(user)).paid_ahead
        await office.pass_time(DAY)
        renewed = await office.has(user)
        assert (renewed.period, renewed.period_start) == (1, first.period_end)
        kinds = [notice.kind for notice in await office.told(user)]
        assert kinds == [NoticeKind.STARTED, NoticeKind.RENEWAL_DUE, NoticeKind.RENEWED]

    async def test_many_dispatchers_at_once_renew_once(self, office: Office) -> None:
        users = [await office.buyer() for _ in range(3)]
        ends = [(await office.has(user)).period_end for user in users]
        await office.pass_time(max(ends) - office.clock.now() - DAY / 2)
        before = [await office.free(user) for user in users]
        office.clock.move(DAY)
        await all_at_once(6, office.advance)
        await office.settle()
        pro = await plan_of(office.uow)
        for user, credits in zip(users, before, strict=True):
            assert (await office.has(user)).period == 1
            assert await self._granted(office, user) == 2 * pro.credits
            assert await office.free(user) in (credits + pro.credits, pro.credits)

    async def test_a_mandate_that_fails_ends_it_after_its_grace(self, office: Office) -> None:
        user = await office.buyer()
        sub = await office.has(user)
        assert sub.mandate is not None
        await office.gateway.let_mandate(sub.mandate.token_id, good=False)
        await office.pass_time(sub.period_end - office.clock.now() + DAY)
        late = await office.has(user)
        assert late.status is SubscriptionStatus.PAST_DUE
        assert (await office.plan(user)).code == "pro"
        await office.pass_time(8 * DAY)
        assert (await office.has(user)).status is SubscriptionStatus.EXPIRED
        assert (await office.plan(user)).code == FREE
        pro = await plan_of(office.uow)
        assert await self._granted(office, user) == pro.credits
        kinds = {notice.kind for notice in await office.told(user)}
        assert {NoticeKind.PAYMENT_FAILED, NoticeKind.PAST_DUE, NoticeKind.ENDED} <= kinds

    async def test_it_is_paid_by_hand_in_its_grace(self, office: Office) -> None:
        user = await office.buyer()
        sub = await office.has(user)
        assert sub.mandate is not None
        await office.gateway.let_mandate(sub.mandate.token_id, good=False)
        await office.pass_time(sub.period_end - office.clock.now() + 2 * DAY)
        await office.pay(user)
        paid = await office.has(user)
        assert (paid.status, paid.period_start) == (SubscriptionStatus.ACTIVE, sub.period_end)

    async def test_the_order_of_a_renewal_goes_with_its_subscription_alone(
        self, office: Office
    ) -> None:
        user = await office.buyer()
        sub = await office.has(user)
        await office.pass_time(sub.period_end - office.clock.now() - 2 * DAY)
        order = await office.asked(user)
        with pytest.raises(SubscriptionState, match="Cancel or change the subscription"):
            await office.cancel(user.id, order.id)
        assert (await office.now(order)).open
        await office.manage.cancel(user.id, origin=ORIGIN)
        assert (await office.now(order)).status is OrderStatus.CANCELLED
        with pytest.raises(OrderNotOpen):
            await office.cancel(user.id, order.id)

    async def test_after_an_outage_of_ours_what_is_missing_can_be_paid_in_all_its_grace(
        self, office: Office
    ) -> None:
        user = await office.buyer()
        sub = await office.has(user)
        assert sub.mandate is not None
        await office.gateway.let_mandate(sub.mandate.token_id, good=False)
        await office.pass_time(sub.period_end - office.clock.now() - 2 * DAY)
        office.clock.move(22 * DAY)  # nobody looks
        await office.settle()
        await office.pass_time(6 * DAY)
        order = await office.asked(user)
        await office.reconcile.look_at(user.id, order.id)
        await office.pay(user)
        assert (await office.has(user)).status is SubscriptionStatus.ACTIVE

    async def test_an_upgrade_is_paid_in_proportion(self, office: Office) -> None:
        user = await office.buyer("student")
        sub = await office.has(user)
        office.clock.move((sub.period_end - sub.period_start) / 2)
        shown = await office.preview(Change(origin=ORIGIN, user_id=user.id, plan="pro"))
        assert shown.due_now is not None
        await office.manage.change(Change(origin=ORIGIN, user_id=user.id, plan="pro"))
        order, _ = await office.pay(user)
        student, pro = await plan_of(office.uow, "student"), await plan_of(office.uow)
        assert order.amount_paise == shown.due_now.due_paise
        assert abs(order.amount_paise - (pro.price_paise - student.price_paise) / 2) <= 1
        assert await office.plan(user) == pro
        granted = student.credits + (pro.credits - student.credits) // 2
        assert abs(await self._granted(office, user) - granted) <= 1

    async def test_a_downgrade_and_fewer_seats_wait_for_the_period(self, office: Office) -> None:
        user = await office.buyer("team", seats=3)
        for number in (2, 3):
            member = await office.person()
            assert (
                await office.seats.assign(user.id, member.email, origin=ORIGIN)
            ).number == number
        await office.manage.change(Change(origin=ORIGIN, user_id=user.id, seats=2))
        sub = await office.has(user)
        assert (sub.seats, sub.next_seats) == (3, 2)
        await office.pass_time(sub.period_end - office.clock.now() + DAY)
        after = await office.has(user)
        assert (after.status, after.seats, after.period) == (SubscriptionStatus.ACTIVE, 2, 1)
        assert [seat.number for seat in (await office.seats.list(user.id))[1]] == [1, 2]
        assert (await office.plan(member)).code == FREE

    async def test_a_seat_gives_its_holder_the_plan_and_its_credits_once(
        self, office: Office
    ) -> None:
        user = await office.buyer("team", seats=2)
        team = await plan_of(office.uow, "team")
        first, second = await office.person(), await office.person()
        seat = await office.seats.assign(user.id, first.email.upper(), origin=ORIGIN)
        with pytest.raises(SeatTaken):
            await office.seats.assign(user.id, first.email, origin=ORIGIN)
        with pytest.raises(NoFreeSeat):
            await office.seats.assign(user.id, second.email, origin=ORIGIN)
        await office.settle()
        assert (await office.plan(first), await office.free(first)) == (team, team.credits)
        await office.seats.withdraw(user.id, seat.number, origin=ORIGIN)
        with pytest.raises(NotFound):
            await office.seats.withdraw(user.id, seat.number, origin=ORIGIN)
        await office.settle()
        assert (await office.plan(first)).code == FREE
        await office.seats.assign(user.id, second.email, origin=ORIGIN)
        await office.settle()
        assert await office.plan(second) == team
        assert await office.free(second) == 0
        sub = await office.has(user)
        await office.pass_time(sub.period_end - office.clock.now() + DAY)
        assert await self._granted(office, second) == team.credits
        assert await self._granted(office, first) == team.credits

    async def test_a_seat_waits_for_whoever_registers_with_its_email(self, office: Office) -> None:
        user = await office.buyer("team", seats=2)
        stranger = make_user()
        assert (await office.seats.assign(user.id, stranger.email, origin=ORIGIN)).holder_id is None
        await office.settle()
        async with office.uow.begin(stranger.id) as tx:
            await tx.users.add(stranger)
            await tx.ledger.open(stranger.id)
        office.clock.move(timedelta(hours=1))
        await office.settle()
        team = await plan_of(office.uow, "team")
        assert (await office.plan(stranger), await office.free(stranger)) == (team, team.credits)

    async def test_a_seat_binds_nobody_who_has_not_proved_to_have_its_address(
        self, office: Office
    ) -> None:
        user = await office.buyer("team", seats=2)
        squatter = make_user(email_verified_at=None)
        async with office.uow.begin(squatter.id) as tx:
            await tx.users.add(squatter)
            await tx.ledger.open(squatter.id)
        seat = await office.seats.assign(user.id, squatter.email, origin=ORIGIN)
        assert seat.holder_id is None
        for _ in range(2):
            await office.settle()
            office.clock.move(timedelta(hours=1))
        assert await office.free(squatter) == 0
        async with office.uow.begin(squatter.id) as tx:
            await tx.users.set_email(squatter.id, squatter.email)
        await office.settle()
        team = await plan_of(office.uow, "team")
        assert (await office.plan(squatter), await office.free(squatter)) == (team, team.credits)

    async def test_a_full_refund_ends_it_and_takes_the_credits_back(self, office: Office) -> None:
        user = await office.person()
        await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="pro"))
        _, payment = await office.pay(user)
        half = payment.amount_paise // 2
        pro = await plan_of(office.uow)
        await self._refund(office, payment, half)
        assert (await office.has(user)).status is SubscriptionStatus.ACTIVE
        assert await office.free(user) == pro.credits - pro.credits * half // pro.price_paise
        await self._refund(office, payment, None)
        assert (await office.has(user)).status is SubscriptionStatus.CANCELLED
        assert await office.credits(user.id) == (0, 0)
        assert (await office.plan(user)).code == FREE

    async def test_of_a_start_and_an_upgrade_refunds_leave_no_credits_in_either_order(
        self, office: Office
    ) -> None:
        for first in (0, 1):
            user = await office.person()
            await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="student"))
            payments = [(await office.pay(user))[1]]
            await office.manage.change(Change(origin=ORIGIN, user_id=user.id, plan="pro"))
            payments.append((await office.pay(user))[1])
            assert await office.free(user) > 0
            await self._refund(office, payments[first], None)
            await self._refund(office, payments[1 - first], None)
            assert await office.credits(user.id) == (0, 0)
            assert (await office.has(user)).status is SubscriptionStatus.CANCELLED

    async def test_a_next_period_that_a_refund_forestalls_is_given_back_once(
        self, office: Office
    ) -> None:
        user = await office.person()
        await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="pro"))
        _, present = await office.pay(user)
        end = (await office.has(user)).period_end
        await office.pass_time(end - office.clock.now() - 2 * DAY)
        order, ahead = await office.pay(user)
        assert (await office.has(user)).paid_ahead
        part = ahead.amount_paise // 3
        await self._refund(office, ahead, part)
        await self._refund(office, present, None)
        assert (await office.has(user)).status is SubscriptionStatus.CANCELLED
        left = worth(order.amount_paise) - worth(part)
        assert await office.credits(user.id) == (left, 0)
        await self._refund(office, ahead, None)
        assert await office.credits(user.id) == (0, 0)

    async def test_what_is_given_up_is_not_fulfilled_any_more(self, office: Office) -> None:
        user = await office.person()
        await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="pro"))
        given_up = await office.asked(user)
        await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="student"))
        assert (await office.now(given_up)).status is OrderStatus.CANCELLED
        await office.gateway.approve(given_up.gateway_order_id)
        for seen in await office.gateway.payments_of(given_up.gateway_order_id):
            await office.see(given_up, seen)
        assert (await office.plan(user)).code == FREE
        assert await office.free(user) == 0
        await office.pay(user)
        assert (await office.plan(user)).code == "student"

    async def test_money_for_a_charge_that_is_void_becomes_credits(self, office: Office) -> None:
        user = await office.person()
        await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="pro"))
        order = await office.asked(user)
        # Nobody has looked since: to the payment's side, the order is open yet.
        office.clock.move(timedelta(hours=25))
        await office.gateway.approve(order.gateway_order_id)
        (seen,) = await office.gateway.payments_of(order.gateway_order_id)
        await office.see(order, seen)
        assert (await office.has(user)).status is SubscriptionStatus.EXPIRED
        assert await office.free(user) == worth(order.amount_paise)
        assert (await office.plan(user)).code == FREE

    async def test_cancel_pause_and_resume(self, office: Office) -> None:
        user = await office.buyer()
        sub = await office.has(user)
        await office.manage.cancel(user.id, origin=ORIGIN)
        assert (await office.has(user)).at_end is AtEnd.CANCEL
        await office.manage.resume(user.id, origin=ORIGIN)
        await office.manage.pause(user.id, origin=ORIGIN)
        await office.pass_time(sub.period_end - office.clock.now() + DAY)
        assert (await office.has(user)).status is SubscriptionStatus.PAUSED
        assert (await office.plan(user)).code == FREE
        await office.manage.resume(user.id, origin=ORIGIN)
        await office.pay(user)
        again = await office.has(user)
        assert (again.status, again.period) == (SubscriptionStatus.ACTIVE, 1)
        assert again.period_start == office.clock.now()
        await office.manage.cancel(user.id, origin=ORIGIN)
        await office.pass_time(again.period_end - office.clock.now() + DAY)
        assert (await office.has(user)).status is SubscriptionStatus.CANCELLED
        with pytest.raises(NoSubscription):
            await office.manage.resume(user.id, origin=ORIGIN)

    async def test_one_at_a_time_and_only_what_is_sold(self, office: Office) -> None:
        user = await office.buyer()
        with pytest.raises(AlreadySubscribed):
            await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="student"))
        other = await office.person()
        with pytest.raises(InvalidValue, match="code"):
            await office.start(NewSubscription(origin=ORIGIN, user_id=other.id, plan="gold"))
        with pytest.raises(NoSubscription):
            await office.manage.change(Change(origin=ORIGIN, user_id=other.id, plan="pro"))

    async def test_a_trial_takes_neither_coupon_nor_seats(self, office: Office) -> None:
        user = await office.person()
        trial = NewSubscription(origin=ORIGIN, user_id=user.id, plan="pro", trial=True)
        for field in ("coupon", "seats"):
            wanted = replace(trial, coupon="SAVE") if field == "coupon" else replace(trial, seats=2)
            with pytest.raises(InvalidValue) as refused:
                await office.start(wanted)
            assert refused.value.field == field
        assert (await office.start(trial)).subscription is not None

    async def test_a_trial_becomes_a_plan_when_it_is_paid(self, office: Office) -> None:
        user = await office.person()
        shown = await office.start(
            NewSubscription(origin=ORIGIN, user_id=user.id, plan="pro", trial=True)
        )
        assert shown.plan.code == "pro"
        assert await office.free(user) == shown.plan.trial_credits
        await office.pass_time(5 * DAY)
        await office.pay(user)
        await office.pass_time(3 * DAY)
        assert (await office.has(user)).status is SubscriptionStatus.ACTIVE
        granted = shown.plan.credits + shown.plan.trial_credits
        assert await self._granted(office, user) == granted

    async def test_free_gives_its_credits_every_month_unless_a_plan_does(
        self, office: Office
    ) -> None:
        user = await office.person()
        free = await plan_of(office.uow, FREE)
        async with office.uow.begin(user.id) as tx:
            await tx.entitlements.open_free(office.clock.now())
        await office.pass_time(20 * DAY, step=10 * DAY)
        assert await self._granted(office, user) == 0
        await office.pass_time(50 * DAY, step=5 * DAY)
        assert await self._granted(office, user) == 2 * free.credits
        await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="pro"))
        await office.pay(user)
        await office.pass_time(25 * DAY, step=5 * DAY)
        pro = await plan_of(office.uow)
        assert await self._granted(office, user) == 2 * free.credits + pro.credits

    async def test_an_untouched_project_is_deleted_after_a_notice_and_never_in_a_paid_period(
        self, office: Office
    ) -> None:
        owner, paying = await office.person(), await office.buyer()
        now = office.clock.now()
        free = await plan_of(office.uow, FREE)
        assert free.retention_days
        old = now - timedelta(days=free.retention_days + 1)
        mine = await keep_project(office.uow, owner, updated_at=old)
        paid = await keep_project(office.uow, paying, updated_at=old)
        rescued = await keep_project(office.uow, owner, updated_at=old)
        for _ in range(40):
            await office.retention()
            office.clock.move(DAY)
            if office.clock.now() - now == 20 * DAY:
                async with office.uow.begin(owner.id) as tx:
                    touched = replace(rescued, updated_at=office.clock.now())
                    await tx.projects.save(touched)
                    assert await tx.projects.get(mine.id) is not None
        async with office.uow.begin(owner.id) as tx:
            assert await tx.projects.get(mine.id) is None
            assert await tx.projects.get(rescued.id) is not None
        async with office.uow.begin(paying.id) as tx:
            assert await tx.projects.get(paid.id) is not None

    async def _order(self, office: Office, user: User) -> Order:
        async with office.uow.begin(user.id) as tx:
            (order,) = await tx.orders.page(OrderFilter(limit=2))
        return order

    async def _refund(self, office: Office, payment: Payment, paise: int | None) -> None:
        await office.refunds.request(
            RefundOrder(
                origin=ORIGIN,
                user_id=payment.user_id,
                payment_id=payment.id,
                amount_paise=paise,
                reason="asked for",
            )
        )

    async def _granted(self, office: Office, user: User) -> int:
        """All that plans ever gave somebody, lapsed or not."""
        async with office.uow.begin(user.id) as tx:
            booked = await tx.ledger.entries(EntryQuery(limit=100, kind=EntryKind.GRANT))
        return sum(-entry.sums.get(AccountKind.GRANTS, 0) for entry in booked)
