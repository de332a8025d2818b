"""What is kept of plans, subscriptions, seats, and what people may do because of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.billing.plans import Plan
from domain.billing.seats import Seat
from domain.billing.subscriptions.changes import AllotCredits, NoticeKind
from domain.billing.subscriptions.subscription import (
    Charge,
    ChargeStatus,
    Subscription,
    SubscriptionStatus,
)
from domain.shared.ids import (
    OrderId,
    PlanId,
    ProjectId,
    SeatId,
    SubscriptionId,
    UserId,
)


class PlanRepository(Protocol):
    """Every version of every plan. Readable by everybody, and never changed."""

    async def offered(self) -> Sequence[Plan]:
        """The newest version of each plan that is on sale, cheapest first."""
        ...

    async def current(self, code: str) -> Plan | None:
        """The newest version of a plan, on sale or not."""
        ...

    async def get(self, plan_id: PlanId) -> Plan | None:
        """That version, or None."""
        ...

    async def versions(self, *, limit: int, after: UUID | None, code: str) -> Sequence[Plan]:
        """Versions, newest first, of one plan if ``code`` names one."""
        ...

    async def add(self, plan: Plan, *, by: UserId) -> None:
        """Keep a new version.

        Raises:
            PlanChanged: the plan has a version of that number already.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """Credits a seat is given once, by ``key``. ``granted_to`` is whose they became."""

    key: str
    subscription_id: SubscriptionId
    seat: int
    credits: int
    expires_at: datetime
    reference: str
    granted_to: UserId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something a person is told, once by its key. Sending it is somebody else's work."""

    id: UUID
    user_id: UserId
    key: str
    kind: NoticeKind
    data: Mapping[str, str | int]
    created_at: datetime
    subscription_id: SubscriptionId | None = None


class SubscriptionRepository(Protocol):
    """The buyer's subscriptions with their charges and what their seats are given."""

    async def current(self, *, lock: bool = False) -> Subscription | None:
        """The one that has not ended, or None. ``lock`` makes other writers wait."""
        ...

    async def latest(self) -> Subscription | None:
        """The one begun last, ended or not."""
        ...

    async def get(
        self, subscription_id: SubscriptionId, *, lock: bool = False
    ) -> Subscription | None:
        """That one, or None."""
        ...

    async def trial_used(self) -> bool:
        """Whether the person ever had a trial."""
        ...

    async def add(self, subscription: Subscription) -> None:
        """Keep a new one.

        Raises:
            AlreadySubscribed: there is one that has not ended.
            TrialUsed: it is a trial, and there was one.
        """
        ...

    async def save(self, subscription: Subscription) -> None:
        """Write back a changed one, and when time changes it next."""
        ...

    async def add_charge(
        self, subscription_id: SubscriptionId, charge: Charge, order_id: OrderId
    ) -> None:
        """Keep what is asked for, and the order that asks."""
        ...

    async def charge_of(self, order_id: OrderId) -> tuple[SubscriptionId, Charge] | None:
        """The charge an order asks for, and its subscription; None: it is of something else."""
        ...

    async def order_of(self, reference: str) -> OrderId | None:
        """The order that asks for a charge."""
        ...

    async def close_charge(self, reference: str, status: ChargeStatus) -> None:
        """Write what became of a charge."""
        ...

    async def note_refund(self, reference: str, paise: int) -> None:
        """Count what was given back of a charge."""
        ...

    async def collect(self, reference: str, at: datetime | None) -> None:
        """When a charge is to be taken by the mandate; None: not any more."""
        ...

    async def allot(self, subscription_id: SubscriptionId, allotted: AllotCredits) -> None:
        """Keep what seats are to be given. What has its key already stays as it is."""
        ...

    async def take_own(
        self, subscription_id: SubscriptionId, seat: int, now: datetime
    ) -> Sequence[Allotment]:
        """Mark what a seat of the buyer's own has not been given, and lasts, as given to them."""
        ...

    async def given(self, reference: str, to: UserId) -> Sequence[Allotment]:
        """What a charge has given to a person."""
        ...

    async def withhold(self, reference: str) -> None:
        """Give nobody what a charge has not given yet."""
        ...


class SeatRepository(Protocol):
    """The seats of the buyer's subscriptions."""

    async def of(self, subscription_id: SubscriptionId) -> Sequence[Seat]:
        """Those given to somebody now, by number."""
        ...

    async def add(self, seat: Seat) -> None:
        """Keep a seat that was given; its holder is told of it soon.

        Raises:
            SeatTaken: its number or its email has one already.
        """
        ...

    async def withdraw(self, seat_id: SeatId, at: datetime) -> None:
        """Take it back; the plan's limits end for its holder soon."""
        ...

    async def leave(self, email: str, at: datetime) -> int:
        """Give back every seat that the transaction's person, or that address, was given by
        anybody, and forget the address in all of them. How many are free by that."""
        ...

    async def touch(self, subscription_id: SubscriptionId, at: datetime) -> None:
        """Have every seat, given or withdrawn, brought up to its subscription."""
        ...


class EntitlementRepository(Protocol):
    """What the person may do because of their own subscription, or of a seat."""

    async def effective(self, now: datetime) -> Plan:
        """The dearest plan that lasts, or Free in its newest version.

        Raises:
            LookupError: there is no Free plan, which the first migration makes.
        """
        ...

    async def paid_until(self, now: datetime) -> datetime | None:
        """Until when a plan that is not Free lasts; None: none does."""
        ...

    async def put(
        self, subscription_id: SubscriptionId, plan_id: PlanId, until: datetime, now: datetime
    ) -> None:
        """Have a plan until a moment, in place of what the subscription gave before."""
        ...

    async def end(self, subscription_id: SubscriptionId, now: datetime) -> None:
        """Have nothing of a subscription any more, from now on."""
        ...

    async def open_free(self, anchor: datetime) -> None:
        """Begin the months of Free; the first grant is a month after ``anchor``."""
        ...

    async def free_month(self) -> tuple[datetime, int] | None:
        """Anchor and number of the next month of Free that is to be granted, locked."""
        ...

    async def next_free_month(self, month: int, due_at: datetime) -> None:
        """Note which month of Free comes next, and when."""
        ...


class NoticeRepository(Protocol):
    """What the person is told."""

    async def add(self, notice: Notice) -> None:
        """Keep it, once by its key."""
        ...

    async def forget(self) -> None:
        """Delete those that are not of a subscription: titles of projects are in them."""
        ...

    async def of_subscription(
        self, subscription_id: SubscriptionId, *, limit: int, after: UUID | None
    ) -> Sequence[Notice]:
        """A subscription's history, newest first."""
        ...


class RetentionRepository(Protocol):
    """Which of the person's projects are to be deleted, and since when they know."""

    async def noticed(self, project_id: ProjectId) -> datetime | None:
        """When it will be deleted, if its owner was told."""
        ...

    async def notice(self, project_id: ProjectId, delete_after: datetime) -> None:
        """Note that its owner is told."""
        ...

    async def forget(self, project_id: ProjectId) -> None:
        """It will not be deleted after all."""
        ...

    async def kept_until(self, project_id: ProjectId, now: datetime) -> datetime | None:
        """Until when it is kept: by Free from its last touch, or by a plan of its owner's.

        None: for good. While a plan lasts that was paid for, it is never before its end.
        """
        ...


# --- past the tenants' walls --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSubscription:
    """A subscription that time changes."""

    id: SubscriptionId
    user_id: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCollection:
    """A charge to be taken by its buyer's mandate."""

    reference: str
    user_id: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSeat:
    """A seat to be brought up to its subscription, ``version`` of it.

    ``until`` is how long its holder has the plan; None: not any more.
    """

    id: SeatId
    version: int
    subscription_id: SubscriptionId
    number: int
    email: str
    holder_id: UserId | None
    withdrawn: bool
    plan_id: PlanId
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueProject:
    """A project whose retention may be over."""

    id: ProjectId
    user_id: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSummary:
    """A subscription as an operator sees it."""

    id: SubscriptionId
    user_id: UserId
    status: str
    plan: str
    plan_version: int
    seats: int
    period: int
    period_start: datetime
    period_end: datetime
    at_end: str
    started_at: datetime
    ended_at: datetime | None
    due_at: datetime | None


class SubscriptionSchedule(Protocol):
    """What is due over all people, at a moment of the house's clock. Each call is a commit.

    What was taken comes due again after the delay, unless its work says otherwise; each row
    goes to one of many takers.
    """

    async def due_subscriptions(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueSubscription]:
        """Subscriptions that time changes."""
        ...

    async def due_collections(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueCollection]:
        """Charges to be taken by a mandate."""
        ...

    async def due_seats(self, now: datetime, limit: int, defer_seconds: float) -> Sequence[DueSeat]:
        """Seats that changed."""
        ...

    async def bind(self, seat: DueSeat, holder_id: UserId) -> None:
        """Note whose a seat is, now that its email has an account."""
        ...

    async def claim_allotments(self, seat: DueSeat, now: datetime) -> Sequence[Allotment]:
        """What the seat's holder is to be given and was not: theirs from now on.

        A seat that was withdrawn is given what had become its holder's, and nothing more.
        """
        ...

    async def seat_done(
        self, seat: DueSeat, given: Sequence[Allotment], *, again_at: datetime | None
    ) -> None:
        """Note what was given, and that the seat is up to date as it was when it was taken."""
        ...

    async def due_free_months(
        self, now: datetime, limit: int, defer_seconds: float
    ) -> Sequence[UserId]:
        """People whose next month of Free begins."""
        ...

    async def old_projects(
        self, now: datetime, touched_before: datetime, limit: int, defer_seconds: float
    ) -> Sequence[DueProject]:
        """Projects untouched since then, or told to be deleted by now, of whom nothing lasts."""
        ...

    async def page(
        self,
        status: SubscriptionStatus | None,
        *,
        limit: int,
        after: UUID | None,
        user_id: UserId | None = None,
    ) -> Sequence[SubscriptionSummary]:
        """Everybody's subscriptions, or one person's, newest first: for operators."""
        ...

    async def find(self, subscription_id: SubscriptionId) -> SubscriptionSummary | None:
        """Anybody's subscription: for operators."""
        ...
