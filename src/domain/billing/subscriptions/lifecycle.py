"""A subscription's life, as one state machine without a clock or a database.

Every change is :func:`decide`: what has come due by ``now`` happens first, then the event,
then what that made due. The result is the subscription after it and the effects to be had in
the same commit. An effect has a key wherever having it twice would matter.

Credits are given for paid periods and for the trial alone. ``cancelled`` and ``expired``
absorb: the one thing that still happens there is that money which comes too late is given
back as credits.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.billing.plans import Plan
from domain.billing.subscriptions import payments, wishes
from domain.billing.subscriptions.changes import (
    AllotCredits,
    CancelWanted,
    ChangeWanted,
    ChargeFailed,
    ChargePaid,
    ChargeRefunded,
    Effect,
    Event,
    NoticeKind,
    Outcome,
    PauseWanted,
    ResumeWanted,
    TimePassed,
)
from domain.billing.subscriptions.subscription import (
    PENDING_TIME,
    ChargePurpose,
    Subscription,
    SubscriptionStatus,
    TrialUsed,
)
from domain.billing.subscriptions.time import pass_time
from domain.billing.subscriptions.transitions import ask, fresh, told
from domain.shared.ids import SubscriptionId, UserId


def begin(id_: SubscriptionId, user_id: UserId, plan: Plan, seats: int, now: datetime) -> Outcome:
    """A subscription that waits for its first payment.

    Raises:
        PlanNotOnSale: the plan is not sold.
        InvalidValue: it is not sold with so many seats.
    """
    plan.check_sold()
    plan.check_seats(seats)
    waiting = fresh(id_, user_id, plan, seats, now, now)
    return pass_time(ask(waiting, ChargePurpose.START, plan, seats, now + PENDING_TIME), now)


def begin_trial(
    id_: SubscriptionId, user_id: UserId, plan: Plan, now: datetime, *, used: bool
) -> Outcome:
    """A subscription in its trial, of one seat. ``used``: the person had theirs.

    Raises:
        PlanNotOnSale: the plan is not sold.
        TrialUsed: the plan has no trial, or the person had theirs.
    """
    plan.check_sold()
    if not plan.trial_days:
        raise TrialUsed(f"The plan {plan.name} has no trial. Start it without one.")
    if used:
        raise TrialUsed("You had your trial; there is one a person. Start the plan without one.")
    plan.check_seats(1)
    end = now + timedelta(days=plan.trial_days)
    trial = replace(
        fresh(id_, user_id, plan, 1, now, end), status=SubscriptionStatus.TRIALING, trial=True
    )
    effects: list[Effect] = [
        told(trial, NoticeKind.TRIAL_STARTED, "trial", until=end.isoformat(), plan=plan.code)
    ]
    if plan.trial_credits:
        effects.append(
            AllotCredits(
                key=f"plan:{trial.id}:trial",
                first=1,
                last=1,
                credits=plan.trial_credits,
                expires_at=end,
                reference=f"{trial.id}:trial",
            )
        )
    return pass_time(Outcome(subscription=trial, effects=tuple(effects)), now)


def decide(subscription: Subscription, event: Event, now: datetime) -> Outcome:
    """What becomes of a subscription.

    Raises:
        SubscriptionState: a buyer's wish does not fit the state; the message says what does.
        PlanNotOnSale: the plan wanted is not sold.
        InvalidValue: it is not sold with so many seats.
    """
    before = pass_time(Outcome(subscription=subscription), now)
    after = _react(before.subscription, event, now)
    return pass_time(
        Outcome(subscription=after.subscription, effects=before.effects + after.effects), now
    )


def _react(sub: Subscription, event: Event, now: datetime) -> Outcome:
    match event:
        case TimePassed():
            return Outcome(subscription=sub)
        case ChargePaid(charge):
            return payments.paid(sub, charge, now)
        case ChargeFailed(charge, key):
            return payments.failed(sub, charge, key)
        case ChargeRefunded():
            return payments.refunded(sub, event, now)
        case ChangeWanted(plan, seats):
            return wishes.changed(sub, plan, seats, now)
        case CancelWanted():
            return wishes.cancelled(sub, now)
        case PauseWanted():
            return wishes.paused(sub)
        case ResumeWanted():
            return wishes.resumed(sub, now)
