"""What a subscription's payments bring about."""

from dataclasses import dataclass, replace

from application.ports.clock import Clock
from application.ports.persistence import Transaction
from application.subscriptions.keeper import SubscriptionKeeper
from domain.billing.orders import Order
from domain.billing.payments import Payment, Refund
from domain.billing.subscriptions.changes import (
    ChargeFailed,
    ChargePaid,
    ChargeRefunded,
)
from domain.billing.subscriptions.lifecycle import decide
from domain.billing.subscriptions.subscription import Charge, Subscription


@dataclass(frozen=True, slots=True)
class SubscriptionFulfilment:
    """Starts, upgrades and renews with payments, and takes back with refunds.

    The one fulfilment of all three purposes: the charge behind an order says what it buys.
    Other orders are left as they are: this transaction holds its own order's lock already
    and must not wait for another's. One that nobody needs any more expires by itself.
    """

    keeper: SubscriptionKeeper
    clock: Clock

    async def fulfil(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """Give what was paid for; what is over becomes credits instead."""
        subscription, charge = await self._behind(tx, order)
        if payment.mandate is not None:
            subscription = replace(subscription, mandate=payment.mandate)
        outcome = decide(subscription, ChargePaid(charge), self.clock.now())
        await self.keeper.carry_out(tx, subscription, outcome)

    async def fail(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """Tell the buyer; the schedule of collections goes on."""
        subscription, charge = await self._behind(tx, order)
        event = ChargeFailed(charge, payment.key)
        outcome = decide(subscription, event, self.clock.now())
        await self.keeper.carry_out(tx, subscription, outcome)

    async def reverse(self, tx: Transaction, order: Order, refund: Refund) -> None:
        """Take back in proportion; all of it ends the subscription."""
        subscription, charge = await self._behind(tx, order)
        event = ChargeRefunded(charge, refund.key, refund.amount_paise)
        outcome = decide(subscription, event, self.clock.now())
        await self.keeper.carry_out(tx, subscription, outcome)
        await tx.subscriptions.note_refund(charge.reference, refund.amount_paise)

    async def _behind(self, tx: Transaction, order: Order) -> tuple[Subscription, Charge]:
        found = await tx.subscriptions.charge_of(order.id)
        subscription = await tx.subscriptions.get(found[0], lock=True) if found else None
        # Again under the lock: somebody may have voided it while this waited.
        found = await tx.subscriptions.charge_of(order.id)
        if found is None or subscription is None:
            raise LookupError(f"no subscription asks for the order {order.id}")
        return subscription, found[1]
