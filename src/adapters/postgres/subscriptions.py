"""Subscriptions, their charges, seats, and what people are told of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.constraints import violated
from adapters.postgres.plans import plans_by_id
from adapters.postgres.tables import (
    allotments,
    entitlements,
    notices,
    plans,
    project_retention,
    projects,
    seats,
    subscription_charges,
    subscriptions,
)
from application.ports.subscriptions import Allotment, Notice
from domain.billing.payments import Mandate
from domain.billing.plans import FREE, Plan
from domain.billing.seats import Seat, SeatTaken
from domain.billing.subscriptions.changes import AllotCredits, NoticeKind
from domain.billing.subscriptions.subscription import (
    TERMINAL,
    AlreadySubscribed,
    AtEnd,
    Charge,
    ChargePurpose,
    ChargeStatus,
    Subscription,
    SubscriptionStatus,
    TrialUsed,
)
from domain.identity.user import left_address
from domain.shared.ids import OrderId, ProjectId, SeatId, SubscriptionId, UserId

_ENDED = tuple(sorted(TERMINAL))


class PostgresSubscriptions:
    """The ``SubscriptionRepository`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = subscriptions.c.user_id == user_id

    async def current(self, *, lock: bool = False) -> Subscription | None:
        return await self._one(
            select(subscriptions).where(subscriptions.c.status.not_in(_ENDED)), lock
        )

    async def latest(self) -> Subscription | None:
        query = select(subscriptions).order_by(subscriptions.c.id.desc()).limit(1)
        return await self._one(query, False)

    async def get(
        self, subscription_id: SubscriptionId, *, lock: bool = False
    ) -> Subscription | None:
        return await self._one(
            select(subscriptions).where(subscriptions.c.id == subscription_id), lock
        )

    async def _one(self, query: Select[Any], lock: bool) -> Subscription | None:
        query = query.where(self._mine)
        rows = await self._connection.execute(query.with_for_update() if lock else query)
        row = rows.one_or_none()
        if row is None:
            return None
        # After the lock: what the charge says is as the row's last writer left it.
        asked = None
        if row.open_charge is not None:
            found = await self._connection.execute(
                select(subscription_charges).where(
                    subscription_charges.c.reference == row.open_charge
                )
            )
            asked = found.one()
        known = await plans_by_id(
            self._connection, [row.plan_id, row.next_plan_id, asked.plan_id if asked else None]
        )
        return _subscription(row, known, _charge(asked, known[asked.plan_id]) if asked else None)

    async def trial_used(self) -> bool:
        query = select(exists().where(self._mine, subscriptions.c.trial))
        return bool(await self._connection.scalar(query))

    async def add(self, subscription: Subscription) -> None:
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(subscriptions).values(
                        id=subscription.id,
                        user_id=subscription.user_id,
                        start_date=subscription.created_at,
                        trial=subscription.trial,
                        **_columns(subscription),
                    )
                )
        except IntegrityError as error:
            match violated(error):
                case "subscriptions_one_live":
                    raise AlreadySubscribed(
                        "You have a subscription. Change it, or cancel it first."
                    ) from error
                case "subscriptions_one_trial":
                    raise TrialUsed(
                        "You had your trial; there is one a person. Start the plan without one."
                    ) from error
            raise

    async def save(self, subscription: Subscription) -> None:
        await self._connection.execute(
            update(subscriptions)
            .where(self._mine, subscriptions.c.id == subscription.id)
            .values(**_columns(subscription))
        )

    async def add_charge(
        self, subscription_id: SubscriptionId, charge: Charge, order_id: OrderId
    ) -> None:
        await self._connection.execute(
            insert(subscription_charges).values(
                reference=charge.reference,
                subscription_id=subscription_id,
                user_id=self._user_id,
                order_id=order_id,
                purpose=charge.purpose,
                period=charge.period,
                plan_id=charge.plan.id,
                seats=charge.seats,
                seats_before=charge.seats_before,
                amount_paise=charge.amount_paise,
                credits_each=charge.credits_each,
                credits_added_seat=charge.credits_added_seat,
                expires_at=charge.expires_at,
                status=charge.status,
            )
        )

    async def charge_of(self, order_id: OrderId) -> tuple[SubscriptionId, Charge] | None:
        rows = await self._connection.execute(
            select(subscription_charges).where(
                subscription_charges.c.order_id == order_id,
                subscription_charges.c.user_id == self._user_id,
            )
        )
        row = rows.one_or_none()
        if row is None:
            return None
        known = await plans_by_id(self._connection, [row.plan_id])
        return SubscriptionId(row.subscription_id), _charge(row, known[row.plan_id])

    async def order_of(self, reference: str) -> OrderId | None:
        found: OrderId | None = await self._connection.scalar(
            select(subscription_charges.c.order_id).where(self._charged(reference))
        )
        return found

    async def close_charge(self, reference: str, status: ChargeStatus) -> None:
        await self._change(reference, status=status, collect_at=None)

    async def note_refund(self, reference: str, paise: int) -> None:
        refunded = subscription_charges.c.refunded_paise + paise
        await self._change(reference, refunded_paise=refunded)

    async def collect(self, reference: str, at: datetime | None) -> None:
        await self._change(reference, collect_at=at)

    async def _change(self, reference: str, **values: object) -> None:
        await self._connection.execute(
            update(subscription_charges).where(self._charged(reference)).values(**values)
        )

    def _charged(self, reference: str) -> ColumnElement[bool]:
        return and_(
            subscription_charges.c.reference == reference,
            subscription_charges.c.user_id == self._user_id,
        )

    async def allot(self, subscription_id: SubscriptionId, allotted: AllotCredits) -> None:
        rows = [
            {
                "key": f"{allotted.key}:{seat}",
                "subscription_id": subscription_id,
                "user_id": self._user_id,
                "reference": allotted.reference,
                "seat": seat,
                "credits": allotted.credits,
                "expires_at": allotted.expires_at,
            }
            for seat in range(allotted.first, allotted.last + 1)
        ]
        if rows:
            await self._connection.execute(upsert(allotments).on_conflict_do_nothing(), rows)

    async def take_own(
        self, subscription_id: SubscriptionId, seat: int, now: datetime
    ) -> Sequence[Allotment]:
        rows = await self._connection.execute(
            update(allotments)
            .where(
                allotments.c.user_id == self._user_id,
                allotments.c.subscription_id == subscription_id,
                allotments.c.seat == seat,
                allotments.c.granted_to.is_(None),
                allotments.c.expires_at > now,
                ~allotments.c.withheld,
            )
            .values(granted_to=self._user_id, granted_at=now)
            .returning(*allotments.c)
        )
        return [allotment_of(row) for row in rows]

    async def given(self, reference: str, to: UserId) -> Sequence[Allotment]:
        rows = await self._connection.execute(
            select(allotments)
            .where(
                allotments.c.user_id == self._user_id,
                allotments.c.reference == reference,
                allotments.c.granted_to == to,
            )
            .order_by(allotments.c.key)
        )
        return [allotment_of(row) for row in rows]

    async def withhold(self, reference: str) -> None:
        await self._connection.execute(
            update(allotments)
            .where(
                allotments.c.user_id == self._user_id,
                allotments.c.reference == reference,
                allotments.c.granted_to.is_(None),
            )
            .values(withheld=True)
        )


_SEATED = text("SELECT set_config('app.seat_email', :email, true)")


class PostgresSeats:
    """The ``SeatRepository`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = seats.c.user_id == user_id

    async def of(self, subscription_id: SubscriptionId) -> Sequence[Seat]:
        rows = await self._connection.execute(
            select(seats)
            .where(
                self._mine,
                seats.c.subscription_id == subscription_id,
                seats.c.withdrawn_at.is_(None),
            )
            .order_by(seats.c.number)
        )
        return [_seat(row) for row in rows]

    async def add(self, seat: Seat) -> None:
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(seats).values(
                        id=seat.id,
                        subscription_id=seat.subscription_id,
                        user_id=seat.user_id,
                        number=seat.number,
                        email=seat.email,
                        holder_id=seat.holder_id,
                        assigned_at=seat.assigned_at,
                        due_at=seat.assigned_at,
                    )
                )
        except IntegrityError as error:
            if violated(error) in ("seats_one_a_number", "seats_one_an_email"):
                raise SeatTaken(
                    f"{seat.email} has a seat already, or this seat was just given away. "
                    "Look at GET /api/v1/billing/seats."
                ) from error
            raise

    async def withdraw(self, seat_id: SeatId, at: datetime) -> None:
        await self._connection.execute(
            update(seats)
            .where(self._mine, seats.c.id == seat_id, seats.c.withdrawn_at.is_(None))
            .values(withdrawn_at=at, version=seats.c.version + 1, due_at=at)
        )

    async def leave(self, email: str, at: datetime) -> int:
        # The policy shows what the person was given, by whomever, in this transaction alone.
        await self._connection.execute(_SEATED, {"email": email})
        held = or_(seats.c.holder_id == self._user_id, seats.c.email == email)
        left = await self._connection.execute(
            update(seats)
            .where(held, seats.c.withdrawn_at.is_(None))
            .values(withdrawn_at=at, version=seats.c.version + 1, due_at=at)
            .returning(seats.c.id)
        )
        await self._connection.execute(
            update(seats).where(held).values(email=left_address(self._user_id))
        )
        return len(left.all())

    async def touch(self, subscription_id: SubscriptionId, at: datetime) -> None:
        await self._connection.execute(
            update(seats)
            .where(
                self._mine,
                seats.c.subscription_id == subscription_id,
                seats.c.withdrawn_at.is_(None),
            )
            .values(version=seats.c.version + 1, due_at=at)
        )


class PostgresNotices:
    """The ``NoticeRepository`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = notices.c.user_id == user_id

    async def add(self, notice: Notice) -> None:
        await self._connection.execute(
            upsert(notices)
            .values(
                id=notice.id,
                user_id=notice.user_id,
                key=notice.key,
                kind=notice.kind,
                data=dict(notice.data),
                subscription_id=notice.subscription_id,
                created_at=notice.created_at,
            )
            .on_conflict_do_nothing(constraint="notices_key_key")
        )

    async def forget(self) -> None:
        await self._connection.execute(
            delete(notices).where(self._mine, notices.c.subscription_id.is_(None))
        )

    async def of_subscription(
        self, subscription_id: SubscriptionId, *, limit: int, after: UUID | None
    ) -> Sequence[Notice]:
        query = select(notices).where(self._mine, notices.c.subscription_id == subscription_id)
        if after is not None:
            query = query.where(notices.c.id < after)
        rows = await self._connection.execute(query.order_by(notices.c.id.desc()).limit(limit))
        return [
            Notice(
                id=row.id,
                user_id=UserId(row.user_id),
                key=row.key,
                kind=NoticeKind(row.kind),
                data=row.data,
                created_at=row.created_at,
                subscription_id=subscription_id,
            )
            for row in rows
        ]


class PostgresRetention:
    """The ``RetentionRepository`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = project_retention.c.user_id == user_id

    async def noticed(self, project_id: ProjectId) -> datetime | None:
        found: datetime | None = await self._connection.scalar(
            select(project_retention.c.delete_after).where(
                self._mine, project_retention.c.project_id == project_id
            )
        )
        return found

    async def notice(self, project_id: ProjectId, delete_after: datetime) -> None:
        await self._connection.execute(
            upsert(project_retention)
            .values(project_id=project_id, user_id=self._user_id, delete_after=delete_after)
            .on_conflict_do_update(
                index_elements=["project_id"], set_={"delete_after": delete_after}
            )
        )

    async def forget(self, project_id: ProjectId) -> None:
        await self._connection.execute(
            delete(project_retention).where(
                self._mine, project_retention.c.project_id == project_id
            )
        )

    async def kept_until(self, project_id: ProjectId, now: datetime) -> datetime | None:
        touched: datetime | None = await self._connection.scalar(
            select(projects.c.updated_at).where(
                projects.c.id == project_id, projects.c.user_id == self._user_id
            )
        )
        if touched is None:
            return now
        free = await self._connection.scalar(
            select(plans.c.retention_days)
            .where(plans.c.code == FREE)
            .order_by(plans.c.version.desc())
            .limit(1)
        )
        had = await self._connection.execute(
            select(entitlements.c.ends_at, plans.c.retention_days)
            .join(plans, plans.c.id == entitlements.c.plan_id)
            .where(entitlements.c.user_id == self._user_id)
        )
        kept = touched
        for since, days in [(touched, free), *((row.ends_at, row.retention_days) for row in had)]:
            if days is None:
                return None
            kept = max(kept, since + timedelta(days=days))
        return kept


def allotment_of(row: Row[Any]) -> Allotment:
    """The allotment a row is of."""
    return Allotment(
        key=row.key,
        subscription_id=SubscriptionId(row.subscription_id),
        seat=row.seat,
        credits=row.credits,
        expires_at=row.expires_at,
        reference=row.reference,
        granted_to=None if row.granted_to is None else UserId(row.granted_to),
    )


def _columns(subscription: Subscription) -> dict[str, object]:
    """The columns that may change, ``due_at`` and ``entitled_until`` for schedules among them."""
    mandate, next_plan = subscription.mandate, subscription.next_plan
    return {
        "plan_id": subscription.plan.id,
        "seats": subscription.seats,
        "status": subscription.status,
        "anchor": subscription.anchor,
        "anchored": subscription.anchored,
        "period": subscription.period,
        "period_start": subscription.period_start,
        "period_end": subscription.period_end,
        "next_plan_id": next_plan.id if next_plan else None,
        "next_seats": subscription.next_seats,
        "at_end": subscription.at_end,
        "open_charge": subscription.charge.reference if subscription.charge else None,
        "charges": subscription.charges,
        "ahead": subscription.ahead,
        "attempt": subscription.attempt,
        "missed_at": subscription.missed_at,
        "paused_at": subscription.paused_at,
        "ended_at": subscription.ended_at,
        "mandate_customer": mandate.customer_id if mandate else "",
        "mandate_token": mandate.token_id if mandate else "",
        "entitled_until": subscription.entitled_until,
        "due_at": subscription.due_at,
    }


def _subscription(row: Row[Any], known: Any, charge: Charge | None) -> Subscription:
    return Subscription(
        id=SubscriptionId(row.id),
        user_id=UserId(row.user_id),
        status=SubscriptionStatus(row.status),
        plan=known[row.plan_id],
        seats=row.seats,
        anchor=row.anchor,
        anchored=row.anchored,
        period=row.period,
        period_start=row.period_start,
        period_end=row.period_end,
        created_at=row.start_date,
        next_plan=known[row.next_plan_id] if row.next_plan_id else None,
        next_seats=row.next_seats,
        at_end=AtEnd(row.at_end),
        charge=charge,
        charges=row.charges,
        ahead=row.ahead,
        attempt=row.attempt,
        missed_at=row.missed_at,
        paused_at=row.paused_at,
        ended_at=row.ended_at,
        trial=row.trial,
        mandate=(
            Mandate(customer_id=row.mandate_customer, token_id=row.mandate_token)
            if row.mandate_token
            else None
        ),
    )


def _charge(row: Row[Any], plan: Plan) -> Charge:
    return Charge(
        reference=row.reference,
        purpose=ChargePurpose(row.purpose),
        period=row.period,
        plan=plan,
        seats=row.seats,
        seats_before=row.seats_before,
        amount_paise=row.amount_paise,
        credits_each=row.credits_each,
        credits_added_seat=row.credits_added_seat,
        expires_at=row.expires_at,
        status=ChargeStatus(row.status),
        refunded_paise=row.refunded_paise,
    )


def _seat(row: Row[Any]) -> Seat:
    return Seat(
        id=SeatId(row.id),
        subscription_id=SubscriptionId(row.subscription_id),
        user_id=UserId(row.user_id),
        number=row.number,
        email=row.email,
        holder_id=None if row.holder_id is None else UserId(row.holder_id),
        assigned_at=row.assigned_at,
        withdrawn_at=row.withdrawn_at,
    )
