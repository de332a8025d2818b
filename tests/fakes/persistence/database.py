"""The rows, the one lock on them, and what one open transaction may see and write.

Transactions run one after another: a block holds the database's lock from its begin to
its commit. PostgreSQL lets blocks overlap until they meet at a row, but no block waits
for anything slow (a model call, another transaction), so a use case cannot tell, except
by breaking that rule: then the fake says so where PostgreSQL would hang.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from application.ports.clock import Clock
from application.ports.idempotency import StoredReply
from application.ports.persistence import DatabaseUnavailable, ModelCall
from domain.billing.ledger import AccountKind, Balance, JournalEntry
from domain.identity.user import User
from domain.projects.agent_task import AgentTask
from domain.projects.document import Document
from domain.projects.project import Project
from domain.projects.run import Run
from domain.shared.events import RunEvent
from domain.shared.idempotency import IdempotencyKey
from domain.shared.ids import (
    DocumentId,
    ModelCallId,
    ProjectId,
    RunId,
    UserId,
    WebhookEndpointId,
    WebhookEventId,
)
from domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from domain.webhooks.endpoint import WebhookEndpoint
from domain.webhooks.event import WebhookEvent

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


@dataclass(slots=True, kw_only=True)
class Tables:
    """Every row, by its key. Rows are values: a change puts another in their place."""

    users: dict[UserId, User] = field(default_factory=dict)
    projects: dict[ProjectId, Project] = field(default_factory=dict)
    runs: dict[RunId, RunRow] = field(default_factory=dict)
    events: dict[tuple[RunId, int], RunEvent] = field(default_factory=dict)
    tasks: dict[tuple[RunId, str], AgentTask] = field(default_factory=dict)
    documents: dict[DocumentId, Document] = field(default_factory=dict)
    calls: dict[ModelCallId, ModelCall] = field(default_factory=dict)
    balances: dict[UserId, Balance] = field(default_factory=dict)
    house: dict[AccountKind, int] = field(default_factory=dict)
    entries: dict[str, JournalEntry] = field(default_factory=dict)
    holds: dict[tuple[UserId, RunId, str], int] = field(default_factory=dict)
    keys: dict[tuple[UserId, IdempotencyKey], KeyRow] = field(default_factory=dict)
    webhook_endpoints: dict[WebhookEndpointId, EndpointRow] = field(default_factory=dict)
    webhook_events: dict[WebhookEventId, EventRow] = field(default_factory=dict)
    webhook_deliveries: dict[DeliveryKey, DeliveryRow] = field(default_factory=dict)
    webhook_attempts: dict[tuple[DeliveryKey, int], Attempt] = field(default_factory=dict)

    def copy(self) -> "Tables":
        """The same rows, to be changed without touching these."""
        return Tables(**{table.name: dict(getattr(self, table.name)) for table in fields(self)})


class Session:
    """One open transaction: its own copy of the rows, and the person it belongs to.

    ``now`` stands still for its whole length, as ``now()`` does in PostgreSQL.
    """

    def __init__(self, tables: Tables, tenant: UserId | None, now: datetime) -> None:
        self._tables = tables
        self._tenant = tenant
        self._refusal: Exception | None = None
        self._over = False
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

    def close(self) -> None:
        """End it for whoever still holds one of its repositories."""
        self._over = True


class InMemoryDatabase:
    """Rows shared by units of work and claims, changed one transaction at a time.

    ``tables`` is the committed state, for assertions about what no port tells.
    """

    def __init__(self, clock: Clock) -> None:
        self.tables = Tables()
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
            finally:
                session.close()
            if self._failing_commits:
                self._failing_commits -= 1
                raise DatabaseUnavailable("The connection broke. Nothing was changed.")
            self.tables = changed
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
