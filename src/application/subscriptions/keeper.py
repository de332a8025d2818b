"""Where what was decided of a subscription is carried out, in one transaction of its buyer's."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from application.billing.buy_credits import cancel
from application.billing.order_desk import OrderDesk
from application.ports.clock import Clock, IdMaker
from application.ports.payment_gateway import (
    GatewayRefused,
    GatewayUnavailable,
    PaymentsNotConfigured,
)
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.subscriptions import Allotment, Notice
from domain.billing.ledger import ClawBack, Grant, LotKind
from domain.billing.orders import Order, OrderNotOpen, OrderPurpose
from domain.billing.payments import share
from domain.billing.seats import Seat
from domain.billing.subscriptions.changes import (
    AllotCredits,
    ClawBackGiven,
    ClawBackSeat,
    CloseCharge,
    CollectCharge,
    Effect,
    GiveBack,
    GiveBackAhead,
    NoticeKind,
    OpenCharge,
    Outcome,
    Tell,
)
from domain.billing.subscriptions.subscription import (
    GRACE,
    Charge,
    ChargePurpose,
    ChargeStatus,
    Subscription,
)
from domain.billing.top_ups import worth
from domain.shared.errors import NotFound
from domain.shared.ids import OrderId, SeatId, UserId

log = structlog.get_logger(__name__)

PURPOSES = {
    ChargePurpose.START: OrderPurpose.SUBSCRIPTION_START,
    ChargePurpose.UPGRADE: OrderPurpose.SUBSCRIPTION_UPGRADE,
    ChargePurpose.RENEWAL: OrderPurpose.SUBSCRIPTION_RENEWAL,
}


WEBHOOK_EVENTS = {
    NoticeKind.TRIAL_STARTED: "subscription.activated",
    NoticeKind.STARTED: "subscription.activated",
    NoticeKind.RESUMED: "subscription.activated",
    NoticeKind.RENEWED: "subscription.renewed",
    NoticeKind.PAST_DUE: "subscription.past_due",
    NoticeKind.CANCEL_SCHEDULED: "subscription.cancelled",
    NoticeKind.ENDED: "subscription.expired",
}
"""What of a subscription's history its buyer's endpoints hear of too, and as what."""


LONGEST_OUTAGE = timedelta(days=30)
"""How long the house may look at nothing, and its buyers can pay what is missing all the same."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What is left to be done after the commit: orders to be placed, and to be cancelled."""

    opened: tuple[Order, ...] = ()
    voided: tuple[OrderId, ...] = ()


@dataclass(frozen=True, slots=True)
class SubscriptionKeeper:
    """Carries out what :mod:`domain.billing.subscriptions.lifecycle` decided."""

    uow: UnitOfWork
    desk: OrderDesk
    clock: Clock
    ids: IdMaker

    async def begin(self, tx: Transaction, outcome: Outcome, *, coupon: str = "") -> Carried:
        """Keep a new subscription; its first seat is its buyer's.

        Raises:
            AlreadySubscribed: there is one that has not ended.
            TrialUsed: it is a trial, and there was one.
            CouponNotUsable: there is no such coupon, or it does not apply.
            CouponAlreadyUsed: the person has used it, or holds it with another order.
            CouponExhausted: it is used up.
        """
        subscription = outcome.subscription
        await tx.subscriptions.add(subscription)
        buyer = await tx.users.get(subscription.user_id)
        if buyer is None:
            raise NotFound("user", subscription.user_id)
        await tx.seats.add(
            Seat(
                id=SeatId(self.ids.new()),
                subscription_id=subscription.id,
                user_id=subscription.user_id,
                number=1,
                email=buyer.email,
                holder_id=subscription.user_id,
                assigned_at=self.clock.now(),
            )
        )
        return await self._effects(tx, outcome, coupon)

    async def carry_out(self, tx: Transaction, before: Subscription, outcome: Outcome) -> Carried:
        """Write the subscription and have the effects, all in the caller's transaction."""
        await tx.subscriptions.save(outcome.subscription)
        return await self._effects(tx, outcome, "", before)

    async def afterwards(self, user_id: UserId, carried: Carried) -> None:
        """Tell the gateway of new orders, and end those that nobody needs. Safe to leave out.

        Outside of any transaction. An order that was not placed is placed when it is shown or
        collected; one that was not cancelled expires, and its payment is given back.
        """
        for order_id in carried.voided:
            try:
                await cancel(self.uow, user_id, order_id)
            except (OrderNotOpen, NotFound):
                continue
        for order in carried.opened:
            try:
                await self.desk.place(order)
            except (GatewayUnavailable, GatewayRefused, PaymentsNotConfigured) as error:
                log.warning("order not placed", order_id=str(order.id), error=error.message)
            except OrderNotOpen:
                continue

    async def _effects(
        self,
        tx: Transaction,
        outcome: Outcome,
        coupon: str,
        before: Subscription | None = None,
    ) -> Carried:
        subscription, now = outcome.subscription, self.clock.now()
        opened: list[Order] = []
        voided: list[OrderId] = []
        for effect in outcome.effects:
            match effect:
                case OpenCharge(charge=charge):
                    opened.append(await self._ask(tx, subscription, charge, coupon, now))
                case CloseCharge(reference=reference, status=status):
                    await tx.subscriptions.close_charge(reference, status)
                    order_id = await tx.subscriptions.order_of(reference)
                    if status is ChargeStatus.VOID and order_id is not None:
                        voided.append(order_id)
                case _:
                    await self._have(tx, subscription, effect, now)
        if before is None or _seats_differ(before, outcome):
            await self._seats(tx, subscription, now)
        return Carried(tuple(opened), tuple(voided))

    async def _have(
        self, tx: Transaction, subscription: Subscription, effect: Effect, now: datetime
    ) -> None:
        match effect:
            case AllotCredits():
                await tx.subscriptions.allot(subscription.id, effect)
            case CollectCharge(reference=reference):
                await tx.subscriptions.collect(reference, now)
            case GiveBack():
                await tx.ledger.grant(
                    Grant(
                        user_id=subscription.user_id,
                        key=effect.key,
                        credits=effect.credits,
                        kind=LotKind.TOP_UP,
                        reference=effect.reference,
                    )
                )
            case GiveBackAhead(key=key, reference=reference):
                await self._give_back(tx, subscription, key, reference)
            case ClawBackSeat():
                await self._claw_back(tx, subscription, effect)
            case ClawBackGiven(key=key, reference=reference, credits=credits) if credits:
                await tx.ledger.claw_back(
                    ClawBack(
                        user_id=subscription.user_id, key=key, credits=credits, reference=reference
                    )
                )
            case Tell():
                await self._tell(tx, subscription, effect, now)
            case _:
                pass

    async def _ask(
        self,
        tx: Transaction,
        subscription: Subscription,
        charge: Charge,
        coupon: str,
        now: datetime,
    ) -> Order:
        plan = f"{charge.plan.name}, {charge.seats} seat{'s' if charge.seats > 1 else ''}"
        order = await self.desk.open(
            tx,
            user_id=subscription.user_id,
            purpose=PURPOSES[charge.purpose],
            reference=str(subscription.id),
            amount_paise=charge.amount_paise,
            description=(
                f"Rest of the month: {plan}"
                if charge.purpose is ChargePurpose.UPGRADE
                else f"One month: {plan}"
            ),
            coupon_code=coupon,
            recurring=charge.purpose is not ChargePurpose.UPGRADE,
            open_for=_payable_until(subscription, charge) - now,
        )
        # A coupon makes it cheaper: what was asked for is what is given back.
        asked = replace(charge, amount_paise=order.amount_paise)
        await tx.subscriptions.add_charge(subscription.id, asked, order.id)
        return order

    async def _give_back(
        self, tx: Transaction, subscription: Subscription, key: str, reference: str
    ) -> None:
        """What of it was refunded already is not given back a second time."""
        order_id = await tx.subscriptions.order_of(reference)
        found = None if order_id is None else await tx.subscriptions.charge_of(order_id)
        if found is None:
            raise LookupError(f"there is no charge {reference}")
        charge = found[1]
        await tx.subscriptions.close_charge(reference, ChargeStatus.GIVEN_BACK)
        credits = worth(charge.amount_paise) - worth(charge.refunded_paise)
        if credits:
            await tx.ledger.grant(
                Grant(
                    user_id=subscription.user_id,
                    key=key,
                    credits=credits,
                    kind=LotKind.TOP_UP,
                    reference=reference,
                )
            )

    async def _claw_back(
        self, tx: Transaction, subscription: Subscription, claw: ClawBackSeat
    ) -> None:
        """What was given to others lapses with their seat; it is not theirs to pay for."""
        given = await tx.subscriptions.given(claw.reference, subscription.user_id)
        credits = share(
            sum(allotment.credits for allotment in given),
            claw.total - claw.before,
            claw.whole,
            claw.before,
        )
        if claw.total == claw.whole:
            await tx.subscriptions.withhold(claw.reference)
        if credits:
            await tx.ledger.claw_back(
                ClawBack(
                    user_id=subscription.user_id,
                    key=claw.key,
                    credits=credits,
                    reference=claw.reference,
                )
            )

    async def _tell(
        self, tx: Transaction, subscription: Subscription, told: Tell, now: datetime
    ) -> None:
        await tx.notices.add(
            Notice(
                id=self.ids.new(),
                user_id=subscription.user_id,
                key=told.key,
                kind=told.kind,
                data=dict(told.data),
                created_at=now,
                subscription_id=subscription.id,
            )
        )
        if told.kind in WEBHOOK_EVENTS:
            await tx.webhooks.emit(
                WEBHOOK_EVENTS[told.kind],
                {
                    "subscription_id": str(subscription.id),
                    "plan": subscription.plan.code,
                    "seats": subscription.seats,
                    "status": subscription.status.value,
                    "period_end": subscription.period_end.isoformat(),
                },
                at=now,
            )

    async def _seats(self, tx: Transaction, subscription: Subscription, now: datetime) -> None:
        """Bring the buyer's own seat up to date at once, and the others soon."""
        gone = []
        for seat in await tx.seats.of(subscription.id):
            if seat.number > subscription.seats:
                await tx.seats.withdraw(seat.id, now)
                gone.append(seat)
            elif seat.holder_id == subscription.user_id:
                await self._own(tx, subscription, seat, now)
        if gone:
            await self._tell(
                tx,
                subscription,
                Tell(
                    key=f"seats:{subscription.id}:{subscription.period}",
                    kind=NoticeKind.SEATS_WITHDRAWN,
                    data=(("emails", ", ".join(seat.email for seat in gone)),),
                ),
                now,
            )
        await tx.seats.touch(subscription.id, now)

    async def _own(
        self, tx: Transaction, subscription: Subscription, seat: Seat, now: datetime
    ) -> None:
        until = subscription.entitled_until
        if until is None or until <= now:
            await tx.entitlements.end(subscription.id, now)
            return
        await tx.entitlements.put(subscription.id, subscription.plan.id, until, now)
        for allotment in await tx.subscriptions.take_own(subscription.id, seat.number, now):
            await give(tx, subscription.user_id, allotment)


async def give(tx: Transaction, user_id: UserId, allotment: Allotment) -> None:
    """Grant what a seat was allotted to its holder, once."""
    await tx.ledger.grant(
        Grant(
            user_id=user_id,
            key=allotment.key,
            credits=allotment.credits,
            kind=LotKind.PLAN_GRANT,
            expires_at=allotment.expires_at,
            reference=allotment.reference,
        )
    )


def _seats_differ(before: Subscription, outcome: Outcome) -> bool:
    """Whether what the seats have, or are to be given, is another than before."""
    after = outcome.subscription
    return (before.plan.id, before.seats, before.entitled_until) != (
        after.plan.id,
        after.seats,
        after.entitled_until,
    ) or any(isinstance(effect, AllotCredits) for effect in outcome.effects)


def _payable_until(subscription: Subscription, charge: Charge) -> datetime:
    """When the order ends by itself, if nobody ends it: a renewal's long after the grace, which
    begins only when the house sees that the payment is missing."""
    if charge.expires_at is not None:
        return charge.expires_at
    return (subscription.missed_at or subscription.period_end) + GRACE + LONGEST_OUTAGE
