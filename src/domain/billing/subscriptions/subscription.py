"""A subscription and the charges it asks for, as values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.billing.months import months_after
from domain.billing.payments import Mandate
from domain.billing.plans import Plan
from domain.shared.errors import Conflict
from domain.shared.ids import SubscriptionId, UserId

PENDING_TIME = timedelta(hours=24)
"""How long a price that was named is kept: a first payment, an upgrade, going on."""

RENEWAL_LEAD = timedelta(days=3)
"""How long before a period's end the next one is asked for, and said so: the notice before a
mandate is debited must come 24 hours earlier at least (RBI circular DPSS.CO.PD.No.447,
21 August 2019, para 6)."""

COLLECTIONS = tuple(timedelta(days=days) for days in (-1, 1, 3, 5))
"""When a renewal is collected: from the period's end, and after it from when it was missed."""

GRACE = timedelta(days=7)
"""How long a plan that was paid before goes on unpaid, without further credits."""

PAUSE_LIMIT = timedelta(days=90)
"""How long a pause lasts at most."""


class SubscriptionStatus(StrEnum):
    """The states. The last two absorb. ``pending`` waits for its first payment."""

    PENDING = "pending"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TERMINAL = frozenset({SubscriptionStatus.CANCELLED, SubscriptionStatus.EXPIRED})


class AtEnd(StrEnum):
    """What is to happen at the end of the period."""

    RENEW = "renew"
    CANCEL = "cancel"
    PAUSE = "pause"


class ChargePurpose(StrEnum):
    """What a charge buys: the first period, the rest of one under a dearer plan, or the next."""

    START = "start"
    UPGRADE = "upgrade"
    RENEWAL = "renewal"


class ChargeStatus(StrEnum):
    """Open until it is paid, or void. What is paid for a void one is given back as credits."""

    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    GIVEN_BACK = "given_back"


class SubscriptionState(Conflict):
    """The subscription's present state forbids it; the message says what to do instead."""

    code = "subscription_state"


class AlreadySubscribed(Conflict):
    """A person has one subscription at a time."""

    code = "already_subscribed"


class TrialUsed(Conflict):
    """Everybody has one trial, of plans that offer one."""

    code = "trial_not_available"


class NoSubscription(Conflict):
    """The person has no subscription that could be changed."""

    code = "no_subscription"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What is asked for, at terms that stand: plan, seats, paise, credits, until when.

    ``credits_each`` are given to every seat that is there, ``credits_added_seat`` to those
    above ``seats_before``. ``reference`` names it to the payment's side.
    """

    reference: str
    purpose: ChargePurpose
    period: int
    plan: Plan
    seats: int
    seats_before: int
    amount_paise: int
    credits_each: int
    credits_added_seat: int
    expires_at: datetime | None
    status: ChargeStatus = ChargeStatus.OPEN
    refunded_paise: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One buyer's subscription. Periods are numbered from 0; -1 is before the first paid one.

    Period ``anchored`` begins at ``anchor``, the others whole months before or after it.
    ``next_plan`` and ``next_seats`` are agreed from the next period on; ``ahead`` is the
    charge that paid for it already. ``attempt`` counts collections of the open renewal, which
    is overdue since ``missed_at``; ``mandate`` is the buyer's leave to collect them.
    """

    id: SubscriptionId
    user_id: UserId
    status: SubscriptionStatus
    plan: Plan
    seats: int
    anchor: datetime
    anchored: int
    period: int
    period_start: datetime
    period_end: datetime
    created_at: datetime
    next_plan: Plan | None = None
    next_seats: int | None = None
    at_end: AtEnd = AtEnd.RENEW
    charge: Charge | None = None
    charges: int = 0
    ahead: str = ""
    attempt: int = 0
    missed_at: datetime | None = None
    paused_at: datetime | None = None
    ended_at: datetime | None = None
    trial: bool = False
    mandate: Mandate | None = None

    @property
    def ended(self) -> bool:
        """Whether it is over for good."""
        return self.status in TERMINAL

    @property
    def paid_ahead(self) -> bool:
        """Whether the next period is paid."""
        return bool(self.ahead)

    @property
    def entitled_until(self) -> datetime | None:
        """Until when seats have the plan's limits, if nothing happens; None: they have not.

        A paid plan that renews goes on into its grace without anybody's doing: paying
        people do not fall back to Free because our schedule is late.
        """
        match self.status:
            case SubscriptionStatus.TRIALING:
                return self.period_end
            case SubscriptionStatus.ACTIVE:
                return self.period_end + (GRACE if self.at_end is AtEnd.RENEW else timedelta())
            case SubscriptionStatus.PAST_DUE if self.period >= 0 and self.missed_at:
                return self.missed_at + GRACE
            case _:
                return None

    @property
    def following(self) -> tuple[Plan, int]:
        """Plan and seats of the next period."""
        return self.next_plan or self.plan, self.next_seats or self.seats

    @property
    def due_at(self) -> datetime | None:
        """When time changes something next; None: never."""
        return min(_coming(self), default=None)

    def starts(self, period: int) -> datetime:
        """When a period begins, if nothing moves the anchor."""
        return months_after(self.anchor, period - self.anchored)


def _coming(sub: Subscription) -> list[datetime]:
    """The moments at which :func:`_step` has something to do."""
    coming: list[datetime] = []
    charge = sub.charge
    if sub.ended:
        return coming
    if charge is not None and charge.expires_at is not None:
        coming.append(charge.expires_at)
    renewing = sub.at_end is AtEnd.RENEW and not sub.paid_ahead
    match sub.status:
        case SubscriptionStatus.TRIALING | SubscriptionStatus.ACTIVE:
            coming.append(sub.period_end)
            if renewing and charge is None:
                coming.append(sub.period_end - RENEWAL_LEAD)
            if renewing and charge is not None and sub.attempt < len(COLLECTIONS):
                collection = sub.period_end + COLLECTIONS[sub.attempt]
                if charge.purpose is ChargePurpose.RENEWAL and collection < sub.period_end:
                    coming.append(collection)
        case SubscriptionStatus.PAST_DUE if sub.missed_at is not None:
            coming.append(sub.missed_at + GRACE)
            if charge is None:
                coming.append(sub.missed_at)
            elif sub.attempt < len(COLLECTIONS):
                coming.append(sub.missed_at + COLLECTIONS[sub.attempt])
        case SubscriptionStatus.PAUSED if sub.paused_at is not None:
            coming.append(sub.paused_at + PAUSE_LIMIT)
        case _:
            pass
    return coming
