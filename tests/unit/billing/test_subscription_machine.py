"""A subscription under any order of events: nothing is given twice, or unpaid, or after its end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from domain.billing.plans import Plan
from domain.billing.subscriptions.changes import (
    AllotCredits,
    CancelWanted,
    ChangeWanted,
    ChargeFailed,
    ChargePaid,
    ChargeRefunded,
    ClawBackSeat,
    CloseCharge,
    Effect,
    Event,
    GiveBack,
    GiveBackAhead,
    OpenCharge,
    Outcome,
    PauseWanted,
    ResumeWanted,
    TimePassed,
)
from domain.billing.subscriptions.lifecycle import begin, begin_trial, decide
from domain.billing.subscriptions.subscription import (
    Charge,
    ChargeStatus,
    Subscription,
    SubscriptionState,
    SubscriptionStatus,
)
from domain.billing.top_ups import worth
from domain.shared.ids import SubscriptionId, UserId
from tests.contracts.plan_samples import make_plan, make_student, make_team
from tests.contracts.samples import new_id

PLANS = (make_student(), make_plan(), make_team())
STEPS = st.one_of(
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)),
    st.sampled_from([timedelta(days=days) for days in (7, 28, 30, 31, 45, 120)]),
)


class Life(RuleBasedStateMachine):
    """What the stored charges and the effects say, beside the machine."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 1, 31, 18, 45, tzinfo=UTC)
        self.sub: Subscription | None = None
        self.charges: dict[str, Charge] = {}
        self.allots: list[AllotCredits] = []
        self.backs: list[GiveBack] = []
        self.keys: set[str] = set()
        self.paid: set[str] = set()
        self.trials = 0

    @initialize(plan=st.sampled_from(PLANS), trial=st.booleans())
    def begun(self, plan: Plan, trial: bool) -> None:
        ids = SubscriptionId(new_id()), UserId(new_id())
        if trial and plan.trial_days:
            self.trials = 1
            self._take(begin_trial(*ids, plan, self.now, used=False))
        else:
            self._take(begin(*ids, plan, 1, self.now))

    @rule(step=STEPS)
    def time_passes(self, step: timedelta) -> None:
        self.now += step
        self._happens(TimePassed())

    @rule(step=STEPS)
    def time_passes_unseen(self, step: timedelta) -> None:
        """The dispatcher was away."""
        self.now += step

    @precondition(lambda self: self.charges)
    @rule(data=st.data())
    def a_charge_is_paid(self, data: st.DataObject) -> None:
        """Any charge at any time, again and again: the webhooks' order is nobody's."""
        charge = self.charges[data.draw(st.sampled_from(sorted(self.charges)))]
        self.paid.add(charge.reference)
        self._happens(ChargePaid(charge))

    @precondition(lambda self: self.charges)
    @rule(data=st.data(), key=st.integers(0, 10**6))
    def a_payment_fails(self, data: st.DataObject, key: int) -> None:
        charge = self.charges[data.draw(st.sampled_from(sorted(self.charges)))]
        self._happens(ChargeFailed(charge, str(key)))

    @rule(data=st.data(), share=st.floats(0.01, 1), key=st.integers(0, 10**9))
    def a_charge_is_refunded(self, data: st.DataObject, share: float, key: int) -> None:
        paid = sorted(ref for ref in self.paid if self._left(ref))
        if not paid:
            return
        charge = self.charges[data.draw(st.sampled_from(paid))]
        paise = max(1, int(self._left(charge.reference) * share))
        self._happens(ChargeRefunded(charge, f"refund:{key}", paise))
        self.charges[charge.reference] = replace(
            self.charges[charge.reference], refunded_paise=charge.refunded_paise + paise
        )

    @rule(plan=st.sampled_from(PLANS), seats=st.integers(1, 4))
    def a_change_is_wanted(self, plan: Plan, seats: int) -> None:
        self._wanted(ChangeWanted(plan, seats if plan.per_seat else 1))

    @rule(event=st.sampled_from([CancelWanted(), PauseWanted(), ResumeWanted()]))
    def something_is_wanted(self, event: Event) -> None:
        self._wanted(event)

    @precondition(lambda self: self.sub is not None and self.sub.ended)
    @rule(event=st.sampled_from([CancelWanted(), PauseWanted(), ResumeWanted(), TimePassed()]))
    def an_end_is_an_end(self, event: Event) -> None:
        before = self.sub
        self._wanted(event)
        assert self.sub == before

    @invariant()
    def nothing_was_given_twice_or_unpaid(self) -> None:
        given = [allot for allot in self.allots if not allot.key.endswith(":trial")]
        assert {allot.reference for allot in given} <= self.paid
        assert len(self.allots) - len(given) <= self.trials

    @invariant()
    def all_money_bought_something_once(self) -> None:
        """Each paid charge gave credits, is kept for the next period, or went back as credits."""
        if self.sub is None:
            return
        back = {give.reference for give in self.backs}
        gave = {allot.reference for allot in self.allots}
        assert not back & gave
        for reference in self.paid:
            charge = self.charges[reference]
            gone_before = reference not in gave and charge.refunded_paise >= charge.amount_paise
            nothing_more = charge.credits_each == 0 and charge.seats <= charge.seats_before
            assert (
                reference in back | gave
                or self.sub.ahead == reference
                or gone_before
                or nothing_more
            )
        assert all(
            give.credits == worth(self.charges[give.reference].amount_paise) for give in self.backs
        )

    @invariant()
    def one_charge_is_open_at_most_and_it_is_the_stored_one(self) -> None:
        if self.sub is None:
            return
        open_ = [c.reference for c in self.charges.values() if c.status is ChargeStatus.OPEN]
        assert open_ == ([self.sub.charge.reference] if self.sub.charge else [])

    @invariant()
    def periods_are_whole_and_ordered(self) -> None:
        if self.sub is None or self.sub.period < 0:
            return
        length = self.sub.period_end - self.sub.period_start
        assert timedelta(days=28) <= length <= timedelta(days=31)

    def _left(self, reference: str) -> int:
        charge = self.charges[reference]
        return charge.amount_paise - charge.refunded_paise

    def _wanted(self, event: Event) -> None:
        try:
            self._happens(event)
        except SubscriptionState:
            self._happens(TimePassed())

    def _happens(self, event: Event) -> None:
        assert self.sub is not None
        ended = self.sub.ended
        before = self.sub
        outcome = decide(self.sub, event, self.now)
        self._take(outcome)
        if ended:
            assert self.sub == before
            assert not [e for e in outcome.effects if isinstance(e, AllotCredits | OpenCharge)]
        if self.sub.status is SubscriptionStatus.PAST_DUE:
            assert self.sub.missed_at is not None

    def _take(self, outcome: Outcome) -> None:
        self.sub = outcome.subscription
        assert self.sub.due_at is None or self.sub.due_at > self.now
        for effect in outcome.effects:
            self._note(effect)

    def _note(self, effect: Effect) -> None:
        match effect:
            case OpenCharge(charge=charge):
                assert charge.reference not in self.charges
                assert charge.amount_paise > 0
                self.charges[charge.reference] = charge
            case CloseCharge(reference=reference, status=status):
                charge = self.charges[reference]
                assert charge.status in (ChargeStatus.OPEN, ChargeStatus.VOID)
                self.charges[reference] = replace(charge, status=status)
            case AllotCredits():
                for seat in range(effect.first, effect.last + 1):
                    key = f"{effect.key}:{seat}"
                    assert key not in self.keys
                    self.keys.add(key)
                assert effect.expires_at > self.now
                self.allots.append(effect)
            case GiveBack():
                assert effect.key not in self.keys
                self.keys.add(effect.key)
                self.backs.append(effect)
            case GiveBackAhead(reference=reference):
                charge = self.charges[reference]
                assert charge.status is ChargeStatus.PAID
                self.charges[reference] = replace(charge, status=ChargeStatus.GIVEN_BACK)
                back = GiveBack(
                    key=effect.key, reference=reference, credits=worth(charge.amount_paise)
                )
                self._note(back)
            case ClawBackSeat():
                assert 0 <= effect.before < effect.total <= effect.whole
            case _:
                pass


TestLife = Life.TestCase
