"""The rows, the one lock on them, and what one open transaction may see and write.

Transactions run one after another: a block holds the database's lock from its begin to
its commit. PostgreSQL lets blocks overlap until they meet at a row, but no block waits
for anything slow (a model call, another transaction), so a use case cannot tell, except
by breaking that rule: then the fake says so where PostgreSQL would hang.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from application.ports.audit import NOBODY, AuditEntry
from application.ports.clock import Clock
from application.ports.idempotency import StoredReply
from application.ports.mail import DueMail
from application.ports.model_calls import ModelCall
from application.ports.payment_gateway import GatewayDispute
from application.ports.persistence import DatabaseUnavailable
from application.ports.prices import PriceRow, RateRow
from application.ports.subscriptions import Allotment, Notice
from application.ports.usage import UsageLine
from domain.billing.adjustment import Adjustment
from domain.billing.coupons import Coupon
from domain.billing.invoice import CreditNote, Invoice
from domain.billing.ledger import AccountKind, Balance, JournalEntry, Lot
from domain.billing.orders import Order
from domain.billing.parties import BillingProfile
from domain.billing.payments import Payment, Refund
from domain.billing.plans import Plan
from domain.billing.seats import Seat
from domain.billing.serials import DocumentKind, FinancialYear, Turn
from domain.billing.subscriptions.subscription import Charge, Subscription
from domain.identity.linked_identity import LinkedIdentity, ProviderName
from domain.identity.mail import Link
from domain.identity.second_factor import Challenge, TotpFactor
from domain.identity.session import Session as SignIn
from domain.identity.user import User
from domain.keys.api_key import ApiKey
from domain.keys.usage_log import LoggedRequest
from domain.projects.agent_task import AgentTask
from domain.projects.document import Document
from domain.projects.project import Project
from domain.projects.run import Run
from domain.shared.events import RunEvent
from domain.shared.idempotency import IdempotencyKey
from domain.shared.ids import (
    AdjustmentId,
    ApiKeyId,
    CouponId,
    DocumentId,
    ModelCallId,
    OrderId,
    PlanId,
    ProjectId,
    RunId,
    SeatId,
    SessionId,
    SubscriptionId,
    TransactionId,
    UserId,
    WebhookEndpointId,
    WebhookEventId,
)
from domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from domain.webhooks.endpoint import WebhookEndpoint
from domain.webhooks.event import WebhookEvent
from tests.fakes.prices import FIRST_RATE, PUBLISHED

E = TypeVar("E", bound=Exception)

DeliveryKey = tuple[WebhookEndpointId, WebhookEventId]

LOCK_SECONDS = 5.0
"""Real seconds a transaction waits for its turn; past that, some block is held open."""


class TransactionRefused(Exception):
    """What PostgreSQL answers with an error of its own, and no use case handles.

    A foreign tenant's row, a missing parent, a number twice, a transaction used after an
    error or after its end.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run with what only the database knows of it."""

    run: Run
    due_at: datetime
    not_before: datetime
    lease_until: datetime | None = None
    stalls: int = 0

    def claimable(self, now: datetime) -> bool:
        """Whether a worker may take the run at ``now``."""
        free = self.lease_until is None or self.lease_until <= now
        return self.run.live and self.not_before <= now and free


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """An idempotency key, and the reply once there is one."""

    request_hash: str
    token: UUID
    lease_until: datetime
    expires_at: datetime
    reply: StoredReply | None = None

    def free(self, now: datetime) -> bool:
        """Whether another request may take the key at ``now``."""
        return self.expires_at <= now or (self.reply is None and self.lease_until <= now)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order with what only the database knows of it."""

    order: Order
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRow:
    """A refund with what only the database knows of it."""

    refund: Refund
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """A subscription, and when a dispatcher is to look at it."""

    subscription: Subscription
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRow:
    """A charge with the order that asks for it."""

    charge: Charge
    subscription_id: SubscriptionId
    user_id: UserId
    order_id: OrderId
    collect_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatRow:
    """A seat, and when a dispatcher is to look at it."""

    seat: Seat
    due_at: datetime | None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AllotmentRow:
    """An allotment with whose subscription it is of, and what became of it."""

    allotment: Allotment
    user_id: UserId
    granted_at: datetime | None = None
    withheld: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What somebody has because of a subscription."""

    plan_id: PlanId
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeMonths:
    """Which month of Free is granted next, and when."""

    anchor: datetime
    month: int
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """A webhook endpoint, and when the dispatcher may name it again."""

    endpoint: WebhookEndpoint
    announce_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A webhook event with what only the database knows of it."""

    event: WebhookEvent
    user_id: UserId
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A delivery with what only the database knows of it."""

    delivery: Delivery
    user_id: UserId
    due_at: datetime
    fence: int = 0
    lease_until: datetime | None = None

    @property
    def pending(self) -> bool:
        """Whether an attempt is still to be made."""
        return self.delivery.state is DeliveryState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeRow:
    """A sign-in that waits for its second factor, and what became of it."""

    challenge: Challenge
    attempts: int = 0
    used: bool = False

    def live(self, now: datetime) -> bool:
        """Whether it can still be met at ``now``."""
        return not self.used and self.challenge.expires_at > now


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRow:
    """A refresh token's digest, and what became of it."""

    digest: str
    session_id: SessionId
    user_id: UserId
    generation: int
    used_at: datetime | None = None
    salt: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRow:
    """A mail that is due, or what came of it."""

    mail: DueMail
    due_at: datetime
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A link, and when it was used."""

    link: Link
    used_at: datetime | None = None

    def good(self, now: datetime) -> bool:
        """Whether it could be used."""
        return self.used_at is None and self.link.expires_at > now


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRow:
    """That somebody's objects are to be deleted."""

    asked_at: datetime
    due_at: datetime
    attempts: int = 0


@dataclass(kw_only=True)
class Tables:
    """Every row, by its key. Rows are values: a change puts another in their place."""

    users: dict[UserId, User] = field(default_factory=dict)
    mails: dict[UUID, MailRow] = field(default_factory=dict)
    links: dict[str, LinkRow] = field(default_factory=dict)
    sessions: dict[SessionId, SignIn] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshRow] = field(default_factory=dict)
    projects: dict[ProjectId, Project] = field(default_factory=dict)
    runs: dict[RunId, RunRow] = field(default_factory=dict)
    events: dict[tuple[RunId, int], RunEvent] = field(default_factory=dict)
    tasks: dict[tuple[RunId, str], AgentTask] = field(default_factory=dict)
    documents: dict[DocumentId, Document] = field(default_factory=dict)
    calls: dict[ModelCallId, ModelCall] = field(default_factory=dict)
    balances: dict[UserId, Balance] = field(default_factory=dict)
    house: dict[AccountKind, int] = field(default_factory=dict)
    entries: dict[str, JournalEntry] = field(default_factory=dict)
    booked_at: dict[str, datetime] = field(default_factory=dict)
    lots: dict[tuple[UserId, int], Lot] = field(default_factory=dict)
    holds: dict[tuple[UserId, RunId, str, int], int] = field(default_factory=dict)
    keys: dict[tuple[UserId, IdempotencyKey], KeyRow] = field(default_factory=dict)
    profiles: dict[UserId, BillingProfile] = field(default_factory=dict)
    series: dict[tuple[DocumentKind, FinancialYear], Turn] = field(default_factory=dict)
    issued: dict[UUID, Invoice | CreditNote] = field(default_factory=dict)
    orders: dict[OrderId, OrderRow] = field(default_factory=dict)
    payments: dict[TransactionId, Payment] = field(default_factory=dict)
    refunds: dict[TransactionId, RefundRow] = field(default_factory=dict)
    disputes: dict[str, GatewayDispute] = field(default_factory=dict)
    coupons: dict[CouponId, Coupon] = field(default_factory=dict)
    redemptions: dict[tuple[CouponId, UserId], OrderId] = field(default_factory=dict)
    prices: dict[UUID, PriceRow] = field(default_factory=lambda: _seeded_prices())
    rates: dict[UUID, RateRow] = field(default_factory=lambda: _seeded_rates())
    usage: dict[tuple[UserId, RunId, str], UsageLine] = field(default_factory=dict)
    plans: dict[PlanId, Plan] = field(default_factory=dict)
    subscriptions: dict[SubscriptionId, SubscriptionRow] = field(default_factory=dict)
    charges: dict[str, ChargeRow] = field(default_factory=dict)
    seats: dict[SeatId, SeatRow] = field(default_factory=dict)
    allotments: dict[str, AllotmentRow] = field(default_factory=dict)
    entitlements: dict[tuple[UserId, SubscriptionId], Entitlement] = field(default_factory=dict)
    free_months: dict[UserId, FreeMonths] = field(default_factory=dict)
    notices: dict[tuple[UserId, str], Notice] = field(default_factory=dict)
    retention: dict[tuple[UserId, ProjectId], datetime] = field(default_factory=dict)
    retention_looks: dict[ProjectId, datetime] = field(default_factory=dict)
    api_keys: dict[ApiKeyId, ApiKey] = field(default_factory=dict)
    requests: dict[UUID, LoggedRequest] = field(default_factory=dict)
    webhook_endpoints: dict[WebhookEndpointId, EndpointRow] = field(default_factory=dict)
    webhook_events: dict[WebhookEventId, EventRow] = field(default_factory=dict)
    webhook_deliveries: dict[DeliveryKey, DeliveryRow] = field(default_factory=dict)
    webhook_attempts: dict[tuple[DeliveryKey, int], Attempt] = field(default_factory=dict)
    adjustments: dict[AdjustmentId, Adjustment] = field(default_factory=dict)
    linked_identities: dict[tuple[ProviderName, str], LinkedIdentity] = field(default_factory=dict)
    totp_factors: dict[UserId, TotpFactor] = field(default_factory=dict)
    recovery_codes: dict[tuple[UserId, str], bool] = field(default_factory=dict)
    challenges: dict[str, ChallengeRow] = field(default_factory=dict)
    erasures: dict[UserId, ErasureRow] = field(default_factory=dict)
    audit: dict[int, AuditEntry] = field(default_factory=dict)

    def copy(self) -> "Tables":
        """The same rows, to be changed without touching these.

        A table is copied when it is first asked for: of dozens, most transactions use a few.
        """
        copied = object.__new__(Tables)
        vars(copied)["_copied_from"] = self
        return copied

    def __getattr__(self, name: str) -> Any:
        copied_from = vars(self).get("_copied_from")
        if copied_from is None or name not in vars(copied_from):
            raise AttributeError(name)
        table = vars(self)[name] = dict(getattr(copied_from, name))
        return table

    def whole(self) -> "Tables":
        """These rows for good, with the tables that were never asked for as they were."""
        copied_from = vars(self).pop("_copied_from")
        vars(self).update({**vars(copied_from), **vars(self)})
        return self


class Session:
    """One open transaction: its own copy of the rows, and the person it belongs to.

    ``now`` stands still for its whole length, as ``now()`` does in PostgreSQL.
    """

    def __init__(self, tables: Tables, tenant: UserId | None, now: datetime) -> None:
        self._tables = tables
        self._tenant = tenant
        self._refusal: Exception | None = None
        self._over = False
        self._checks: list[Callable[[], None]] = []
        self.now = now

    @property
    def tables(self) -> Tables:
        """The rows as this transaction has them.

        Raises:
            TransactionRefused: it has ended, or an error before has aborted it.
        """
        if self._over:
            raise TransactionRefused("the transaction has ended")
        if self._refusal is not None:
            raise TransactionRefused("an error has aborted the transaction") from self._refusal
        return self._tables

    @property
    def tenant(self) -> UserId:
        """Whose transaction this is.

        Raises:
            TransactionRefused: it is nobody's, and nobody may use the users only.
        """
        if self._tenant is None:
            raise self.refused(TransactionRefused("a transaction of nobody may use users only"))
        return self._tenant

    @property
    def owner(self) -> UserId:
        """Whose transaction this is, or the one who stands for nobody."""
        return NOBODY if self._tenant is None else self._tenant

    @contextmanager
    def speaking_for(self, user_id: UserId) -> Iterator[None]:
        """Be somebody else's for a while."""
        before, self._tenant = self._tenant, user_id
        yield
        self._tenant = before

    def require_own(self, user_id: UserId) -> None:
        """Hold a row about to be written to the person whose transaction this is.

        Raises:
            TransactionRefused: it names another person.
        """
        if user_id != self.tenant:
            raise self.refused(TransactionRefused("the row belongs to another person"))

    def after(self, seconds: float) -> datetime:
        """The moment that many seconds from now."""
        return self.now + timedelta(seconds=seconds)

    def refused(self, error: E) -> E:
        """``error``, to be raised: nothing more can be done in this transaction.

        An error inside PostgreSQL aborts the transaction it happens in, unless a
        savepoint stood before it.
        """
        self._refusal = error
        return error

    def before_commit(self, check: Callable[[], None]) -> None:
        """Have the commit wait for a check, as a deferred constraint does."""
        self._checks.append(check)

    def check(self) -> None:
        """Make the checks that the commit waits for; one that raises undoes everything."""
        for check in self._checks:
            check()

    def close(self) -> None:
        """End it for whoever still holds one of its repositories."""
        self._over = True


class InMemoryDatabase:
    """Rows shared by units of work and claims, changed one transaction at a time.

    ``tables`` is the committed state, for assertions about what no port tells.
    """

    def __init__(self, clock: Clock) -> None:
        # Imported here: the plans' repository stands on this module.
        from tests.fakes.persistence.subscriptions import seeded_plans

        self.tables = Tables(plans=seeded_plans())
        self._clock = clock
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None
        self._failing_begins = 0
        self._failing_commits = 0

    def fail_next(self, times: int = 1) -> None:
        """Let the next transactions, claims among them, fail to open."""
        self._failing_begins = times

    def fail_next_commit(self, times: int = 1) -> None:
        """Let the next transactions, claims among them, break at their commit."""
        self._failing_commits = times

    @asynccontextmanager
    async def session(self, tenant: UserId | None) -> AsyncIterator[Session]:
        """A transaction: kept when the block ends, forgotten when it raises.

        Raises:
            DatabaseUnavailable: as asked for by ``fail_next`` or ``fail_next_commit``.
            TransactionRefused: inside another transaction of the same task, or the block
                went on after an error that aborted it.
        """
        await self._take_turn()
        try:
            if self._failing_begins:
                self._failing_begins -= 1
                raise DatabaseUnavailable("The database does not answer. Nothing was changed.")
            session = Session(self.tables.copy(), tenant, self._clock.now())
            try:
                yield session
                changed = session.tables
                session.check()
            finally:
                session.close()
            if self._failing_commits:
                self._failing_commits -= 1
                raise DatabaseUnavailable("The connection broke. Nothing was changed.")
            self.tables = changed.whole()
        finally:
            self._holder = None
            self._lock.release()

    async def _take_turn(self) -> None:
        task = asyncio.current_task()
        if task is not None and task is self._holder:
            raise TransactionRefused("a transaction inside a transaction waits for itself")
        # A network round trip stands here in PostgreSQL: let others, and cancellation, in.
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(LOCK_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise TransactionRefused("another transaction is held open, and waits") from None
        self._holder = task


def _seeded_prices() -> dict[UUID, PriceRow]:
    """What the migration leaves: ids before every other, added by nobody."""
    return {
        UUID(int=number): PriceRow(
            id=UUID(int=number), price=price, added_by=None, added_at=FIRST_RATE.valid_from
        )
        for number, price in enumerate(PUBLISHED.prices, start=1)
    }


def _seeded_rates() -> dict[UUID, RateRow]:
    first = RateRow(id=UUID(int=1), rate=FIRST_RATE, added_by=None, added_at=FIRST_RATE.valid_from)
    return {first.id: first}
