"""What becomes of a subscription by its buyer's wish."""

from dataclasses import replace
from datetime import datetime

from domain.billing.orders import LEAST_PAISE
from domain.billing.plans import Plan
from domain.billing.proration import Period, Proration, prorate
from domain.billing.subscriptions.changes import NoticeKind, Outcome
from domain.billing.subscriptions.subscription import (
    PENDING_TIME,
    AtEnd,
    Charge,
    ChargePurpose,
    Subscription,
    SubscriptionState,
    SubscriptionStatus,
)
from domain.billing.subscriptions.transitions import ask, end, opened, told, void


def preview(subscription: Subscription, plan: Plan, seats: int, now: datetime) -> Proration | None:
    """What a change now would come to; None when it would wait for the period's end.

    Raises:
        PlanNotOnSale: the plan is not sold.
        InvalidValue: it is not sold with so many seats.
    """
    if plan.id != subscription.plan.id:
        plan.check_sold()
    plan.check_seats(seats)
    if subscription.status is not SubscriptionStatus.ACTIVE or now >= subscription.period_end:
        return None
    parts = prorate(
        Period(start=subscription.period_start, end=subscription.period_end),
        now,
        old=(subscription.plan.paise(subscription.seats), subscription.plan.credits),
        new=(plan.paise(seats), plan.credits),
    )
    # Less than a gateway takes cannot be asked for now.
    return parts if parts.due_paise >= LEAST_PAISE else None


def changed(sub: Subscription, plan: Plan, seats: int, now: datetime) -> Outcome:
    """Take a dearer plan now against its prorated price, any other from the next period on.

    To want what the next period brings already takes back a dearer one that is not paid yet.
    """
    _only(
        sub,
        {
            SubscriptionStatus.TRIALING,
            SubscriptionStatus.ACTIVE,
            SubscriptionStatus.PAST_DUE,
            SubscriptionStatus.PAUSED,
        },
        "Pay for it first, or start the plan you want instead.",
    )
    if sub.paid_ahead:
        raise SubscriptionState(
            "The next period is paid already. Change after it has begun on "
            f"{sub.period_end:%Y-%m-%d}.",
            status=sub.status.value,
        )
    parts = preview(sub, plan, seats, now)
    following, following_seats = sub.following
    if (plan.id, seats) == (following.id, following_seats) and parts is None:
        if sub.charge is not None and sub.charge.purpose is ChargePurpose.UPGRADE:
            return void(sub)
        raise SubscriptionState(
            "That is what the next period brings already.", status=sub.status.value
        )
    dropped = void(sub)
    if parts is None:
        agreed = replace(dropped.subscription, next_plan=plan, next_seats=seats)
        said = told(
            agreed,
            NoticeKind.CHANGE_SCHEDULED,
            f"change:{now.isoformat()}",
            plan=plan.code,
            seats=seats,
            at=sub.period_end.isoformat(),
        )
        return Outcome(subscription=agreed, effects=(*dropped.effects, said))
    asked = opened(
        dropped.subscription,
        Charge(
            reference=f"{sub.id}:{sub.charges + 1}",
            purpose=ChargePurpose.UPGRADE,
            period=sub.period,
            plan=plan,
            seats=seats,
            seats_before=sub.seats,
            amount_paise=parts.due_paise,
            credits_each=parts.credits_each,
            credits_added_seat=parts.credits_added_seat,
            expires_at=min(now + PENDING_TIME, sub.period_end),
        ),
    )
    return replace(asked, effects=(*dropped.effects, *asked.effects))


def cancelled(sub: Subscription, now: datetime) -> Outcome:
    """End with what is paid, or at once where nothing is."""
    if sub.ended:
        raise SubscriptionState("It has ended already.", status=sub.status.value)
    if sub.status not in (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE):
        return end(sub, SubscriptionStatus.CANCELLED, now, "as_wished")
    if sub.paid_ahead:
        raise SubscriptionState(
            "The next period is paid already. Cancel after it has begun on "
            f"{sub.period_end:%Y-%m-%d}, or ask for a refund of its payment.",
            status=sub.status.value,
        )
    return _ending(sub, AtEnd.CANCEL, NoticeKind.CANCEL_SCHEDULED)


def paused(sub: Subscription) -> Outcome:
    """Rest from the end of the period on."""
    _only(sub, {SubscriptionStatus.ACTIVE}, "Only an active subscription can be paused.")
    if sub.paid_ahead:
        raise SubscriptionState(
            "The next period is paid already. Pause after it has begun on "
            f"{sub.period_end:%Y-%m-%d}.",
            status=sub.status.value,
        )
    return _ending(sub, AtEnd.PAUSE, NoticeKind.PAUSE_SCHEDULED)


def _ending(sub: Subscription, at_end: AtEnd, kind: NoticeKind) -> Outcome:
    """Idempotent: wished twice is wished once."""
    if sub.at_end is at_end:
        return Outcome(subscription=sub)
    dropped = void(sub)
    ending = replace(dropped.subscription, at_end=at_end)
    said = told(ending, kind, f"{at_end}:{sub.charges}", at=sub.period_end.isoformat())
    return Outcome(subscription=ending, effects=(*dropped.effects, said))


def resumed(sub: Subscription, now: datetime) -> Outcome:
    """Go on after all, or ask for a next period after a pause."""
    if sub.status is SubscriptionStatus.PAUSED:
        if sub.charge is not None:
            return Outcome(subscription=sub)
        plan, seats = sub.following
        return ask(sub, ChargePurpose.RENEWAL, plan, seats, now + PENDING_TIME)
    _only(
        sub,
        {SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE},
        "There is nothing to resume: start a plan, or pay what is open.",
    )
    if sub.at_end is AtEnd.RENEW:
        return Outcome(subscription=sub)
    going_on = replace(sub, at_end=AtEnd.RENEW)
    said = told(going_on, NoticeKind.RESUMED, f"resumed:{now.isoformat()}")
    return Outcome(subscription=going_on, effects=(said,))


def _only(sub: Subscription, states: set[SubscriptionStatus], remedy: str) -> None:
    if sub.status not in states:
        raise SubscriptionState(
            f"The subscription is {sub.status}. {remedy}", status=sub.status.value
        )
