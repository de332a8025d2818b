"""What time does to a subscription."""

from dataclasses import replace
from datetime import datetime

from domain.billing.subscriptions.changes import CollectCharge, NoticeKind, Outcome
from domain.billing.subscriptions.subscription import (
    COLLECTIONS,
    GRACE,
    AtEnd,
    Subscription,
    SubscriptionStatus,
)
from domain.billing.subscriptions.transitions import end, renewal, roll, told, void


def pass_time(outcome: Outcome, now: datetime) -> Outcome:
    """Let everything happen that is due, one thing after another."""
    while (due := outcome.subscription.due_at) is not None and due <= now:
        step = _step(outcome.subscription, now)
        outcome = Outcome(subscription=step.subscription, effects=outcome.effects + step.effects)
    return outcome


def _step(sub: Subscription, now: datetime) -> Outcome:
    """The one next thing that time does."""
    charge = sub.charge
    if charge is not None and charge.expires_at is not None and charge.expires_at <= now:
        dropped = void(sub)
        if sub.status is SubscriptionStatus.PENDING:
            ended = replace(dropped.subscription, status=SubscriptionStatus.EXPIRED, ended_at=now)
            return replace(dropped, subscription=ended)
        return dropped
    match sub.status:
        case SubscriptionStatus.TRIALING | SubscriptionStatus.ACTIVE:
            return _towards_the_end(sub, now)
        case SubscriptionStatus.PAST_DUE:
            return _overdue(sub, now)
        case _:
            return end(sub, SubscriptionStatus.EXPIRED, now, "pause_limit")


def _towards_the_end(sub: Subscription, now: datetime) -> Outcome:
    if now >= sub.period_end:
        if sub.at_end is AtEnd.CANCEL:
            return end(sub, SubscriptionStatus.CANCELLED, sub.period_end, "as_wished")
        if sub.at_end is AtEnd.PAUSE:
            dropped = void(sub)
            resting = replace(
                dropped.subscription,
                status=SubscriptionStatus.PAUSED,
                paused_at=sub.period_end,
                at_end=AtEnd.RENEW,
            )
            return Outcome(
                subscription=resting,
                effects=(
                    *dropped.effects,
                    told(resting, NoticeKind.PAUSED, f"paused:{sub.period}"),
                ),
            )
        if sub.paid_ahead:
            return roll(sub, sub.ahead, now)
        # The grace is counted from when we saw that it is missing: an outage of ours takes
        # no day of it away.
        missed = replace(sub, status=SubscriptionStatus.PAST_DUE, missed_at=now)
        if sub.attempt == 0:
            missed = replace(missed, attempt=1)  # the collection before the end is over
        return Outcome(
            subscription=missed,
            effects=(
                told(
                    missed,
                    NoticeKind.PAST_DUE,
                    f"past_due:{sub.period}",
                    until=(now + GRACE).isoformat(),
                ),
            ),
        )
    if sub.charge is None:
        return renewal(sub)
    collected = replace(sub, attempt=sub.attempt + 1)
    return Outcome(
        subscription=collected,
        effects=(CollectCharge(reference=sub.charge.reference, attempt=collected.attempt),),
    )


def _overdue(sub: Subscription, now: datetime) -> Outcome:
    since = sub.missed_at or now
    if now >= since + GRACE:
        return end(sub, SubscriptionStatus.EXPIRED, now, "unpaid")
    if sub.charge is None:
        return renewal(sub)
    # One collection for however many were missed: they would all take the same money.
    passed = sum(since + delay <= now for delay in COLLECTIONS)
    collected = replace(sub, attempt=max(passed, sub.attempt + 1))
    return Outcome(
        subscription=collected,
        effects=(
            CollectCharge(reference=sub.charge.reference, attempt=collected.attempt),
            told(
                collected,
                NoticeKind.PAYMENT_REMINDER,
                f"reminder:{sub.charge.reference}:{collected.attempt}",
                until=(since + GRACE).isoformat(),
                amount_paise=sub.charge.amount_paise,
            ),
        ),
    )
