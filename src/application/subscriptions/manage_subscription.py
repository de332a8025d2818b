"""What a buyer does with their subscription: start, change, end, rest, go on, look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.paging import Page
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.subscriptions import Notice
from application.subscriptions.keeper import Carried, SubscriptionKeeper
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.plans import Plan
from domain.billing.proration import Proration
from domain.billing.subscriptions.changes import (
    CancelWanted,
    ChangeWanted,
    Event,
    PauseWanted,
    ResumeWanted,
)
from domain.billing.subscriptions.lifecycle import begin, begin_trial, decide
from domain.billing.subscriptions.subscription import (
    NoSubscription,
    Subscription,
    SubscriptionStatus,
)
from domain.billing.subscriptions.wishes import preview
from domain.shared.errors import InvalidValue
from domain.shared.ids import OrderId, SubscriptionId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What somebody has: their subscription, the order that waits for their payment, and the
    plan that holds for them now, whether their own, by a seat, or Free."""

    subscription: Subscription | None
    order_id: OrderId | None
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a change would come to.

    ``due_now`` is None for one that waits for the period's end, when ``next_paise`` are due.
    """

    plan: Plan
    seats: int
    due_now: Proration | None
    next_paise: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """Which plan, by its code, with how many seats; as a trial, or with a coupon."""

    user_id: UserId
    origin: Origin
    plan: str
    seats: int = 1
    trial: bool = False
    coupon: str = ""
    once: Completion[Overview] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Which plan and how many seats are wanted instead. None leaves it as it is."""

    user_id: UserId
    origin: Origin
    plan: str | None = None
    seats: int | None = None
    once: Completion[Overview] | None = None


@dataclass(frozen=True, slots=True)
class ShowSubscription:
    """Shows what somebody has."""

    uow: UnitOfWork
    clock: Clock

    async def __call__(self, user_id: UserId) -> Overview:
        """The subscription that has not ended, else the last one, else none."""
        async with self.uow.begin(user_id) as tx:
            return await overview(tx, self.clock)

    async def history(self, user_id: UserId, page: Page) -> Sequence[Notice]:
        """What happened to the last subscription, newest first; nothing without one."""
        async with self.uow.begin(user_id) as tx:
            subscription = await tx.subscriptions.latest()
            if subscription is None:
                return []
            return await tx.notices.of_subscription(
                subscription.id, limit=page.limit, after=page.after
            )


@dataclass(frozen=True, slots=True)
class StartSubscription:
    """Starts a plan: with a trial at once, otherwise when its first order is paid."""

    uow: UnitOfWork
    keeper: SubscriptionKeeper
    clock: Clock
    ids: IdMaker

    async def __call__(self, command: NewSubscription) -> Overview:
        """Keep it, and the order to pay. One that waited for a payment is given up for it.

        Raises:
            InvalidValue: there is no such plan, it is not sold with so many seats, or a trial is
                wanted of more than one, or with a coupon.
            PlanNotOnSale: it is Free, or not sold any more.
            AlreadySubscribed: there is a subscription; change it instead.
            TrialUsed: the plan has no trial, or the person had theirs.
            CouponNotUsable: there is no such coupon, or it does not apply.
            CouponAlreadyUsed: the person has used it, or holds it with another order.
            CouponExhausted: it is used up.
            KeyClaimLost: another request with the same key came first.
        """
        user_id, now = command.user_id, self.clock.now()
        given_up = Carried()
        async with self.uow.begin(user_id) as tx:
            plan = await sold(tx, command.plan)
            standing = await tx.subscriptions.current(lock=True)
            if standing is not None and standing.status is SubscriptionStatus.PENDING:
                given_up = await self.keeper.carry_out(
                    tx, standing, decide(standing, CancelWanted(), now)
                )
            id_ = SubscriptionId(self.ids.new())
            if command.trial:
                _check_trial(command)
                used = await tx.subscriptions.trial_used()
                outcome = begin_trial(id_, user_id, plan, now, used=used)
            else:
                outcome = begin(id_, user_id, plan, command.seats, now)
            carried = await self.keeper.begin(tx, outcome, coupon=command.coupon)
            shown = await overview(tx, self.clock)
            await _record(tx, command.origin, AuditAction.SUBSCRIPTION_STARTED, None, shown)
            if command.once is not None:
                await command.once.store(tx.idempotency, shown)
        await self.keeper.afterwards(user_id, given_up)
        await self.keeper.afterwards(user_id, carried)
        return shown


def _check_trial(command: NewSubscription) -> None:
    if command.seats != 1:
        raise InvalidValue("seats", "A trial has one seat: leave seats out.")
    if command.coupon:
        raise InvalidValue(
            "coupon", "A trial costs nothing: leave the coupon out, or start without a trial."
        )


@dataclass(frozen=True, slots=True)
class PreviewChange:
    """Says what a change would come to. Nothing is kept."""

    uow: UnitOfWork
    clock: Clock

    async def __call__(self, command: Change) -> Preview:
        """The change, prorated to the second.

        Raises:
            NoSubscription: there is none that could be changed.
            InvalidValue: there is no such plan, or it is not sold with so many seats.
            PlanNotOnSale: it is not sold any more.
        """
        now = self.clock.now()
        async with self.uow.begin(command.user_id) as tx:
            subscription = await standing(tx)
            plan, seats = await _wanted(tx, subscription, command)
        due = preview(subscription, plan, seats, now)
        return Preview(
            plan=plan,
            seats=seats,
            due_now=due,
            next_paise=plan.paise(seats),
            at=(now if due else subscription.period_end).isoformat(),
        )


@dataclass(frozen=True, slots=True)
class ManageSubscription:
    """Changes, cancels, pauses and resumes."""

    uow: UnitOfWork
    keeper: SubscriptionKeeper
    clock: Clock

    async def change(self, command: Change) -> Overview:
        """Another plan or number of seats: now against its prorated price, or from the next
        period on.

        Raises:
            NoSubscription: there is none.
            SubscriptionState: it cannot be changed now; the message says what can be done.
            InvalidValue: there is no such plan, or it is not sold with so many seats.
            PlanNotOnSale: it is not sold any more.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(command.user_id) as tx:
            subscription = await standing(tx, lock=True)
            plan, seats = await _wanted(tx, subscription, command)
            shown, carried = await self._decided(
                tx, subscription, ChangeWanted(plan, seats), command.origin, command.once
            )
        await self.keeper.afterwards(command.user_id, carried)
        return shown

    async def cancel(
        self, user_id: UserId, *, origin: Origin, once: Completion[Overview] | None = None
    ) -> Overview:
        """End it with what is paid, or at once where nothing is.

        Raises:
            NoSubscription: there is none.
            SubscriptionState: the next period is paid already.
            KeyClaimLost: another request with the same key came first.
        """
        return await self._wish(user_id, CancelWanted(), origin, once)

    async def pause(
        self, user_id: UserId, *, origin: Origin, once: Completion[Overview] | None = None
    ) -> Overview:
        """Rest from the period's end on.

        Raises:
            NoSubscription: there is none.
            SubscriptionState: it is not active, or the next period is paid already.
            KeyClaimLost: another request with the same key came first.
        """
        return await self._wish(user_id, PauseWanted(), origin, once)

    async def resume(
        self, user_id: UserId, *, origin: Origin, once: Completion[Overview] | None = None
    ) -> Overview:
        """Go on after all; after a pause, by paying for a period that begins then.

        Raises:
            NoSubscription: there is none.
            SubscriptionState: there is nothing to resume.
            KeyClaimLost: another request with the same key came first.
        """
        return await self._wish(user_id, ResumeWanted(), origin, once)

    async def _wish(
        self, user_id: UserId, event: Event, origin: Origin, once: Completion[Overview] | None
    ) -> Overview:
        async with self.uow.begin(user_id) as tx:
            subscription = await standing(tx, lock=True)
            shown, carried = await self._decided(tx, subscription, event, origin, once)
        await self.keeper.afterwards(user_id, carried)
        return shown

    async def _decided(
        self,
        tx: Transaction,
        subscription: Subscription,
        event: Event,
        origin: Origin,
        once: Completion[Overview] | None,
    ) -> tuple[Overview, Carried]:
        outcome = decide(subscription, event, self.clock.now())
        carried = await self.keeper.carry_out(tx, subscription, outcome)
        shown = await overview(tx, self.clock)
        await _record(tx, origin, _ACTIONS[type(event)], subscription, shown)
        if once is not None:
            await once.store(tx.idempotency, shown)
        return shown, carried


_ACTIONS: Mapping[type[Event], AuditAction] = MappingProxyType(
    {
        ChangeWanted: AuditAction.SUBSCRIPTION_CHANGED,
        CancelWanted: AuditAction.SUBSCRIPTION_CANCELLED,
        PauseWanted: AuditAction.SUBSCRIPTION_PAUSED,
        ResumeWanted: AuditAction.SUBSCRIPTION_RESUMED,
    }
)


async def _record(
    tx: Transaction,
    origin: Origin,
    action: AuditAction,
    before: Subscription | None,
    shown: Overview,
) -> None:
    after = shown.subscription
    standing = after or before
    await tx.audit.record(
        origin,
        acted(
            action,
            "" if standing is None else standing.id,
            before=None if before is None else _told(before),
            after=None if after is None else _told(after),
        ),
    )


def _told(subscription: Subscription) -> dict[str, object]:
    return {
        "plan": subscription.plan.code,
        "version": subscription.plan.version,
        "seats": subscription.seats,
        "status": subscription.status,
        "next_plan": subscription.next_plan.code if subscription.next_plan else None,
        "next_seats": subscription.next_seats,
        "at_end": subscription.at_end,
        "trial": subscription.trial,
    }


async def overview(tx: Transaction, clock: Clock) -> Overview:
    """What the transaction's person has."""
    # First, for a commit may come between: a plan is not to be shown beside a subscription that
    # does not give it yet.
    plan = await tx.entitlements.effective(clock.now())
    subscription = await tx.subscriptions.current() or await tx.subscriptions.latest()
    charge = subscription.charge if subscription else None
    return Overview(
        subscription=subscription,
        order_id=await tx.subscriptions.order_of(charge.reference) if charge else None,
        plan=plan,
    )


async def standing(tx: Transaction, *, lock: bool = False) -> Subscription:
    """The subscription that has not ended.

    Raises:
        NoSubscription: there is none.
    """
    subscription = await tx.subscriptions.current(lock=lock)
    if subscription is None:
        raise NoSubscription("You have no subscription. Start one of GET /api/v1/plans.")
    return subscription


async def sold(tx: Transaction, code: str) -> Plan:
    """The newest version of a plan.

    Raises:
        InvalidValue: there is no plan with that code.
    """
    plan = await tx.plans.current(code)
    if plan is None:
        raise InvalidValue("plan", "Name a plan by its code, as GET /api/v1/plans lists them.")
    return plan


async def _wanted(tx: Transaction, subscription: Subscription, command: Change) -> tuple[Plan, int]:
    """The version of their own plan stays theirs; any other is bought in its newest."""
    own, seats = subscription.plan, command.seats or subscription.seats
    if command.plan is None or command.plan == own.code:
        return own, seats
    plan = await sold(tx, command.plan)
    return plan, command.seats or (seats if plan.per_seat else 1)
