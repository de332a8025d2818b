"""What buying keeps to, whatever comes when: a payment is worth its credits, once."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from application.billing.buy_credits import CreditOrder
from application.billing.no_gateway import NoGateway
from application.billing.payment_book import SURPLUS
from application.billing.refund_desk import RefundDesk, RefundOrder
from application.billing.webhooks import MAX_ATTEMPTS, MAX_EVENT_BYTES
from application.ports.idempotency import Completion, KeyClaimLost
from application.ports.paging import Page
from application.ports.payment_gateway import (
    CheckoutReply,
    DisputeStatus,
    GatewayDispute,
    GatewayEvent,
    GatewayPayment,
    GatewayRefund,
    GatewayUnavailable,
    SignatureInvalid,
)
from application.ports.payments import MovementFilter, OrderFilter, WebhookStatus
from domain.billing.coupons import CouponAlreadyUsed, CouponExhausted, CouponNotUsable
from domain.billing.days import Days, day_of
from domain.billing.orders import Order, OrderNotOpen, OrderPurpose, OrderStatus
from domain.billing.payments import (
    NothingToRefund,
    Payment,
    PaymentMismatch,
    Refund,
    TransactionKind,
    TransactionStatus,
)
from domain.identity.user import User
from domain.shared.errors import Conflict, InvalidValue, NotFound
from domain.shared.ids import UserId
from tests.contracts.samples import (
    ORIGIN,
    all_at_once,
    keep_order,
    keep_user,
    make_coupon,
    make_payment,
    make_refund,
    new_id,
)
from tests.contracts.shop import AUTHORIZED, CAPTURED, FAILED, Shop
from tests.fakes.gateway_store import ScriptedGateway

CREDITS = 20_000
OPERATOR = UserId(new_id())
"""What the starter pack brings."""

PENDING = TransactionStatus.PENDING
PROCESSED = TransactionStatus.PROCESSED
REQUESTED = TransactionStatus.REQUESTED


class WentDown(Exception):
    """The process died here."""


class CutOff(RefundDesk):
    """A desk that dies as soon as a refund is kept, before it asks the gateway."""

    def __init__(self, desk: RefundDesk) -> None:
        super().__init__(
            desk.uow, desk.gateway, desk.fulfilments, desk.clock, desk.ids, desk.metrics
        )

    async def carry_out(self, refund: Refund, once: Completion[Refund] | None = None) -> Refund:
        raise WentDown


def captured(payment: GatewayPayment) -> GatewayEvent:
    return GatewayEvent(type="payment.captured", payment=payment)


async def reply_to(shop: Shop, payment: GatewayPayment) -> CheckoutReply:
    return shop.gateway._told(payment).reply


async def keep_coupon(shop: Shop, **changes: object) -> str:
    coupon = make_coupon(**changes)
    async with shop.uow.begin((await keep_user(shop.uow)).id) as tx:
        await tx.coupons.add(coupon)
    return coupon.code


async def redeemed(shop: Shop, code: str) -> int:
    async with shop.uow.begin((await keep_user(shop.uow)).id) as tx:
        coupon = await tx.coupons.by_code(code)
    assert coupon is not None
    return coupon.redeemed


DueAgain = Callable[[], Awaitable[None]]
"""Lets events that were put off come due."""


class PaymentFlowContract:
    # One payment, one credit

    async def test_a_captured_payment_pays_the_order_and_brings_its_credits(
        self, shop: Shop
    ) -> None:
        order, payment = await shop.paid()
        assert (order.status, order.paid_with) == (OrderStatus.PAID, payment.id)
        assert order.paid_at == payment.captured_at is not None
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_seen_again_it_changes_nothing(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        seen = await shop.gateway.payment(payment.gateway_payment_id)
        for _ in range(3):
            assert await shop.see(order, seen) == order
        assert await shop.credits(order.user_id) == (CREDITS, 0)
        assert await shop.payments(order) == [payment]

    async def test_the_browsers_reply_pays_the_order(self, shop: Shop) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        paid = await shop.verify(order.user_id, await reply_to(shop, seen))
        assert paid.status is OrderStatus.PAID
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_a_reply_that_was_tampered_with_is_refused(self, shop: Shop) -> None:
        order, other = await shop.order(), await shop.order()
        reply = await reply_to(shop, await shop.gateway.attempt(order, CAPTURED))
        with pytest.raises(SignatureInvalid):
            await shop.verify(
                order.user_id, replace(reply, gateway_order_id=other.gateway_order_id)
            )
        assert await shop.credits(order.user_id) == (0, 0)

    async def test_a_reply_about_anothers_order_is_refused(self, shop: Shop) -> None:
        order, stranger = await shop.order(), await keep_user(shop.uow)
        reply = await reply_to(shop, await shop.gateway.attempt(order, CAPTURED))
        with pytest.raises(NotFound):
            await shop.verify(stranger.id, reply)
        assert await shop.credits(stranger.id) == (0, 0)

    async def test_a_payment_of_another_order_does_not_pay_this_one(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow)
        small, large = await shop.order(owner), await shop.order(owner)
        seen = await shop.gateway.attempt(small, CAPTURED)
        with pytest.raises(PaymentMismatch):
            await shop.see(large, seen)
        assert await shop.credits(owner.id) == (0, 0)

    async def test_one_reply_and_twenty_events_at_once_are_one_credit(self, shop: Shop) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        reply = await reply_to(shop, seen)
        types = ("payment.captured", "order.paid")
        for number in range(20):
            await shop.tell(GatewayEvent(type=types[number % 2], payment=seen))
        await asyncio.gather(
            shop.verify(order.user_id, reply),
            *(shop.see(order, seen) for _ in range(20)),
            *(shop.process() for _ in range(4)),
        )
        await shop.act()
        assert await shop.credits(order.user_id) == (CREDITS, 0)
        assert len(await shop.payments(order)) == 1
        assert (await shop.now(order)).status is OrderStatus.PAID

    async def test_in_whatever_order_its_stages_are_told(self, shop: Shop) -> None:
        stages = (None, FAILED, AUTHORIZED, CAPTURED)
        for told in permutations(stages):
            order = await shop.order()
            real = await shop.gateway.attempt(order, CAPTURED)
            for status in told:
                await shop.see(order, replace(real, status=status))
            assert await shop.credits(order.user_id) == (CREDITS, 0), told
            (payment,) = await shop.payments(order)
            assert payment.status is CAPTURED

    async def test_what_was_authorised_is_captured(self, shop: Shop) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, AUTHORIZED)
        assert (await shop.see(order, seen)).status is OrderStatus.PAID
        assert (await shop.gateway.payment(seen.id)).status is CAPTURED
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_one_that_cannot_be_captured_now_is_kept_and_captured_later(
        self, shop: Shop
    ) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, AUTHORIZED)
        shop.gateway.away = True
        with pytest.raises(GatewayUnavailable):
            await shop.see(order, seen)
        assert [p.status for p in await shop.payments(order)] == [AUTHORIZED]
        shop.gateway.away = False
        await shop.see(order, seen)
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_a_failed_attempt_leaves_the_order_open_for_another(self, shop: Shop) -> None:
        order = await shop.order()
        failed = await shop.gateway.attempt(order, FAILED, error_code="declined", error="No.")
        assert (await shop.see(order, failed)).open
        assert [(p.status, p.error) for p in await shop.payments(order)] == [(FAILED, "No.")]
        await shop.paid(order)
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_a_late_failure_never_undoes_a_success(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        seen = await shop.gateway.payment(payment.gateway_payment_id)
        await shop.see(order, replace(seen, status=FAILED, error="late"))
        other = await shop.gateway.attempt(order, FAILED)
        await shop.see(order, other)
        assert (await shop.now(order)).status is OrderStatus.PAID
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    @pytest.mark.parametrize("wrong", [{"amount_paise": 100}, {"currency": "USD"}])
    async def test_another_amount_or_currency_pays_nothing_and_is_alerted(
        self, shop: Shop, wrong: dict[str, object]
    ) -> None:
        order = await shop.order()
        for status in (CAPTURED, AUTHORIZED):
            seen = await shop.gateway.attempt(order, status, **wrong)
            with pytest.raises(PaymentMismatch):
                await shop.see(order, seen)
        assert shop.metrics.alerts == ["payment_mismatch"] * 2
        assert (await shop.now(order)).open
        assert await shop.credits(order.user_id) == (0, 0)

    async def test_a_payment_of_one_order_does_not_pay_another(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow)
        one, other = await shop.order(owner), await shop.order(owner)
        failed = await shop.gateway.attempt(one, FAILED)
        await shop.see(one, failed)
        moved = replace(failed, gateway_order_id=other.gateway_order_id, status=CAPTURED)
        with pytest.raises(PaymentMismatch):
            await shop.see(other, moved)
        assert (await shop.now(other)).open
        assert await shop.credits(owner.id) == (0, 0)

    # Money that came too late, or twice

    async def test_a_payment_of_who_has_left_goes_back(self, shop: Shop) -> None:
        order = await shop.order()
        async with shop.uow.begin(order.user_id) as tx:
            await tx.users.erase(order.user_id)
        seen = await shop.gateway.attempt(order, CAPTURED)
        assert (await shop.see(order, seen)).open
        (payment,) = await shop.payments(order)
        (refund,) = await shop.refunds_of(payment)
        assert (refund.status, refund.amount_paise) == (REQUESTED, order.amount_paise)
        assert await shop.credits(order.user_id) == (0, 0)
        assert await shop.papers(order.user_id) == []
        assert (await shop.refunds.carry_out(refund)).status is PROCESSED

    async def test_a_second_payment_is_given_back_and_brings_nothing(self, shop: Shop) -> None:
        order, _ = await shop.paid()
        extra = await shop.gateway.attempt(order, CAPTURED)
        await shop.see(order, extra)
        (surplus,) = [p for p in await shop.payments(order) if p.gateway_payment_id == extra.id]
        (refund,) = await shop.refunds_of(surplus)
        assert (refund.amount_paise, refund.reason) == (order.amount_paise, SURPLUS)
        done = await shop.refunds.carry_out(refund)
        assert done.status is PROCESSED
        assert await shop.credits(order.user_id) == (CREDITS, 0)
        assert (await shop.gateway.refunds_of(extra.id))[0].amount_paise == order.amount_paise

    @pytest.mark.parametrize("status", [CAPTURED, AUTHORIZED])
    async def test_a_payment_of_an_order_that_has_ended_still_buys_credits(
        self, shop: Shop, status: TransactionStatus
    ) -> None:
        order = await shop.order()
        await shop.cancel(order.user_id, order.id)
        seen = await shop.gateway.attempt(order, status)
        assert (await shop.see(order, seen)).status is OrderStatus.PAID
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_a_late_payment_of_a_subscription_is_given_back(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow)
        order = await keep_order(
            shop.uow,
            owner,
            purpose=OrderPurpose.SUBSCRIPTION_UPGRADE,
            reference=str(new_id()),
        )
        order = await shop.desk.place(order)
        await shop.cancel(owner.id, order.id)
        left = await shop.gateway.attempt(order, AUTHORIZED)
        assert (await shop.see(order, left)).status is OrderStatus.CANCELLED
        assert (await shop.gateway.payment(left.id)).status is AUTHORIZED
        taken = await shop.gateway.attempt(order, CAPTURED)
        assert (await shop.see(order, taken)).status is OrderStatus.CANCELLED
        (surplus,) = [p for p in await shop.payments(order) if p.captured]
        assert [r.status for r in await shop.refunds_of(surplus)] == [REQUESTED]
        assert await shop.credits(owner.id) == (0, 0)

    async def test_a_late_payment_at_a_discount_that_is_somebody_elses_now_is_given_back(
        self, shop: Shop
    ) -> None:
        code = await keep_coupon(shop, max_redemptions=1)
        order = await shop.order(coupon=code)
        await shop.cancel(order.user_id, order.id)
        await shop.order(coupon=code)
        seen = await shop.gateway.attempt(order, CAPTURED)
        assert (await shop.see(order, seen)).status is OrderStatus.CANCELLED
        (payment,) = await shop.payments(order)
        assert [r.amount_paise for r in await shop.refunds_of(payment)] == [order.amount_paise]
        assert await shop.credits(order.user_id) == (0, 0)
        assert await redeemed(shop, code) == 1

    async def test_a_late_payment_at_a_discount_that_is_free_takes_it_again(
        self, shop: Shop
    ) -> None:
        code = await keep_coupon(shop, max_redemptions=1)
        order = await shop.order(coupon=code)
        await shop.cancel(order.user_id, order.id)
        assert await redeemed(shop, code) == 0
        await shop.see(order, await shop.gateway.attempt(order, CAPTURED))
        assert await shop.credits(order.user_id) == (CREDITS, 0)
        assert await redeemed(shop, code) == 1

    # Refunds

    async def test_a_refund_takes_the_credits_back(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        refund = await shop.refunds.request(_give_back(payment))
        assert (refund.status, refund.amount_paise) == (PROCESSED, order.amount_paise)
        assert await shop.credits(order.user_id) == (0, 0)
        assert (await shop.payments(order))[0].refundable_paise == 0

    async def test_what_was_spent_by_then_is_owed(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        await _spend(shop, order.user_id, 15_000)
        await shop.refunds.request(_give_back(payment))
        assert await shop.credits(order.user_id) == (0, 15_000)

    async def test_parts_take_back_as_much_as_the_whole(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        parts = (1, 7_777, 333, order.amount_paise - 8_111)
        for part in parts:
            await shop.refunds.request(_give_back(payment, part))
        assert await shop.credits(order.user_id) == (0, 0)
        with pytest.raises(NothingToRefund):
            await shop.refunds.request(_give_back(payment, 1))

    async def test_more_than_there_is_cannot_be_given_back(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        with pytest.raises(NothingToRefund):
            await shop.refunds.request(_give_back(payment, order.amount_paise + 1))
        with pytest.raises(InvalidValue):
            await shop.refunds.request(_give_back(payment, 0))
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_all_that_is_left_of_nothing_is_nothing_to_give_back(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        await shop.refunds.request(_give_back(payment))
        failed = await shop.gateway.attempt(order, FAILED)
        await shop.see(order, failed)
        (attempt,) = [p for p in await shop.payments(order) if p.status is FAILED]
        for spent in (payment, attempt):
            with pytest.raises(NothingToRefund, match="Nothing"):
                await shop.refunds.request(_give_back(spent))
            with pytest.raises(InvalidValue):
                await shop.refunds.request(_give_back(spent, 0))

    async def test_of_refunds_at_once_no_more_is_given_back_than_was_paid(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        third = order.amount_paise // 3

        async def attempt() -> bool:
            try:
                await shop.refunds.request(_give_back(payment, third))
            except NothingToRefund:
                return False
            return True

        assert sum(await all_at_once(8, attempt)) == 3
        given = await shop.gateway.refunds_of(payment.gateway_payment_id)
        assert sum(refund.amount_paise for refund in given) == 3 * third

    async def test_a_refund_and_its_reply_are_kept_together_and_the_answer_told_after(
        self, shop: Shop
    ) -> None:
        order, payment = await shop.paid()
        desk, once = CutOff(shop.refunds), await shop.keyed(order.user_id)
        with pytest.raises(WentDown):
            await desk.request(replace(_give_back(payment, 500), once=once))
        # Whoever asked is gone: the reply is there with the refund, and nothing else is.
        (refund,) = await shop.refunds_of(payment)
        assert refund.status is REQUESTED
        assert await shop.reply(order.user_id) == f"requested {refund.id}"
        assert await shop.gateway.refunds_of(payment.gateway_payment_id) == ()
        done = await shop.refunds.carry_out(refund)
        assert (done.id, done.status) == (refund.id, PROCESSED)

    async def test_the_reply_to_a_keyed_refund_says_what_the_gateway_answered(
        self, shop: Shop
    ) -> None:
        order, payment = await shop.paid()
        once = await shop.keyed(order.user_id)
        refund = await shop.refunds.request(replace(_give_back(payment, 500), once=once))
        assert await shop.reply(order.user_id) == f"processed {refund.id}"
        await shop.gateway.refund(_other_request(payment, payment.amount_paise - 1_000))
        once = await shop.keyed(order.user_id)
        refused = await shop.refunds.request(replace(_give_back(payment, 600), once=once))
        assert await shop.reply(order.user_id) == f"failed {refused.id}"
        shop.gateway.away = True
        once = await shop.keyed(order.user_id)
        waiting = await shop.refunds.request(replace(_give_back(payment, 500), once=once))
        assert await shop.reply(order.user_id) == f"requested {waiting.id}"

    async def test_a_refund_whose_key_was_lost_is_none(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        once = await shop.keyed(order.user_id)
        await shop.refunds.request(replace(_give_back(payment, 100), once=once))
        with pytest.raises(KeyClaimLost):
            await shop.refunds.request(replace(_give_back(payment, 100), once=once))
        assert len(await shop.refunds_of(payment)) == 1

    async def test_without_a_gateway_a_refund_waits(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        desk = replace(shop.refunds, gateway=NoGateway())
        refund = await desk.request(_give_back(payment))
        assert refund.status is REQUESTED
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_what_went_back_in_another_currency_or_amount_is_set_aside(
        self, shop: Shop
    ) -> None:
        order, payment = await shop.paid()
        refund = await shop.refunds.request(_give_back(payment, 500))
        balance = await shop.credits(order.user_id)
        asked = seen_refund(refund.gateway_refund_id, payment, PROCESSED, 500)
        unasked = seen_refund("rfnd_" + secrets.token_hex(6), payment, PROCESSED, 500)
        lost = replace(_dispute(payment, DisputeStatus.LOST), currency="USD")
        for wrong in (replace(asked, amount_paise=600), replace(unasked, currency="USD")):
            with pytest.raises(PaymentMismatch):
                await shop.refunds.record(order.user_id, payment.id, wrong)
            await shop.tell(GatewayEvent(type="refund.processed", refund=wrong))
        await shop.tell(GatewayEvent(type="payment.dispute.lost", dispute=lost))
        await shop.act()
        aside = await shop.events(WebhookStatus.SET_ASIDE, Page(limit=3))
        assert all("set aside" in event.error for event in aside)
        assert sorted(shop.metrics.alerts) == ["event_set_aside"] * 3 + ["refund_mismatch"] * 4
        assert (await shop.refunds_of(payment), await shop.credits(order.user_id)) == (
            [refund],
            balance,
        )

    async def test_a_refund_that_the_gateway_did_not_hear_of_is_asked_for_again(
        self, shop: Shop
    ) -> None:
        order, payment = await shop.paid()
        shop.gateway.away = True
        refund = await shop.refunds.request(_give_back(payment))
        assert refund.status is REQUESTED
        assert await shop.credits(order.user_id) == (CREDITS, 0)
        shop.gateway.away = False
        assert (await shop.refunds.carry_out(refund)).status is PROCESSED
        assert await shop.credits(order.user_id) == (0, 0)

    async def test_a_refund_under_way_has_taken_the_credits_already(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        shop.gateway.refund_status = PENDING
        refund = await shop.refunds.request(_give_back(payment))
        assert refund.status is PENDING
        assert await shop.credits(order.user_id) == (0, 0)
        seen = seen_refund(refund.gateway_refund_id, payment, PROCESSED)
        for _ in range(2):
            done = await shop.refunds.record(order.user_id, payment.id, seen)
            assert done.status is PROCESSED
        assert await shop.credits(order.user_id) == (0, 0)

    async def test_each_purpose_is_asked_once_for_each_payment_and_refund(self, shop: Shop) -> None:
        order = await shop.order()
        failed = await shop.gateway.attempt(order, FAILED)
        for _ in range(2):
            await shop.see(order, failed)
        _, payment = await shop.paid(order)
        await shop.see(order, await shop.gateway.payment(payment.gateway_payment_id))
        await shop.see(order, await shop.gateway.attempt(order, FAILED))
        shop.gateway.refund_status = PENDING
        refund = await shop.refunds.request(_give_back(payment))
        for status in (PENDING, FAILED):
            seen = seen_refund(refund.gateway_refund_id, payment, status)
            await shop.refunds.record(order.user_id, payment.id, seen)
        shop.gateway.refund_status = PROCESSED
        await shop.gateway.forget_refunds(order.gateway_order_id)
        again = await shop.refunds.retry(order.user_id, refund.id, origin=ORIGIN)
        assert (again.status, again.attempt) == (PROCESSED, 2)
        assert shop.top_ups.asked == ["fail", "fulfil", "reverse"]

    async def test_surplus_money_asks_nothing_of_the_purpose(self, shop: Shop) -> None:
        order, _ = await shop.paid()
        extra = await shop.gateway.attempt(order, CAPTURED)
        await shop.see(order, extra)
        (surplus,) = [p for p in await shop.payments(order) if p.gateway_payment_id == extra.id]
        for refund in await shop.refunds_of(surplus):
            await shop.refunds.carry_out(refund)
        assert shop.top_ups.asked == ["fulfil"]

    async def test_a_refund_made_at_the_gateway_takes_the_credits_back(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        seen = seen_refund("rfnd_theirs_" + secrets.token_hex(6), payment, PROCESSED, 11_800)
        for _ in range(3):
            await shop.refunds.record(order.user_id, payment.id, seen)
        assert await shop.credits(order.user_id) == (CREDITS // 2, 0)
        assert len(await shop.refunds_of(payment)) == 1

    async def test_our_refund_told_of_before_its_answer_came_is_one_refund(
        self, shop: Shop
    ) -> None:
        order, payment = await shop.paid()
        shop.gateway.away = True
        refund = await shop.refunds.request(_give_back(payment, 500))
        shop.gateway.away = False
        told = seen_refund("rfnd_" + secrets.token_hex(6), payment, PROCESSED, 500)
        told = replace(told, key=f"{refund.id}-1")
        await shop.refunds.record(order.user_id, payment.id, told)
        (kept,) = await shop.refunds_of(payment)
        assert (kept.id, kept.status, kept.gateway_refund_id) == (refund.id, PROCESSED, told.id)

    async def test_a_refund_that_failed_is_alerted_and_asked_for_anew(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        shop.gateway.refund_status = PENDING
        refund = await shop.refunds.request(_give_back(payment))
        await shop.refunds.record(
            order.user_id, payment.id, seen_refund(refund.gateway_refund_id, payment, FAILED)
        )
        assert shop.metrics.alerts == ["refund_failed"]
        # Still owed to the person, so the credits stay taken, and are taken once.
        assert await shop.credits(order.user_id) == (0, 0)
        with pytest.raises(NothingToRefund):
            await shop.refunds.request(_give_back(payment, 1))
        again = await shop.refunds.retry(order.user_id, refund.id, origin=ORIGIN)
        assert again.attempt == 2
        assert await shop.credits(order.user_id) == (0, 0)

    async def test_a_refund_that_was_refused_takes_nothing_back(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        await shop.gateway.refund(_other_request(payment, 100))
        refund = await shop.refunds.request(_give_back(payment))
        assert (refund.status, bool(refund.error)) == (FAILED, True)
        assert await shop.credits(order.user_id) == (CREDITS, 0)
        assert (await shop.payments(order))[0].refunded_paise == 0

    async def test_only_a_failed_refund_can_be_retried(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        refund = await shop.refunds.request(_give_back(payment, 100))
        with pytest.raises(Conflict):
            await shop.refunds.retry(order.user_id, refund.id, origin=ORIGIN)

    # Disputes

    async def test_a_lost_dispute_takes_the_credits_back_once(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        dispute = _dispute(payment, DisputeStatus.OPEN)
        await shop.refunds.note_dispute(order.user_id, payment.id, dispute)
        assert await shop.credits(order.user_id) == (CREDITS, 0)
        lost = replace(dispute, status=DisputeStatus.LOST, deducted_paise=order.amount_paise)
        for _ in range(3):
            await shop.refunds.note_dispute(order.user_id, payment.id, lost)
        await shop.refunds.note_dispute(order.user_id, payment.id, dispute)
        assert await shop.credits(order.user_id) == (0, 0)
        (chargeback,) = await shop.refunds_of(payment)
        assert chargeback.kind is TransactionKind.CHARGEBACK
        assert shop.metrics.alerts == ["dispute_open", "dispute_lost"]

    async def test_a_dispute_that_was_won_takes_nothing(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        dispute = _dispute(payment, DisputeStatus.WON)
        await shop.refunds.note_dispute(order.user_id, payment.id, dispute)
        assert await shop.credits(order.user_id) == (CREDITS, 0)
        assert await shop.refunds_of(payment) == []

    # Events

    async def test_an_event_is_kept_first_and_acted_on_later(self, shop: Shop) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        await shop.tell(captured(seen))
        assert await shop.credits(order.user_id) == (0, 0)
        await shop.act()
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_an_event_that_comes_again_is_kept_once(self, shop: Shop) -> None:
        order = await shop.order()
        headers, body = shop.gateway.signed(captured(await shop.gateway.attempt(order, CAPTURED)))
        kept = await all_at_once(10, lambda: shop.receive(headers, body))
        assert sum(kept) == 1

    async def test_an_event_that_was_tampered_with_is_not_kept(self, shop: Shop) -> None:
        order = await shop.order()
        headers, body = shop.gateway.signed(captured(await shop.gateway.attempt(order, CAPTURED)))
        for changed in (body.replace(b"INR", b"USD"), body[:-1], b""):
            with pytest.raises(SignatureInvalid):
                await shop.receive(headers, changed)
        with pytest.raises(InvalidValue):
            await shop.receive(headers, b" " * (MAX_EVENT_BYTES + 1))

    async def test_an_event_that_cannot_be_read_is_set_aside_and_alerted(self, shop: Shop) -> None:
        body = b'{"nonsense": true}'
        headers = {"x-simulated-signature": shop.gateway._sign(body)}
        headers["x-simulated-event-id"] = secrets.token_hex(8)
        await shop.receive(headers, body)
        await shop.act()
        aside = await shop.events(WebhookStatus.SET_ASIDE, Page(limit=1))
        assert aside[0].event_id == headers["x-simulated-event-id"]
        assert aside[0].error
        assert shop.metrics.alerts == ["event_set_aside"]

    async def test_an_event_acted_on_is_forgotten_in_time_and_no_other(self, shop: Shop) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        await shop.tell(GatewayEvent(type="payment.captured", payment=seen))
        await shop.act()
        await shop.tell(GatewayEvent(type="order.paid", payment=seen))
        (done,) = await shop.events(WebhookStatus.DONE, Page(limit=1))
        (pending,) = await shop.events(WebhookStatus.PENDING, Page(limit=1))
        shop.clock.move(timedelta(seconds=1))
        assert await shop.work.forget(3_600, 1_000) == 0
        assert await shop.work.forget(0, 1_000) >= 1
        assert done not in await shop.events(WebhookStatus.DONE, Page(limit=100))
        assert await shop.events(WebhookStatus.PENDING, Page(limit=1)) == [pending]
        await shop.act()
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_an_event_of_another_amount_is_set_aside_and_can_be_tried_again(
        self, shop: Shop
    ) -> None:
        order = await shop.order()
        wrong = await shop.gateway.attempt(order, CAPTURED, amount_paise=100)
        await shop.tell(captured(wrong))
        await shop.act()
        assert shop.metrics.alerts == ["payment_mismatch", "event_set_aside"]
        (aside,) = await shop.events(WebhookStatus.SET_ASIDE, Page(limit=1))
        await shop.events.retry(OPERATOR, aside.id, origin=ORIGIN.as_person(OPERATOR))
        await shop.act()
        assert shop.metrics.alerts == ["payment_mismatch", "event_set_aside"] * 2
        assert await shop.credits(order.user_id) == (0, 0)

    async def test_only_an_event_that_was_set_aside_can_be_tried_again(self, shop: Shop) -> None:
        with pytest.raises(Conflict):
            await shop.events.retry(OPERATOR, new_id(), origin=ORIGIN.as_person(OPERATOR))

    async def test_an_event_waits_for_a_gateway_that_is_away(
        self, shop: Shop, due_again: DueAgain
    ) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, AUTHORIZED)
        await shop.tell(GatewayEvent(type="payment.authorized", payment=seen))
        shop.gateway.away = True
        await shop.act()
        assert shop.metrics.alerts == []
        shop.gateway.away = False
        await due_again()
        await shop.act()
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_an_event_that_waits_for_the_gateway_keeps_no_other_from_its_turn(
        self, shop: Shop
    ) -> None:
        slow, quick = await shop.order(), await shop.order()
        waiting = await shop.gateway.attempt(slow, AUTHORIZED)
        come = await shop.gateway.attempt(quick, CAPTURED)
        answering = asyncio.Event()
        real = shop.gateway.capture

        async def hang(gateway_payment_id: str, amount_paise: int) -> GatewayPayment:
            await answering.wait()
            return await real(gateway_payment_id, amount_paise)

        shop.gateway.capture = hang  # type: ignore[method-assign]  # a gateway that hangs
        await shop.tell(GatewayEvent(type="payment.authorized", payment=waiting))
        await shop.tell(captured(come))
        processing = asyncio.create_task(shop.process())
        try:
            async with asyncio.timeout(10):
                while await shop.credits(quick.user_id) == (0, 0):
                    await asyncio.sleep(0.01)
            assert await shop.credits(slow.user_id) == (0, 0)
        finally:
            answering.set()
            await processing
        assert await shop.credits(slow.user_id) == (CREDITS, 0)

    async def test_an_event_of_nobodys_order_is_tried_and_then_set_aside(
        self, shop: Shop, due_again: DueAgain
    ) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        stranger = replace(seen, gateway_order_id="order_" + secrets.token_hex(8))
        await shop.tell(captured(stranger))
        for _ in range(MAX_ATTEMPTS):
            assert shop.metrics.alerts == []
            await shop.act()
            await due_again()
        assert shop.metrics.alerts == ["event_set_aside"]

    async def test_an_event_of_a_payment_without_an_order_is_nothing_of_ours(
        self, shop: Shop
    ) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        await shop.tell(captured(replace(seen, gateway_order_id="")))
        await shop.act()
        assert shop.metrics.alerts == []
        assert await shop.credits(order.user_id) == (0, 0)

    async def test_a_refund_told_of_before_its_payment_pays_and_takes_back(
        self, shop: Shop
    ) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        refund = GatewayRefund(
            id="rfnd_" + secrets.token_hex(6),
            gateway_payment_id=seen.id,
            status=PROCESSED,
            amount_paise=order.amount_paise,
            currency="INR",
        )
        await shop.tell(GatewayEvent(type="refund.processed", payment=seen, refund=refund))
        await shop.act()
        await shop.tell(captured(seen))
        await shop.act()
        assert (await shop.now(order)).status is OrderStatus.PAID
        assert await shop.credits(order.user_id) == (0, 0)

    # Asking the gateway

    async def test_a_payment_whose_event_never_came_is_found(self, shop: Shop) -> None:
        order = await shop.order()
        await shop.gateway.attempt(order, CAPTURED)
        await shop.reconcile.look_at(order.user_id, order.id)
        assert (await shop.now(order)).status is OrderStatus.PAID
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_an_unpaid_order_expires_and_frees_its_coupon(self, shop: Shop) -> None:
        code = await keep_coupon(shop, max_redemptions=1)
        order = await shop.order(coupon=code)
        shop.clock.move(timedelta(minutes=29))
        await shop.reconcile.look_at(order.user_id, order.id)
        assert (await shop.now(order)).open
        shop.clock.move(timedelta(minutes=1))
        await shop.reconcile.look_at(order.user_id, order.id)
        assert (await shop.now(order)).status is OrderStatus.EXPIRED
        assert await redeemed(shop, code) == 0
        assert (await shop.order(coupon=code)).discount_paise > 0

    async def test_an_expired_order_that_is_paid_after_all_is_found(self, shop: Shop) -> None:
        order = await shop.order()
        shop.clock.move(timedelta(hours=1))
        await shop.reconcile.look_at(order.user_id, order.id)
        await shop.gateway.attempt(order, CAPTURED)
        await shop.reconcile.look_at(order.user_id, order.id)
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_a_wrong_payment_does_not_keep_an_order_from_its_end(self, shop: Shop) -> None:
        order = await shop.order()
        await shop.gateway.attempt(order, CAPTURED, amount_paise=1)
        shop.clock.move(timedelta(hours=1))
        await shop.reconcile.look_at(order.user_id, order.id)
        assert (await shop.now(order)).status is OrderStatus.EXPIRED

    async def test_an_order_that_the_gateway_has_forgotten_expires(self, shop: Shop) -> None:
        order = await shop.order()
        forgetful = replace_gateway(shop)
        shop.clock.move(timedelta(hours=1))
        await forgetful.reconcile.look_at(order.user_id, order.id)
        assert (await shop.now(order)).status is OrderStatus.EXPIRED

    async def test_an_order_stays_as_it_is_while_the_gateway_is_away(self, shop: Shop) -> None:
        order = await shop.order()
        shop.clock.move(timedelta(hours=1))
        shop.gateway.away = True
        with pytest.raises(GatewayUnavailable):
            await shop.reconcile.look_at(order.user_id, order.id)
        assert (await shop.now(order)).open

    # Orders

    async def test_an_order_that_the_gateway_does_not_take_is_cancelled(self, shop: Shop) -> None:
        code = await keep_coupon(shop, max_redemptions=1)
        owner = await keep_user(shop.uow)
        real, shop.gateway.create_order = shop.gateway.create_order, _away  # type: ignore[method-assign]  # away for one call
        with pytest.raises(GatewayUnavailable):
            await shop.order(owner, coupon=code)
        shop.gateway.create_order = real  # type: ignore[method-assign]
        async with shop.uow.begin(owner.id) as tx:
            (order,) = await tx.orders.page(OrderFilter(limit=5))
        assert order.status is OrderStatus.CANCELLED
        assert await redeemed(shop, code) == 0

    async def test_a_cancelled_order_cannot_be_cancelled_again(self, shop: Shop) -> None:
        order = await shop.order()
        await shop.cancel(order.user_id, order.id)
        with pytest.raises(OrderNotOpen):
            await shop.cancel(order.user_id, order.id)

    async def test_an_order_that_was_cancelled_is_not_placed(self, shop: Shop) -> None:
        order = await keep_order(shop.uow)
        await shop.cancel(order.user_id, order.id)
        with pytest.raises(OrderNotOpen):
            await shop.desk.place(order)

    async def test_another_persons_order_is_not_there(self, shop: Shop) -> None:
        order, stranger = await shop.order(), await keep_user(shop.uow)
        with pytest.raises(NotFound):
            await shop.cancel(stranger.id, order.id)
        with pytest.raises(NotFound):
            await shop.book.observe(
                stranger.id, order.id, await shop.gateway.attempt(order, CAPTURED)
            )

    @pytest.mark.parametrize(
        "wanted", [{}, {"pack": "starter", "credits": 10_000}, {"credits": 1}, {"credits": 10**9}]
    )
    async def test_what_is_not_for_sale_is_refused(
        self, shop: Shop, wanted: dict[str, object]
    ) -> None:
        owner = await keep_user(shop.uow)
        with pytest.raises(InvalidValue):
            await shop.buy(CreditOrder(user_id=owner.id, **wanted))  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match="starter, builder, studio"):
            await shop.buy(CreditOrder(user_id=owner.id, pack="none such"))

    async def test_a_mandate_is_charged_once_and_its_outcome_is_found(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow)
        first = await shop.desk.place(await keep_order(shop.uow, owner, recurring=True))
        approval = await shop.gateway.approve(first.gateway_order_id)
        await shop.see(first, await shop.gateway.payment(approval.reply.gateway_payment_id))
        (payment,) = await shop.payments(first)
        assert payment.mandate is not None
        later = await keep_order(shop.uow, owner)
        for _ in range(2):
            await shop.desk.charge_mandate(later, payment.mandate)
        placed = await shop.now(later)
        assert len(await shop.gateway.payments_of(placed.gateway_order_id)) == 1
        await shop.reconcile.look_at(owner.id, later.id)
        assert (await shop.now(later)).status is OrderStatus.PAID
        assert await shop.credits(owner.id) == (2 * CREDITS, 0)

    # Coupons

    async def test_a_coupon_takes_its_part_off_and_leaves_the_credits(self, shop: Shop) -> None:
        order = await shop.order(coupon=await keep_coupon(shop))
        assert (order.discount_paise, order.amount_paise) == (2_360, 21_240)
        await shop.paid(order)
        assert await shop.credits(order.user_id) == (CREDITS, 0)

    async def test_of_twenty_people_at_once_one_gets_the_last_redemption(self, shop: Shop) -> None:
        code = await keep_coupon(shop, max_redemptions=1)
        owners = [await keep_user(shop.uow) for _ in range(20)]
        assert sum(await asyncio.gather(*(_tries(shop, owner, code) for owner in owners))) == 1
        assert await redeemed(shop, code) == 1

    async def test_of_twenty_orders_of_one_person_at_once_one_gets_the_coupon(
        self, shop: Shop
    ) -> None:
        code, owner = await keep_coupon(shop), await keep_user(shop.uow)
        assert sum(await all_at_once(20, lambda: _tries(shop, owner, code))) == 1
        assert await redeemed(shop, code) == 1

    async def test_a_coupon_that_was_paid_with_stays_used(self, shop: Shop) -> None:
        code, owner = await keep_coupon(shop), await keep_user(shop.uow)
        await shop.paid(await shop.order(owner, coupon=code))
        with pytest.raises(CouponAlreadyUsed):
            await shop.order(owner, coupon=code)

    async def test_no_order_is_left_behind_when_its_coupon_does_not_apply(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow)
        for code in ("NONE-SUCH", await keep_coupon(shop, active=False)):
            with pytest.raises(CouponNotUsable):
                await shop.order(owner, coupon=code)
        async with shop.uow.begin(owner.id) as tx:
            assert await tx.orders.page(OrderFilter(limit=5)) == []

    # What is kept

    async def test_every_movement_of_money_is_listed(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        refund = await shop.refunds.request(_give_back(payment, 500))
        async with shop.uow.begin(order.user_id) as tx:
            both = await tx.payments.movements(MovementFilter(limit=10))
            paid = await tx.payments.movements(
                MovementFilter(limit=10, kind=TransactionKind.PAYMENT)
            )
            done = await tx.payments.movements(MovementFilter(limit=10, status=PROCESSED))
            rest = await tx.payments.movements(MovementFilter(limit=10, after=refund.id))
            today = day_of(payment.created_at)
            of_today = Days(today, today)
            at_all = await tx.payments.movements(MovementFilter(limit=10, days=of_today))
            later = await tx.payments.movements(
                MovementFilter(limit=10, days=Days(first=today + timedelta(days=1)))
            )
        assert [movement.id for movement in both] == [refund.id, payment.id]
        assert [movement.id for movement in paid] == [payment.id]
        assert [movement.id for movement in done] == [refund.id]
        assert [movement.id for movement in rest] == [payment.id]
        assert payment.id in {movement.id for movement in at_all}
        assert payment.id not in {movement.id for movement in later}
        assert (both[0].payment_id, both[0].amount_paise, both[0].method) == (
            payment.id,
            500,
            "upi",
        )
        assert both[1].refunded_paise == 500
        assert {movement.description for movement in both} == {order.description}

    async def test_orders_are_listed_by_state_and_days(self, shop: Shop) -> None:
        # On a day that nobody else orders on.
        shop.clock.move(timedelta(days=secrets.randbelow(100_000)))
        owner = await keep_user(shop.uow)
        paid, _ = await shop.paid(await shop.order(owner))
        stranger, unpaid = await shop.order(), await shop.order(owner)
        today = day_of(paid.created_at)
        async with shop.uow.begin(paid.user_id) as tx:
            listed = [
                [order.id for order in await tx.orders.page(query)]
                for query in (
                    OrderFilter(limit=9),
                    OrderFilter(limit=1),
                    OrderFilter(limit=9, after=unpaid.id),
                    OrderFilter(limit=9, status=OrderStatus.OPEN),
                    OrderFilter(limit=9, days=Days(today, today)),
                    OrderFilter(limit=9, days=Days(last=today - timedelta(days=1))),
                )
            ]
        both = [unpaid.id, paid.id]
        assert listed == [both, [unpaid.id], [paid.id], [unpaid.id], both, []]
        everybodys = await shop.schedule.orders(OrderFilter(limit=9, days=Days(today, today)))
        assert {order.id for order in everybodys} == {paid.id, stranger.id, unpaid.id}
        theirs = await shop.schedule.orders(OrderFilter(limit=9), stranger.user_id)
        assert [order.id for order in theirs] == [stranger.id]

    async def test_a_movement_of_a_subscription_names_it(self, shop: Shop) -> None:
        owner, subscription = await keep_user(shop.uow), new_id()
        order = await keep_order(
            shop.uow,
            owner,
            purpose=OrderPurpose.SUBSCRIPTION_START,
            reference=str(subscription),
        )
        async with shop.uow.begin(owner.id) as tx:
            await tx.payments.put(make_payment(order))
            (movement,) = await tx.payments.movements(MovementFilter(limit=1))
        assert movement.subscription_id == subscription

    async def test_everybodys_movements_are_for_operators(self, shop: Shop) -> None:
        # On a day that nobody else pays on.
        shop.clock.move(timedelta(days=secrets.randbelow(100_000)))
        (one, payment), (other, _) = await shop.paid(), await shop.paid()
        today = day_of(payment.created_at)
        found = await shop.schedule.movements(MovementFilter(limit=9, days=Days(today, today)))
        assert {movement.order_id for movement in found} == {one.id, other.id}
        of_one = await shop.schedule.movements(MovementFilter(limit=9, order_id=one.id))
        assert [movement.id for movement in of_one] == [payment.id]
        async with shop.uow.begin(other.user_id) as tx:
            strangers = MovementFilter(limit=9, order_id=one.id)
            assert await tx.payments.movements(strangers) == []
        mine = await shop.schedule.movements(MovementFilter(limit=9), one.user_id)
        assert [movement.id for movement in mine] == [payment.id]

    async def test_a_stranger_sees_and_changes_nothing(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        refund = await shop.refunds.request(_give_back(payment, 100))
        stranger = await keep_user(shop.uow)
        async with shop.uow.begin(stranger.id) as tx:
            assert await tx.orders.get(order.id) is None
            assert await tx.orders.by_gateway_id(order.gateway_order_id) is None
            assert await tx.payments.get(payment.id) is None
            assert await tx.payments.by_gateway_id(payment.gateway_payment_id) is None
            assert await tx.payments.refund(refund.id) is None
            assert await tx.payments.refunds_of(payment.id) == []
            assert await tx.payments.of_order(order.id) == []
            assert await tx.payments.movements(MovementFilter(limit=5)) == []
            await tx.orders.save(replace(order, status=OrderStatus.CANCELLED))
        assert await shop.now(order) == order

    async def test_what_is_kept_is_what_was_given(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow)
        order = await keep_order(shop.uow, owner, discount_paise=5, recurring=True)
        payment = make_payment(order)
        refund = make_refund(payment, requested_by=owner.id)
        async with shop.uow.begin(owner.id) as tx:
            await tx.payments.put(payment)
            await tx.payments.put_refund(refund)
        async with shop.uow.begin(owner.id) as tx:
            assert await tx.orders.get(order.id) == order
            assert await tx.payments.get(payment.id) == payment
            assert await tx.payments.refund(refund.id) == refund

    async def test_whose_a_gateways_id_is_can_be_asked(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        owned = await shop.schedule.owner_of_order(order.gateway_order_id)
        assert owned is not None
        assert (owned.user_id, owned.id) == (order.user_id, order.id)
        of_payment = await shop.schedule.owner_of_payment(payment.gateway_payment_id)
        assert of_payment is not None
        assert of_payment.id == payment.id
        assert await shop.schedule.owner_of(payment.id) == of_payment
        assert await shop.schedule.owner_of_order("order_nowhere") is None
        assert await shop.schedule.owner_of_payment("pay_nowhere") is None

    async def test_coupons_are_listed_and_switched(self, shop: Shop) -> None:
        owner = await keep_user(shop.uow)
        one, two = (
            make_coupon(percent=None, fixed_paise=500, minimum_paise=9),
            make_coupon(purposes=frozenset({OrderPurpose.TOP_UP}), max_redemptions=3),
        )
        async with shop.uow.begin(owner.id) as tx:
            await tx.coupons.add(one)
            await tx.coupons.add(two)
        # Others' are newer, or older.
        newer: Any = new_id()
        async with shop.uow.begin(owner.id) as tx:
            assert len(await tx.coupons.page(limit=2, after=None)) == 2
            assert list(await tx.coupons.page(limit=2, after=newer)) == [two, one]
            assert list(await tx.coupons.page(limit=1, after=two.id)) == [one]
            assert await tx.coupons.set_active(one.id, active=False)
            assert not await tx.coupons.set_active(new_id(), active=False)  # type: ignore[arg-type]  # nobody's id
            assert await tx.coupons.get(one.id) == replace(one, active=False)
        with pytest.raises(CouponExhausted):
            async with shop.uow.begin(owner.id) as tx:
                order = await keep_later(tx, owner)
                await tx.coupons.redeem(one.id, order.id)


def replace_gateway(shop: Shop) -> Shop:
    """The same shop at a gateway that knows none of its orders."""
    return replace(shop, gateway=ScriptedGateway())


async def keep_later(tx: object, owner: User) -> Order:
    """A stored order in a transaction that is open already."""
    from tests.contracts.samples import make_order

    order = make_order(owner.id)
    await tx.orders.add(order)  # type: ignore[attr-defined]
    return order


async def _tries(shop: Shop, owner: User, code: str) -> bool:
    try:
        await shop.order(owner, coupon=code)
    except (CouponExhausted, CouponAlreadyUsed):
        return False
    return True


async def _away(*_: object) -> None:
    raise GatewayUnavailable("away")


async def _spend(shop: Shop, user_id: object, credits: int) -> None:
    from domain.billing.ledger import Reservation, Settlement
    from tests.contracts.samples import keep_run, make_project

    async with shop.uow.begin(user_id) as tx:  # type: ignore[arg-type]
        project = make_project(user_id)  # type: ignore[arg-type]
        await tx.projects.add(project)
    run = await keep_run(shop.uow, project)
    async with shop.uow.begin(run.user_id) as tx:
        await tx.ledger.reserve(
            Reservation(
                user_id=run.user_id, key=f"r:{run.id}", run_id=run.id, step="idea", credits=credits
            )
        )
        await tx.ledger.settle(
            Settlement(
                user_id=run.user_id, key=f"s:{run.id}", run_id=run.id, step="idea", used=credits
            )
        )


def _give_back(payment: Payment, amount_paise: int | None = None) -> RefundOrder:
    return RefundOrder(
        origin=ORIGIN,
        user_id=payment.user_id,
        payment_id=payment.id,
        amount_paise=amount_paise,
        reason="asked for",
    )


def seen_refund(
    id_: str, payment: Payment, status: TransactionStatus, amount_paise: int | None = None
) -> GatewayRefund:
    return GatewayRefund(
        id=id_,
        gateway_payment_id=payment.gateway_payment_id,
        status=status,
        amount_paise=payment.amount_paise if amount_paise is None else amount_paise,
        currency="INR",
    )


def _dispute(payment: Payment, status: DisputeStatus) -> GatewayDispute:
    return GatewayDispute(
        id="disp_" + secrets.token_hex(8),
        gateway_payment_id=payment.gateway_payment_id,
        status=status,
        amount_paise=payment.amount_paise,
        deducted_paise=0,
        currency="INR",
        reason="fraud",
    )


def _other_request(payment: Payment, amount_paise: int) -> object:
    from application.ports.payment_gateway import RefundRequest

    return RefundRequest(
        key=f"{new_id()}-1",
        gateway_payment_id=payment.gateway_payment_id,
        amount_paise=amount_paise,
        reason="at the gateway, and not told of yet",
    )
