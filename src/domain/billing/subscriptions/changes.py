"""What happens to a subscription, and what has to be done about it in the same commit."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.billing.plans import Plan
from domain.billing.subscriptions.subscription import Charge, ChargeStatus, Subscription


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing but the clock."""


@dataclass(frozen=True, slots=True)
class ChangeWanted:
    """The buyer wants another plan or number of seats."""

    plan: Plan
    seats: int


@dataclass(frozen=True, slots=True)
class CancelWanted:
    """The buyer wants it to end with what is paid."""


@dataclass(frozen=True, slots=True)
class PauseWanted:
    """The buyer wants it to rest from the period's end on."""


@dataclass(frozen=True, slots=True)
class ResumeWanted:
    """The buyer wants it to go on after all, or again."""


@dataclass(frozen=True, slots=True)
class ChargePaid:
    """A payment of a charge was captured. ``charge`` is as it is stored now."""

    charge: Charge


@dataclass(frozen=True, slots=True)
class ChargeFailed:
    """A payment of a charge failed. ``key`` names the attempt."""

    charge: Charge
    key: str


@dataclass(frozen=True, slots=True)
class ChargeRefunded:
    """``paise`` of a paid charge went back. ``key`` names the refund."""

    charge: Charge
    key: str
    paise: int


Event = (
    TimePassed
    | ChangeWanted
    | CancelWanted
    | PauseWanted
    | ResumeWanted
    | ChargePaid
    | ChargeFailed
    | ChargeRefunded
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllotCredits:
    """Credits for the seats ``first`` to ``last``, each once by ``key``, until ``expires_at``."""

    key: str
    first: int
    last: int
    credits: int
    expires_at: datetime
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCharge:
    """Ask for money: an order is opened for it."""

    charge: Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseCharge:
    """A charge was paid, or is void."""

    reference: str
    status: ChargeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectCharge:
    """Take the money by the buyer's mandate, if there is one."""

    reference: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack:
    """Money came for what cannot be had any more: it becomes credits at the price of a top-up."""

    key: str
    reference: str
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBackAhead:
    """What was paid for a period that will not begin becomes credits, at the same price."""

    key: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClawBackSeat:
    """Take back credits that a refunded charge gave to the buyer's own seats.

    ``total`` of ``whole`` paise are refunded by now, ``before`` were before this refund.
    """

    key: str
    reference: str
    whole: int
    before: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClawBackGiven:
    """Take back credits that stood for money which came too late, and went back after all."""

    key: str
    reference: str
    credits: int


class NoticeKind(StrEnum):
    """What a buyer, or the holder of projects, is told."""

    TRIAL_STARTED = "subscription.trial_started"
    STARTED = "subscription.started"
    RENEWAL_DUE = "subscription.renewal_due"
    RENEWED = "subscription.renewed"
    PAYMENT_FAILED = "subscription.payment_failed"
    PAST_DUE = "subscription.past_due"
    PAYMENT_REMINDER = "subscription.payment_reminder"
    CHANGED = "subscription.changed"
    CHANGE_SCHEDULED = "subscription.change_scheduled"
    CANCEL_SCHEDULED = "subscription.cancel_scheduled"
    PAUSE_SCHEDULED = "subscription.pause_scheduled"
    RESUMED = "subscription.resumed"
    PAUSED = "subscription.paused"
    ENDED = "subscription.ended"
    PAID_TOO_LATE = "subscription.paid_too_late"
    REFUNDED = "subscription.refunded"
    SEATS_WITHDRAWN = "seats.withdrawn"
    SEAT_GIVEN = "seats.given"
    RETENTION = "projects.retention"
    DELETED = "projects.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell the buyer, once by ``key``; also an entry of the subscription's history."""

    key: str
    kind: NoticeKind
    data: tuple[tuple[str, str | int], ...] = ()


Effect = (
    AllotCredits
    | OpenCharge
    | CloseCharge
    | CollectCharge
    | GiveBack
    | GiveBackAhead
    | ClawBackSeat
    | ClawBackGiven
    | Tell
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The subscription after an event, and what is to be done in the same commit."""

    subscription: Subscription
    effects: tuple[Effect, ...] = ()
