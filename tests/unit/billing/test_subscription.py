"""What becomes of a subscription, told case by case."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.billing.days import INDIA
from domain.billing.plans import Plan, PlanNotOnSale
from domain.billing.subscriptions.changes import (
    AllotCredits,
    CancelWanted,
    ChangeWanted,
    ChargePaid,
    ChargeRefunded,
    ClawBackSeat,
    CloseCharge,
    CollectCharge,
    Event,
    GiveBack,
    GiveBackAhead,
    Outcome,
    PauseWanted,
    ResumeWanted,
    TimePassed,
)
from domain.billing.subscriptions.lifecycle import begin, begin_trial, decide
from domain.billing.subscriptions.subscription import (
    COLLECTIONS,
    GRACE,
    PAUSE_LIMIT,
    PENDING_TIME,
    RENEWAL_LEAD,
    AtEnd,
    ChargePurpose,
    ChargeStatus,
    Subscription,
    SubscriptionState,
    SubscriptionStatus,
    TrialUsed,
)
from domain.billing.subscriptions.wishes import preview
from domain.billing.top_ups import worth
from domain.shared.errors import InvalidValue
from domain.shared.ids import SubscriptionId, UserId
from tests.contracts.plan_samples import make_plan, make_student, make_team
from tests.contracts.samples import new_id

START = datetime(2026, 1, 31, 9, 0, tzinfo=INDIA)
PRO, STUDENT, TEAM = make_plan(), make_student(), make_team()
IDS = SubscriptionId(new_id()), UserId(new_id())


def pay(sub: Subscription, now: datetime) -> Outcome:
    assert sub.charge is not None
    return decide(sub, ChargePaid(sub.charge), now)


def active(plan: Plan = PRO, seats: int = 1) -> Subscription:
    return pay(begin(*IDS, plan, seats, START).subscription, START).subscription


def allots(outcome: Outcome) -> list[tuple[int, int, int]]:
    return [
        (effect.first, effect.last, effect.credits)
        for effect in outcome.effects
        if isinstance(effect, AllotCredits)
    ]


def after(sub: Subscription, days: float, event: Event | None = None) -> Outcome:
    return decide(sub, event or TimePassed(), START + timedelta(days=days))


def test_it_begins_with_its_first_payment_and_gives_nothing_before() -> None:
    waiting = begin(*IDS, PRO, 1, START)
    assert waiting.subscription.status is SubscriptionStatus.PENDING
    assert not allots(waiting)
    assert waiting.subscription.entitled_until is None
    begun = pay(waiting.subscription, START + timedelta(hours=1))
    assert begun.subscription.status is SubscriptionStatus.ACTIVE
    assert begun.subscription.period_start == START + timedelta(hours=1)
    assert allots(begun) == [(1, 1, PRO.credits)]


def test_what_is_not_paid_within_a_day_expires_and_late_money_becomes_credits() -> None:
    waiting = begin(*IDS, PRO, 1, START).subscription
    late = pay(waiting, START + PENDING_TIME)
    assert late.subscription.status is SubscriptionStatus.EXPIRED
    assert [e.credits for e in late.effects if isinstance(e, GiveBack)] == [worth(PRO.price_paise)]
    assert not allots(late)


def test_it_renews_month_by_month_on_its_day() -> None:
    sub, days = active(), []
    for _ in range(4):
        asked = decide(sub, TimePassed(), sub.period_end - RENEWAL_LEAD)
        ahead = pay(asked.subscription, sub.period_end - timedelta(days=2))
        assert not allots(ahead)
        rolled = decide(ahead.subscription, TimePassed(), sub.period_end)
        assert allots(rolled) == [(1, 1, PRO.credits)]
        sub = rolled.subscription
        days.append(sub.period_start.astimezone(INDIA).day)
    assert days == [28, 31, 30, 31]


def test_unpaid_it_is_collected_by_its_schedule_then_expires_without_credits() -> None:
    sub, collected, given = active(), [], []
    end = sub.period_end
    moment = end - RENEWAL_LEAD
    while not sub.ended:
        outcome = decide(sub, TimePassed(), moment)
        collected += [moment - end for e in outcome.effects if isinstance(e, CollectCharge)]
        given += allots(outcome)
        sub = outcome.subscription
        moment += timedelta(hours=6)
    assert tuple(collected) == COLLECTIONS
    assert given == []
    assert sub.status is SubscriptionStatus.EXPIRED
    assert sub.ended_at == end + GRACE


def test_paid_in_its_grace_it_goes_on_from_where_it_ended() -> None:
    sub = active()
    overdue = decide(sub, TimePassed(), sub.period_end).subscription
    assert overdue.status is SubscriptionStatus.PAST_DUE
    assert overdue.entitled_until == sub.period_end + GRACE
    paid = pay(overdue, sub.period_end + timedelta(days=4))
    assert paid.subscription.period_start == sub.period_end
    assert allots(paid) == [(1, 1, PRO.credits)]


def test_an_outage_of_ours_takes_no_day_of_grace_and_collects_once() -> None:
    sub = active()
    seen = sub.period_end + timedelta(days=40)
    outcome = decide(sub, TimePassed(), seen)
    assert outcome.subscription.status is SubscriptionStatus.PAST_DUE
    assert outcome.subscription.entitled_until == seen + GRACE
    paid = pay(outcome.subscription, seen + timedelta(hours=1)).subscription
    assert paid.period_start == seen + timedelta(hours=1)


def test_a_trial_gives_its_own_credits_once_a_person_and_ends_without_grace() -> None:
    trial = begin_trial(*IDS, PRO, START, used=False)
    assert allots(trial) == [(1, 1, PRO.trial_credits)]
    ended = after(trial.subscription, PRO.trial_days).subscription
    assert ended.status is SubscriptionStatus.PAST_DUE
    assert ended.entitled_until is None
    with pytest.raises(TrialUsed):
        begin_trial(*IDS, PRO, START, used=True)
    with pytest.raises(TrialUsed):
        begin_trial(*IDS, TEAM, START, used=False)


def test_a_trial_paid_before_its_end_goes_over_into_the_first_period() -> None:
    trial = begin_trial(*IDS, PRO, START, used=False).subscription
    asked = after(trial, 5).subscription
    ahead = pay(asked, START + timedelta(days=6)).subscription
    assert ahead.status is SubscriptionStatus.TRIALING
    begun = after(ahead, 8)
    assert begun.subscription.period_start == trial.period_end
    assert allots(begun) == [(1, 1, PRO.credits)]


def test_an_upgrade_is_prorated_and_counts_from_its_payment() -> None:
    sub = active(STUDENT)
    half = sub.period_start + (sub.period_end - sub.period_start) / 2
    parts = preview(sub, PRO, 1, half)
    assert parts is not None
    assert abs(parts.due_paise - (PRO.price_paise - STUDENT.price_paise) / 2) <= 1
    asked = decide(sub, ChangeWanted(PRO, 1), half).subscription
    assert asked.plan == STUDENT
    assert asked.charge is not None and asked.charge.purpose is ChargePurpose.UPGRADE
    paid = pay(asked, half + timedelta(hours=1))
    assert paid.subscription.plan == PRO
    assert paid.subscription.period_end == sub.period_end
    assert allots(paid) == [(1, 1, (PRO.credits - STUDENT.credits) // 2)]


def test_more_seats_are_credited_in_full_proportion_and_old_ones_not_again() -> None:
    sub = active(TEAM, 2)
    half = sub.period_start + (sub.period_end - sub.period_start) / 2
    paid = pay(decide(sub, ChangeWanted(TEAM, 5), half).subscription, half)
    assert paid.subscription.seats == 5
    assert allots(paid) == [(3, 5, TEAM.credits // 2)]


def test_an_upgrade_that_is_not_paid_changes_nothing() -> None:
    sub = active(STUDENT)
    asked = after(sub, 3, ChangeWanted(PRO, 1)).subscription
    assert asked.charge is not None
    later = after(asked, 5)
    assert later.subscription.charge is None
    assert later.subscription.plan == STUDENT
    late = after(later.subscription, 6, ChargePaid(asked.charge))
    assert [e.credits for e in late.effects if isinstance(e, GiveBack)] == [
        worth(asked.charge.amount_paise)
    ]


def test_an_upgrade_that_is_not_paid_is_taken_back_by_wanting_what_there_is() -> None:
    asked = after(active(STUDENT), 3, ChangeWanted(PRO, 1)).subscription
    assert asked.charge is not None
    back = after(asked, 3.5, ChangeWanted(STUDENT, 1))
    assert back.subscription == replace(asked, charge=None)
    closed = [effect for effect in back.effects if isinstance(effect, CloseCharge)]
    assert [(each.reference, each.status) for each in closed] == [
        (asked.charge.reference, ChargeStatus.VOID)
    ]
    with pytest.raises(SubscriptionState, match="already"):
        after(back.subscription, 5, ChangeWanted(STUDENT, 1))


def test_a_downgrade_waits_for_the_end_of_the_period() -> None:
    sub = after(active(), 3, ChangeWanted(STUDENT, 1)).subscription
    assert sub.plan == PRO
    asked = decide(sub, TimePassed(), sub.period_end - timedelta(days=2)).subscription
    assert asked.charge is not None and asked.charge.amount_paise == STUDENT.price_paise
    paid = pay(asked, sub.period_end - timedelta(days=1)).subscription
    rolled = decide(paid, TimePassed(), sub.period_end)
    assert rolled.subscription.plan == STUDENT
    assert allots(rolled) == [(1, 1, STUDENT.credits)]


def test_a_wish_to_end_is_kept_until_the_period_is_over_and_can_be_taken_back() -> None:
    sub = after(active(), 3, CancelWanted()).subscription
    assert sub.status is SubscriptionStatus.ACTIVE
    assert sub.at_end is AtEnd.CANCEL
    assert sub.entitled_until == sub.period_end
    back = after(sub, 4, ResumeWanted()).subscription
    assert back.at_end is AtEnd.RENEW
    ended = decide(sub, TimePassed(), sub.period_end).subscription
    assert ended.status is SubscriptionStatus.CANCELLED
    assert ended.entitled_until is None


def test_a_pause_begins_with_the_next_period_and_ends_with_a_payment() -> None:
    sub = after(active(), 3, PauseWanted()).subscription
    resting = decide(sub, TimePassed(), sub.period_end).subscription
    assert resting.status is SubscriptionStatus.PAUSED
    again = sub.period_end + timedelta(days=20)
    asked = decide(resting, ResumeWanted(), again).subscription
    assert asked.status is SubscriptionStatus.PAUSED
    going = pay(asked, again + timedelta(hours=1))
    assert going.subscription.status is SubscriptionStatus.ACTIVE
    assert going.subscription.period_start == again + timedelta(hours=1)
    assert allots(going) == [(1, 1, PRO.credits)]
    over = decide(resting, TimePassed(), sub.period_end + PAUSE_LIMIT).subscription
    assert over.status is SubscriptionStatus.EXPIRED


def test_a_full_refund_ends_it_and_a_part_takes_its_part() -> None:
    waiting = begin(*IDS, PRO, 1, START).subscription
    assert waiting.charge is not None
    sub = pay(waiting, START).subscription
    part = after(sub, 2, ChargeRefunded(waiting.charge, "rfnd_1", 50_000))
    assert part.subscription == sub
    claw = next(e for e in part.effects if isinstance(e, ClawBackSeat))
    assert (claw.before, claw.total, claw.whole) == (0, 50_000, PRO.price_paise)
    whole = after(sub, 2, ChargeRefunded(waiting.charge, "rfnd_2", PRO.price_paise))
    assert whole.subscription.status is SubscriptionStatus.CANCELLED
    assert whole.subscription.entitled_until is None


def test_whichever_is_refunded_first_an_upgrade_gives_back_what_it_gave() -> None:
    waiting = begin(*IDS, STUDENT, 1, START).subscription
    assert waiting.charge is not None
    sub = pay(waiting, START).subscription
    asked = after(sub, 1, ChangeWanted(PRO, 1)).subscription
    assert asked.charge is not None
    upgraded = pay(asked, START + timedelta(days=2)).subscription
    start = ChargeRefunded(waiting.charge, "rfnd_1", STUDENT.price_paise)
    ended = after(upgraded, 3, start).subscription
    assert ended.status is SubscriptionStatus.CANCELLED
    paise = asked.charge.amount_paise
    second = after(ended, 4, ChargeRefunded(asked.charge, "rfnd_2", paise))
    assert second.subscription == ended
    claws = [effect for effect in second.effects if isinstance(effect, ClawBackSeat)]
    assert [(claw.reference, claw.total) for claw in claws] == [(asked.charge.reference, paise)]
    lapsed = decide(ended, ChargeRefunded(asked.charge, "rfnd_3", paise), ended.period_end)
    assert not [effect for effect in lapsed.effects if isinstance(effect, ClawBackSeat)]


def test_what_was_paid_for_a_period_that_a_refund_forestalls_is_given_back() -> None:
    waiting = begin(*IDS, PRO, 1, START).subscription
    assert waiting.charge is not None
    sub = pay(waiting, START).subscription
    asked = decide(sub, TimePassed(), sub.period_end - timedelta(days=2)).subscription
    assert asked.charge is not None
    ahead = pay(asked, sub.period_end - timedelta(days=2)).subscription
    refunded = ChargeRefunded(waiting.charge, "rfnd_1", PRO.price_paise)
    ended = decide(ahead, refunded, sub.period_end - timedelta(days=1))
    assert ended.subscription.status is SubscriptionStatus.CANCELLED
    given = [effect.reference for effect in ended.effects if isinstance(effect, GiveBackAhead)]
    assert given == [asked.charge.reference]


def test_nothing_is_changed_that_is_paid_ahead() -> None:
    sub = active()
    asked = decide(sub, TimePassed(), sub.period_end - timedelta(days=2)).subscription
    ahead = pay(asked, sub.period_end - timedelta(days=2)).subscription
    now = sub.period_end - timedelta(days=1)
    for event in (ChangeWanted(STUDENT, 1), CancelWanted(), PauseWanted()):
        with pytest.raises(SubscriptionState, match="paid already"):
            decide(ahead, event, now)


def test_only_what_is_sold_is_bought_in_seats_that_fit() -> None:
    with pytest.raises(PlanNotOnSale):
        begin(*IDS, make_plan(on_sale=False), 1, START)
    with pytest.raises(InvalidValue, match="exactly one seat"):
        begin(*IDS, PRO, 2, START)
    with pytest.raises(InvalidValue, match="1 to 100 seats"):
        begin(*IDS, TEAM, 101, START)


def test_a_version_not_sold_any_more_is_kept_by_who_bought_it() -> None:
    sub = active(TEAM, 2)
    gone = make_team(id=TEAM.id, on_sale=False)
    assert preview(sub, gone, 3, START + timedelta(days=1)) is not None
