"""Buying over PostgreSQL, under real concurrency."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit import CHECKS, open_audit
from adapters.postgres.payment_work import (
    PostgresPaymentSchedule,
    PostgresWebhookInbox,
    PostgresWebhookWork,
)
from application.ports.payment_gateway import GatewayEvent
from application.ports.persistence import UnitOfWork
from domain.billing.orders import OrderStatus
from domain.billing.payments import TransactionStatus
from entrypoints.local_stack import StackAddresses
from tests.contracts.invoiced_flow_contract import InvoicedFlowContract
from tests.contracts.payment_flow_contract import CREDITS, DueAgain, PaymentFlowContract, reply_to
from tests.contracts.shop import CAPTURED, Shop
from tests.contracts.told_flow_contract import ToldFlowContract
from tests.fakes.clock import MovableClock

ROUNDS = 50


@pytest.fixture
def shop(postgres_uow: UnitOfWork, app_engine: AsyncEngine, dispatch_engine: AsyncEngine) -> Shop:
    return Shop(
        uow=postgres_uow,
        schedule=PostgresPaymentSchedule(dispatch_engine),
        inbox=PostgresWebhookInbox(app_engine),
        work=PostgresWebhookWork(dispatch_engine),
        clock=MovableClock(),
    )


@pytest.fixture(autouse=True)
async def no_events_of_other_tests(dispatch_engine: AsyncEngine) -> None:
    async with dispatch_engine.begin() as connection:
        await connection.execute(
            text("UPDATE gateway_events SET status = 'done' WHERE status <> 'done'")
        )


class TestPapers(InvoicedFlowContract):
    """Invoices and credit notes of what is bought and given back."""


class TestTold(ToldFlowContract):
    """What endpoints hear of it."""


class TestPostgres(PaymentFlowContract):
    """Orders, payments, refunds, coupons, and the gateway's events."""

    @pytest.fixture
    def due_again(self, dispatch_engine: AsyncEngine) -> DueAgain:
        async def make_due() -> None:
            async with dispatch_engine.begin() as connection:
                await connection.execute(
                    text("UPDATE gateway_events SET due_at = now() WHERE status = 'pending'")
                )

        return make_due

    async def test_one_payment_a_reply_and_twenty_events_at_once_fifty_times(
        self, shop: Shop
    ) -> None:
        for _ in range(ROUNDS):
            order = await shop.order()
            seen = await shop.gateway.attempt(order, CAPTURED)
            reply = await reply_to(shop, seen)
            events = [
                shop.gateway.signed(GatewayEvent(type=type_, payment=seen))
                for type_ in ("payment.captured", "order.paid") * 10
            ]

            async def come(
                headers_and_body: tuple[object, bytes],
            ) -> None:
                headers, body = headers_and_body
                await shop.receive(headers, body)  # type: ignore[arg-type]
                await shop.process()

            await asyncio.gather(
                shop.verify(order.user_id, reply), *(come(event) for event in events)
            )
            await shop.act()
            assert await shop.credits(order.user_id) == (CREDITS, 0)
            assert len(await shop.payments(order)) == 1
            assert (await shop.now(order)).status is OrderStatus.PAID

    async def test_two_processes_take_an_event_once(self, shop: Shop) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        await shop.tell(GatewayEvent(type="payment.captured", payment=seen))
        taken = await asyncio.gather(*(shop.work.take(10, 60) for _ in range(5)))
        assert sum(len(batch) for batch in taken) == 1

    async def test_an_event_whose_taker_died_comes_again(self, shop: Shop) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        await shop.tell(GatewayEvent(type="payment.captured", payment=seen))
        assert len(await shop.work.take(10, 0.05)) == 1
        await asyncio.sleep(0.1)
        assert len(await shop.work.take(10, 60)) == 1

    async def test_a_due_order_goes_to_one_looker(
        self, shop: Shop, dispatch_engine: AsyncEngine
    ) -> None:
        order = await shop.order()
        async with dispatch_engine.begin() as connection:
            await connection.execute(
                text("UPDATE orders SET due_at = CASE WHEN id = :id THEN now() END"),
                {"id": order.id},
            )
        found = await asyncio.gather(*(shop.schedule.due_orders(1, 60) for _ in range(5)))
        assert [owned.id for batch in found for owned in batch].count(order.id) == 1

    async def test_a_refund_that_was_not_asked_for_comes_due(
        self, shop: Shop, dispatch_engine: AsyncEngine
    ) -> None:
        from tests.contracts.payment_flow_contract import _give_back

        order, payment = await shop.paid()
        shop.gateway.away = True
        await shop.refunds.request(_give_back(payment))
        shop.gateway.away = False
        async with dispatch_engine.begin() as connection:
            await connection.execute(
                # Those of other tests too, which this gateway does not know: they must not
                # stand in its way.
                text("UPDATE transactions SET due_at = now() WHERE due_at IS NOT NULL")
            )
        while await shop.reconcile_refunds():
            continue
        (done,) = await shop.refunds_of(payment)
        assert done.status is TransactionStatus.PROCESSED
        assert await shop.credits(order.user_id) == (0, 0)

    async def test_the_books_balance_after_all_this_buying_and_giving_back(
        self, shop: Shop, stack: StackAddresses
    ) -> None:
        from tests.contracts.payment_flow_contract import _give_back

        order, payment = await shop.paid()
        for part in (999, 12_345):
            await shop.refunds.request(_give_back(payment, part))
        kept = order.credits - order.credits * (999 + 12_345) // order.amount_paise
        assert await shop.credits(order.user_id) == (kept, 0)
        async with open_audit(stack.database_owner_url or "") as audit:
            found = [each for check in CHECKS async for each in audit.differences(check)]
        assert not [each for each in found if str(order.user_id) in each.place.split()]

    async def test_an_orders_price_and_a_movements_amount_cannot_be_changed(
        self, app_engine: AsyncEngine
    ) -> None:
        for statement in (
            "UPDATE orders SET amount_paise = 100",
            "UPDATE orders SET credits = 1",
            "UPDATE orders SET user_id = user_id",
            "DELETE FROM orders",
            "UPDATE transactions SET amount = 1",
            "UPDATE transactions SET user_id = user_id",
            "DELETE FROM transactions",
            "DELETE FROM coupons",
            "UPDATE coupons SET percent = 100",
            "SELECT body FROM gateway_events",
            "UPDATE gateway_events SET body = ''",
            "DELETE FROM gateway_events",
        ):
            with pytest.raises(Exception, match="permission denied"):
                async with app_engine.begin() as connection:
                    await connection.execute(text(statement))

    async def test_the_dispatcher_schedules_and_changes_nothing_else(
        self, dispatch_engine: AsyncEngine
    ) -> None:
        for statement in (
            "UPDATE orders SET status = 'paid'",
            "UPDATE transactions SET status = 'captured'",
            "INSERT INTO gateway_events (id, gateway, event_id, body)"
            " VALUES (gen_random_uuid(), 'a', 'b', '')",
            "UPDATE gateway_events SET body = ''",
            "SELECT * FROM coupon_redemptions",
            "SELECT * FROM disputes",
            "UPDATE coupons SET redeemed = 0",
        ):
            with pytest.raises(Exception, match="permission denied"):
                async with dispatch_engine.begin() as connection:
                    await connection.execute(text(statement))
