"""An office that sells plans: every use case of subscriptions beside those of payments."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from application.billing.invoiced import InvoicedFulfilment
from application.billing.issue_invoice import IssueCreditNote, IssueInvoice
from application.ports.payments import OrderFilter
from application.ports.subscriptions import Notice, SubscriptionSchedule
from application.subscriptions.advance import AdvanceSubscriptions
from application.subscriptions.fulfilment import SubscriptionFulfilment
from application.subscriptions.keeper import SubscriptionKeeper
from application.subscriptions.manage_subscription import (
    ManageSubscription,
    NewSubscription,
    Overview,
    PreviewChange,
    ShowSubscription,
    StartSubscription,
)
from application.subscriptions.retention import KeepRetention
from application.subscriptions.seats import ManageSeats
from domain.billing.orders import Order, OrderPurpose, OrderStatus
from domain.billing.payments import Payment
from domain.billing.plans import Plan
from domain.billing.subscriptions.subscription import Subscription
from domain.identity.user import User
from domain.shared.ids import OrderId
from tests.contracts.invoice_samples import TERMS
from tests.contracts.samples import ORIGIN, keep_user
from tests.contracts.shop import FAILED, Shop


@dataclass(kw_only=True)
class Office(Shop):
    """Sells plans. The clock is the test's; the gateway does as it is told."""

    subscriptions: SubscriptionSchedule

    @cached_property
    def keeper(self) -> SubscriptionKeeper:
        return SubscriptionKeeper(self.uow, self.desk, self.clock, self.ids)

    @cached_property
    def fulfilments(self) -> Mapping[OrderPurpose, Any]:
        bought = InvoicedFulfilment(
            SubscriptionFulfilment(self.keeper, self.clock),
            IssueInvoice(self.clock, self.ids, TERMS),
            IssueCreditNote(self.clock, self.ids, TERMS),
        )
        topped_up = super().fulfilments[OrderPurpose.TOP_UP]
        return {
            purpose: topped_up if purpose is OrderPurpose.TOP_UP else bought
            for purpose in OrderPurpose
        }

    @cached_property
    def start(self) -> StartSubscription:
        return StartSubscription(self.uow, self.keeper, self.clock, self.ids)

    @cached_property
    def manage(self) -> ManageSubscription:
        return ManageSubscription(self.uow, self.keeper, self.clock)

    @cached_property
    def preview(self) -> PreviewChange:
        return PreviewChange(self.uow, self.clock)

    @cached_property
    def show(self) -> ShowSubscription:
        return ShowSubscription(self.uow, self.clock)

    @cached_property
    def seats(self) -> ManageSeats:
        return ManageSeats(self.uow, self.clock, self.ids)

    @cached_property
    def advance(self) -> AdvanceSubscriptions:
        return AdvanceSubscriptions(
            self.subscriptions, self.uow, self.keeper, self.desk, self.clock, self.ids
        )

    @cached_property
    def retention(self) -> KeepRetention:
        return KeepRetention(self.subscriptions, self.uow, self.clock, self.ids)

    async def settle(self) -> None:
        """Do everything that is due by the clock."""
        while await self.advance():
            continue

    async def pass_time(self, by: timedelta, *, step: timedelta = timedelta(hours=12)) -> None:
        """Let time pass with a dispatcher looking now and then."""
        until = self.clock.now() + by
        while self.clock.now() < until:
            self.clock.move(min(step, until - self.clock.now()))
            await self.settle()
            await self.hear()

    async def hear(self) -> None:
        """Take note of every attempt at open orders, as the gateway would tell of them."""
        for order in await self.open_orders():
            if order.gateway_order_id:
                for seen in await self.gateway.payments_of(order.gateway_order_id):
                    await self.see(order, seen)

    async def open_orders(self) -> list[Order]:
        """Whoever's: this office remembers whom it dealt with."""
        orders: list[Order] = []
        for user in self.people:
            async with self.uow.begin(user.id) as tx:
                orders += await tx.orders.page(OrderFilter(limit=50, status=OrderStatus.OPEN))
        return orders

    @cached_property
    def people(self) -> list[User]:
        """Whom it deals with."""
        return []

    async def person(self, **changes: object) -> User:
        """Somebody new."""
        user = await keep_user(self.uow, **changes)
        self.people.append(user)
        return user

    async def buyer(self, plan: str = "pro", *, seats: int = 1) -> User:
        """Somebody new whose first period is paid."""
        user = await self.person()
        await self.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan=plan, seats=seats))
        await self.pay(user)
        return user

    async def asked(self, user: User) -> Order:
        """The order that waits for somebody's payment, as the gateway knows it."""
        shown = await self.show(user.id)
        assert shown.order_id is not None, "nothing waits to be paid"
        async with self.uow.begin(user.id) as tx:
            order = await tx.orders.get(OrderId(shown.order_id))
        assert order is not None
        return await self.desk.place(order)

    async def pay(self, user: User) -> tuple[Order, Payment]:
        """Approve what waits: a recurring order leaves a mandate."""
        order = await self.asked(user)
        await self.gateway.approve(order.gateway_order_id)
        (seen,) = [
            attempt
            for attempt in await self.gateway.payments_of(order.gateway_order_id)
            if attempt.status is not FAILED
        ]
        paid = await self.see(order, seen)
        (payment,) = [p for p in await self.payments(paid) if p.id == paid.paid_with]
        return paid, payment

    async def decline(self, user: User) -> None:
        """Let an attempt at what waits fail."""
        order = await self.asked(user)
        await self.gateway.decline(order.gateway_order_id)
        await self.hear()

    async def has(self, user: User) -> Subscription:
        """Somebody's subscription, the last one if it has ended."""
        shown: Overview = await self.show(user.id)
        assert shown.subscription is not None
        return shown.subscription

    async def plan(self, user: User) -> Plan:
        """What holds for somebody now."""
        return (await self.show(user.id)).plan

    async def free(self, user: User) -> int:
        """Somebody's free credits."""
        return (await self.credits(user.id))[0]

    async def told(self, user: User) -> list[Notice]:
        """What somebody was told of their last subscription, oldest first."""
        sub = await self.has(user)
        async with self.uow.begin(user.id) as tx:
            found = await tx.notices.of_subscription(sub.id, limit=200, after=None)
        return list(reversed(found))
