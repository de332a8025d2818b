"""The moves a subscription is made of: asking, rolling, ending."""

from dataclasses import replace
from datetime import datetime

from domain.billing.months import months_after
from domain.billing.plans import Plan
from domain.billing.subscriptions.changes import (
    AllotCredits,
    CloseCharge,
    GiveBackAhead,
    NoticeKind,
    OpenCharge,
    Outcome,
    Tell,
)
from domain.billing.subscriptions.subscription import (
    Charge,
    ChargePurpose,
    ChargeStatus,
    Subscription,
    SubscriptionStatus,
)
from domain.shared.ids import SubscriptionId, UserId


def ask(
    sub: Subscription, purpose: ChargePurpose, plan: Plan, seats: int, until: datetime | None
) -> Outcome:
    """Open a charge of a whole period."""
    return opened(
        sub,
        Charge(
            reference=f"{sub.id}:{sub.charges + 1}",
            purpose=purpose,
            period=sub.period + 1,
            plan=plan,
            seats=seats,
            seats_before=0,
            amount_paise=plan.paise(seats),
            credits_each=plan.credits,
            credits_added_seat=plan.credits,
            expires_at=until,
        ),
    )


def opened(sub: Subscription, charge: Charge) -> Outcome:
    """Ask for money: one charge is open at a time."""
    return Outcome(
        subscription=replace(sub, charge=charge, charges=sub.charges + 1, attempt=_begun(sub)),
        effects=(OpenCharge(charge=charge),),
    )


def _begun(sub: Subscription) -> int:
    """Collections made before: one asked for after the period's end begins after it."""
    return 1 if sub.status is SubscriptionStatus.PAST_DUE else 0


def void(sub: Subscription) -> Outcome:
    """Give up the open charge, if there is one."""
    if sub.charge is None:
        return Outcome(subscription=sub)
    return Outcome(
        subscription=replace(sub, charge=None),
        effects=(CloseCharge(reference=sub.charge.reference, status=ChargeStatus.VOID),),
    )


def roll(sub: Subscription, reference: str, now: datetime, *, anew: bool = False) -> Outcome:
    """Begin the next period, paid by a charge, where the last ended.

    ``anew``, or when it would be over already, it begins now and its day is the new anchor.
    """
    plan, seats = sub.following
    period, anchor, anchored = sub.period + 1, sub.anchor, sub.anchored
    start = sub.starts(period)
    if anew or sub.starts(period + 1) <= now:
        start, anchor, anchored = now, now, period
    rolled = replace(
        sub,
        status=SubscriptionStatus.ACTIVE,
        plan=plan,
        seats=seats,
        next_plan=None,
        next_seats=None,
        anchor=anchor,
        anchored=anchored,
        period=period,
        period_start=start,
        period_end=months_after(anchor, period + 1 - anchored),
        charge=None,
        ahead="",
        attempt=0,
        missed_at=None,
        paused_at=None,
    )
    kind = NoticeKind.RENEWED if period else NoticeKind.STARTED
    return Outcome(
        subscription=rolled,
        effects=(
            allotted(rolled, reference, 1, seats, plan.credits),
            told(
                rolled,
                kind,
                f"period:{period}",
                plan=plan.code,
                seats=seats,
                until=rolled.period_end.isoformat(),
            ),
        ),
    )


def allotted(
    sub: Subscription, reference: str, first: int, last: int, credits: int
) -> AllotCredits:
    """Credits of the present period for some seats."""
    return AllotCredits(
        key=f"plan:{reference}",
        first=first,
        last=last,
        credits=credits,
        expires_at=sub.period_end,
        reference=reference,
    )


def end(sub: Subscription, status: SubscriptionStatus, at: datetime, why: str) -> Outcome:
    """End it for good. A next period that is paid already is not begun, and given back."""
    dropped = void(sub)
    ahead = (GiveBackAhead(key=f"late:{sub.ahead}", reference=sub.ahead),) if sub.ahead else ()
    ended = replace(
        dropped.subscription,
        status=status,
        ended_at=at,
        ahead="",
        next_plan=None,
        next_seats=None,
    )
    return Outcome(
        subscription=ended,
        effects=(*dropped.effects, *ahead, told(ended, NoticeKind.ENDED, "ended", reason=why)),
    )


def renewal(sub: Subscription) -> Outcome:
    """Ask for the next period."""
    plan, seats = sub.following
    asked = ask(sub, ChargePurpose.RENEWAL, plan, seats, None)
    return replace(
        asked,
        effects=(
            *asked.effects,
            told(
                sub,
                NoticeKind.RENEWAL_DUE,
                f"renewal:{asked.subscription.charges}",
                amount_paise=plan.paise(seats),
                at=sub.period_end.isoformat(),
            ),
        ),
    )


def told(sub: Subscription, kind: NoticeKind, key: str, **data: str | int) -> Tell:
    """Something the buyer is told."""
    return Tell(key=f"subscription:{sub.id}:{key}", kind=kind, data=tuple(sorted(data.items())))


def fresh(
    id_: SubscriptionId,
    user_id: UserId,
    plan: Plan,
    seats: int,
    now: datetime,
    end: datetime,
) -> Subscription:
    """A subscription before its first period."""
    return Subscription(
        id=id_,
        user_id=user_id,
        status=SubscriptionStatus.PENDING,
        plan=plan,
        seats=seats,
        anchor=end,
        anchored=0,
        period=-1,
        period_start=now,
        period_end=end,
        created_at=now,
    )
