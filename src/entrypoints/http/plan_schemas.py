"""What goes over the wire about plans, subscriptions and seats."""

from datetime import datetime
from uuid import UUID

import msgspec

from application.ports.subscriptions import Notice, SubscriptionSummary
from application.subscriptions.manage_subscription import Overview, Preview
from domain.agents.artifacts import Mode
from domain.billing.plans import Plan
from domain.billing.seats import Seat
from domain.billing.subscriptions.subscription import Subscription
from domain.shared.money import rupees


class PlanView(msgspec.Struct):
    """A plan's version. Prices are in paise a month and seat, tax included."""

    id: UUID
    code: str
    version: int
    name: str
    description: str
    price_paise: int
    price: str
    credits: int
    concurrent_runs: int
    modes: list[str]
    exports: list[str]
    retention_days: int | None
    per_seat: bool
    min_seats: int
    max_seats: int
    trial_days: int
    trial_credits: int
    on_sale: bool
    created_at: datetime

    @classmethod
    def of(cls, plan: Plan) -> "PlanView":
        return cls(
            id=plan.id,
            code=plan.code,
            version=plan.version,
            name=plan.name,
            description=plan.description,
            price_paise=plan.price_paise,
            price=rupees(plan.price_paise),
            credits=plan.credits,
            concurrent_runs=plan.concurrent_runs,
            modes=sorted(mode.value for mode in plan.modes),
            exports=sorted(plan.exports),
            retention_days=plan.retention_days,
            per_seat=plan.per_seat,
            min_seats=plan.min_seats,
            max_seats=plan.max_seats,
            trial_days=plan.trial_days,
            trial_credits=plan.trial_credits,
            on_sale=plan.on_sale,
            created_at=plan.created_at,
        )


class PlanListView(msgspec.Struct):
    """What is sold, cheapest first."""

    items: list[PlanView]


class PlanPageView(msgspec.Struct):
    """A page of versions; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[PlanView]
    next_cursor: str | None


class PlanRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A plan as it is sold from now on: a new version of the one with that code, or a new one."""

    code: str
    name: str
    price_paise: int
    credits: int
    concurrent_runs: int
    modes: list[Mode]
    exports: list[str]
    description: str = ""
    retention_days: int | None = None
    per_seat: bool = False
    min_seats: int = 1
    max_seats: int = 1
    trial_days: int = 0
    trial_credits: int = 0
    on_sale: bool = True


class ChargeView(msgspec.Struct):
    """What waits for a payment: pay its order, under ``/api/v1/billing/orders/{order_id}``."""

    order_id: UUID | None
    purpose: str
    plan: str
    seats: int
    amount_paise: int
    amount: str
    expires_at: datetime | None


class SubscriptionView(msgspec.Struct):
    """A subscription. ``next_plan`` and ``next_seats`` hold from the next period on."""

    id: UUID
    status: str
    plan: PlanView
    seats: int
    period_start: datetime
    period_end: datetime
    at_period_end: str
    next_plan: str | None
    next_seats: int | None
    next_paid: bool
    trial: bool
    collected_by_mandate: bool
    entitled_until: datetime | None
    charge: ChargeView | None
    started_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, sub: Subscription, order_id: UUID | None) -> "SubscriptionView":
        charge = sub.charge
        return cls(
            id=sub.id,
            status=sub.status.value,
            plan=PlanView.of(sub.plan),
            seats=sub.seats,
            period_start=sub.period_start,
            period_end=sub.period_end,
            at_period_end=sub.at_end.value,
            next_plan=sub.next_plan.code if sub.next_plan else None,
            next_seats=sub.next_seats,
            next_paid=sub.paid_ahead,
            trial=sub.trial,
            collected_by_mandate=sub.mandate is not None,
            entitled_until=sub.entitled_until,
            charge=(
                ChargeView(
                    order_id=order_id,
                    purpose=charge.purpose.value,
                    plan=charge.plan.code,
                    seats=charge.seats,
                    amount_paise=charge.amount_paise,
                    amount=rupees(charge.amount_paise),
                    expires_at=charge.expires_at,
                )
                if charge
                else None
            ),
            started_at=sub.created_at,
            ended_at=sub.ended_at,
        )


class EntitlementView(msgspec.Struct):
    """The person's subscription, and the plan that holds now: theirs, a seat's, or Free."""

    plan: PlanView
    subscription: SubscriptionView | None

    @classmethod
    def of(cls, shown: Overview) -> "EntitlementView":
        sub = shown.subscription
        return cls(
            plan=PlanView.of(shown.plan),
            subscription=SubscriptionView.of(sub, shown.order_id) if sub else None,
        )


class StartRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A plan by its code. ``trial`` begins it without a payment, where the plan has one."""

    plan: str
    seats: int = 1
    trial: bool = False
    coupon: str = ""


class ChangeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted instead; what is left out stays."""

    plan: str | None = None
    seats: int | None = None


class PreviewView(msgspec.Struct):
    """What a change would come to.

    ``takes_effect`` is ``now``, once ``due_paise`` are paid, or ``period_end``, without a
    payment before then. ``unused_paise`` are of what was paid already.
    """

    plan: PlanView
    seats: int
    takes_effect: str
    at: str
    unused_paise: int
    charge_paise: int
    due_paise: int
    due: str
    credits_each: int
    credits_added_seat: int
    next_period_paise: int

    @classmethod
    def of(cls, shown: Preview) -> "PreviewView":
        due = shown.due_now
        return cls(
            plan=PlanView.of(shown.plan),
            seats=shown.seats,
            takes_effect="now" if due else "period_end",
            at=shown.at,
            unused_paise=due.unused_paise if due else 0,
            charge_paise=due.charge_paise if due else 0,
            due_paise=due.due_paise if due else 0,
            due=rupees(due.due_paise if due else 0),
            credits_each=due.credits_each if due else 0,
            credits_added_seat=due.credits_added_seat if due else 0,
            next_period_paise=shown.next_paise,
        )


class NoticeView(msgspec.Struct):
    """Something that happened to a subscription."""

    id: UUID
    kind: str
    data: dict[str, str | int]
    at: datetime

    @classmethod
    def of(cls, notice: Notice) -> "NoticeView":
        return cls(notice.id, notice.kind.value, dict(notice.data), notice.created_at)


class NoticePageView(msgspec.Struct):
    """A page of history; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[NoticeView]
    next_cursor: str | None


class SeatRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whom the lowest free seat is for."""

    email: str


class SeatView(msgspec.Struct):
    """A seat that was given. Whether its address has an account is for nobody else to know."""

    number: int
    email: str
    assigned_at: datetime

    @classmethod
    def of(cls, seat: Seat) -> "SeatView":
        return cls(seat.number, seat.email, seat.assigned_at)


class SeatListView(msgspec.Struct):
    """The seats of a subscription: how many are paid for, and who has them."""

    seats: int
    free: int
    items: list[SeatView]


class OverseenSubscriptionView(msgspec.Struct):
    """Anybody's subscription, as an operator sees it."""

    id: UUID
    user_id: UUID
    status: str
    plan: str
    plan_version: int
    seats: int
    period: int
    period_start: datetime
    period_end: datetime
    at_period_end: str
    started_at: datetime
    ended_at: datetime | None
    due_at: datetime | None

    @classmethod
    def of(cls, sub: SubscriptionSummary) -> "OverseenSubscriptionView":
        return cls(
            id=sub.id,
            user_id=sub.user_id,
            status=sub.status,
            plan=sub.plan,
            plan_version=sub.plan_version,
            seats=sub.seats,
            period=sub.period,
            period_start=sub.period_start,
            period_end=sub.period_end,
            at_period_end=sub.at_end,
            started_at=sub.started_at,
            ended_at=sub.ended_at,
            due_at=sub.due_at,
        )


class OverseenSubscriptionPageView(msgspec.Struct):
    """A page of everybody's; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[OverseenSubscriptionView]
    next_cursor: str | None


class SubscriptionEvidenceView(msgspec.Struct):
    """Anybody's subscription and its history's end, for an operator."""

    subscription: OverseenSubscriptionView
    history: list[NoticeView]
