"""Whatever comes, in whatever order and however often: one payment, one credit."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from application.ports.payment_gateway import (
    DisputeStatus,
    GatewayDispute,
    GatewayEvent,
    GatewayPayment,
    GatewayRefund,
)
from domain.billing.orders import Order, OrderNotOpen
from domain.billing.payments import TransactionStatus
from tests.contracts.payment_flow_contract import CREDITS, reply_to
from tests.contracts.shop import AUTHORIZED, CAPTURED, FAILED, Shop
from tests.unit.billing.test_payment_flow import in_memory_shop

STEPS = st.lists(
    st.sampled_from(
        [
            "captured",
            "order paid",
            "authorized",
            "failed",
            "reply",
            "reconcile",
            "expire",
            "cancel",
            "refund half",
            "refund half again",
            "dispute opened",
            "dispute lost",
        ]
    ),
    max_size=14,
)


class Story:
    """One order, one captured payment of it, and everything that may be told of them."""

    def __init__(self, shop: Shop, order: Order, payment: GatewayPayment) -> None:
        self.shop = shop
        self.order = order
        self.payment = payment
        self.half = order.amount_paise // 2

    async def tell(self, step: str) -> None:
        shop, order, payment = self.shop, self.order, self.payment
        match step:
            case "captured" | "order paid":
                await shop.tell(GatewayEvent(type=step, payment=payment))
            case "authorized" | "failed":
                status = AUTHORIZED if step == "authorized" else FAILED
                snapshot = replace(payment, status=status)
                await shop.tell(GatewayEvent(type=step, payment=snapshot))
            case "reply":
                await shop.verify(order.user_id, await reply_to(shop, payment))
            case "reconcile":
                await shop.reconcile.look_at(order.user_id, order.id)
            case "expire":
                shop.clock.move(timedelta(hours=1))
                await shop.reconcile.look_at(order.user_id, order.id)
            case "cancel":
                try:
                    await shop.cancel(order.user_id, order.id)
                except OrderNotOpen:
                    return
            case "refund half" | "refund half again":
                await shop.tell(
                    GatewayEvent(type="refund.processed", payment=payment, refund=self.refund(step))
                )
            case "dispute opened" | "dispute lost":
                lost = step == "dispute lost"
                dispute = GatewayDispute(
                    id="disp_1",
                    gateway_payment_id=payment.id,
                    status=DisputeStatus.LOST if lost else DisputeStatus.OPEN,
                    amount_paise=order.amount_paise,
                    deducted_paise=order.amount_paise if lost else 0,
                    currency="INR",
                )
                await shop.tell(GatewayEvent(type=step, payment=payment, dispute=dispute))
        await shop.act()

    def refund(self, step: str) -> GatewayRefund:
        return GatewayRefund(
            id=f"rfnd_{step}",
            gateway_payment_id=self.payment.id,
            status=TransactionStatus.PROCESSED,
            amount_paise=self.half,
            currency="INR",
        )


@given(STEPS)
def test_the_account_says_what_was_paid_less_what_was_given_back(steps: list[str]) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[str]) -> None:
    shop = in_memory_shop()
    order = await shop.order()
    payment = await shop.gateway.attempt(order, CAPTURED)
    story = Story(shop, order, payment)
    for step in steps:
        await story.tell(step)
    # What could not be acted on (a refund of what a lost dispute has taken) was set aside.
    seen = set(steps) - {"failed", "cancel"}
    kept = await shop.payments(order)
    assert len([p for p in kept if p.captured]) == (1 if seen else 0)
    reversals = [r for p in kept for r in await shop.refunds_of(p) if r.reversed_at]
    back = sum(refund.amount_paise for refund in reversals)
    assert back <= order.amount_paise
    free, owed = await shop.credits(order.user_id)
    expected = CREDITS - CREDITS * back // order.amount_paise if seen else 0
    assert (free, owed) == (expected, 0), steps
    # Told once more, all of it changes nothing.
    for step in steps:
        await story.tell(step)
    assert await shop.credits(order.user_id) == (free, owed)
    assert (await shop.payments(order)) == kept
