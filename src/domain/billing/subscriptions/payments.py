"""What becomes of a subscription when its charges are paid, fail, or are given back."""

from dataclasses import replace
from datetime import datetime

from domain.billing.subscriptions.changes import (
    ChargeRefunded,
    ClawBackGiven,
    ClawBackSeat,
    CloseCharge,
    Effect,
    GiveBack,
    NoticeKind,
    Outcome,
)
from domain.billing.subscriptions.subscription import (
    AtEnd,
    Charge,
    ChargePurpose,
    ChargeStatus,
    Subscription,
    SubscriptionStatus,
)
from domain.billing.subscriptions.transitions import allotted, end, roll, told
from domain.billing.top_ups import worth


def paid(sub: Subscription, charge: Charge, now: datetime) -> Outcome:
    """Begin what was bought, or agree on it; money for what is over becomes credits."""
    if charge.status in (ChargeStatus.PAID, ChargeStatus.GIVEN_BACK):
        return Outcome(subscription=sub)
    if sub.charge is None or sub.charge.reference != charge.reference:
        return _too_late(sub, charge)
    settled = CloseCharge(reference=charge.reference, status=ChargeStatus.PAID)
    if charge.purpose is ChargePurpose.UPGRADE:
        then = _upgraded(sub, sub.charge)
    elif sub.status in (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE):
        # Plan and seats are those that were paid for, whatever is wished from now on.
        then = Outcome(
            subscription=replace(
                sub,
                charge=None,
                ahead=charge.reference,
                next_plan=charge.plan,
                next_seats=charge.seats,
            )
        )
    else:
        bought = replace(sub, next_plan=charge.plan, next_seats=charge.seats)
        # A period that went on in grace begins where the last ended; what had stopped, or
        # never begun, begins now.
        went_on = sub.status is SubscriptionStatus.PAST_DUE and sub.period >= 0
        then = roll(bought, charge.reference, now, anew=not went_on)
    return replace(then, effects=(settled, *then.effects))


def _too_late(sub: Subscription, charge: Charge) -> Outcome:
    return Outcome(
        subscription=sub,
        effects=(
            CloseCharge(reference=charge.reference, status=ChargeStatus.GIVEN_BACK),
            GiveBack(
                key=f"late:{charge.reference}",
                reference=charge.reference,
                credits=worth(charge.amount_paise),
            ),
            told(
                sub,
                NoticeKind.PAID_TOO_LATE,
                f"late:{charge.reference}",
                amount_paise=charge.amount_paise,
            ),
        ),
    )


def _upgraded(sub: Subscription, charge: Charge) -> Outcome:
    upgraded = replace(
        sub,
        plan=charge.plan,
        seats=charge.seats,
        next_plan=None,
        next_seats=None,
        charge=None,
    )
    effects: list[Effect] = []
    kept = min(charge.seats_before, charge.seats)
    if charge.credits_each:
        effects.append(allotted(upgraded, charge.reference, 1, kept, charge.credits_each))
    if charge.seats > kept and charge.credits_added_seat:
        effects.append(
            allotted(upgraded, charge.reference, kept + 1, charge.seats, charge.credits_added_seat)
        )
    effects.append(
        told(
            upgraded,
            NoticeKind.CHANGED,
            charge.reference,
            plan=charge.plan.code,
            seats=charge.seats,
        )
    )
    return Outcome(subscription=upgraded, effects=tuple(effects))


def failed(sub: Subscription, charge: Charge, key: str) -> Outcome:
    """A failure changes no state, whenever it comes: time does, when nothing was paid."""
    if sub.charge is None or sub.charge.reference != charge.reference:
        return Outcome(subscription=sub)
    return Outcome(
        subscription=sub,
        effects=(
            told(
                sub,
                NoticeKind.PAYMENT_FAILED,
                f"failed:{key}",
                amount_paise=charge.amount_paise,
            ),
        ),
    )


def refunded(sub: Subscription, event: ChargeRefunded, now: datetime) -> Outcome:
    """Credits go back in proportion while their period lasts; a full refund ends it.

    What a period that is over had given has lapsed with it: nothing is left to take. What
    another refund has ended before its time has not: its credits last, and can be spent yet. A
    part refunded before its period began leaves the period as it was bought.
    """
    charge = event.charge
    before = min(charge.refunded_paise, charge.amount_paise)
    total = min(before + event.paise, charge.amount_paise)
    said = told(sub, NoticeKind.REFUNDED, f"refund:{event.key}", amount_paise=event.paise)
    if charge.status is ChargeStatus.GIVEN_BACK:
        taken = ClawBackGiven(
            key=event.key, reference=charge.reference, credits=worth(total) - worth(before)
        )
        return Outcome(subscription=sub, effects=(taken, said))
    ahead = charge.reference == sub.ahead
    present = charge.period == sub.period and now < sub.period_end
    effects: list[Effect] = []
    if present:
        effects.append(
            ClawBackSeat(
                key=event.key,
                reference=charge.reference,
                whole=charge.amount_paise,
                before=before,
                total=total,
            )
        )
    effects.append(said)
    if total < charge.amount_paise:
        return Outcome(subscription=sub, effects=tuple(effects))
    if ahead:
        sub = replace(sub, ahead="", at_end=AtEnd.CANCEL, next_plan=None, next_seats=None)
    elif present and not sub.ended and charge.purpose is not ChargePurpose.UPGRADE:
        ended = end(sub, SubscriptionStatus.CANCELLED, now, "refunded")
        return replace(ended, effects=(*effects, *ended.effects))
    return Outcome(subscription=sub, effects=tuple(effects))
