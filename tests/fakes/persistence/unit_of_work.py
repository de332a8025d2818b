"""Transactions of one person, with the repositories that speak through them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

from application.ports.persistence import Transaction, UnitOfWork
from domain.shared.ids import UserId
from tests.fakes.persistence.audit import InMemoryAuditTrail
from tests.fakes.persistence.billing import InMemoryLedger, InMemoryModelCalls
from tests.fakes.persistence.database import InMemoryDatabase, Session
from tests.fakes.persistence.erasures import InMemoryErasures
from tests.fakes.persistence.idempotency import InMemoryIdempotencyKeys
from tests.fakes.persistence.invoices import InMemoryBillingProfiles, InMemoryInvoices
from tests.fakes.persistence.keys import InMemoryApiKeys
from tests.fakes.persistence.mail import InMemoryLinks, InMemoryMails
from tests.fakes.persistence.payments import (
    InMemoryCoupons,
    InMemoryOrders,
    InMemoryPayments,
)
from tests.fakes.persistence.people import InMemoryAdjustments
from tests.fakes.persistence.prices import InMemoryPrices
from tests.fakes.persistence.projects import (
    InMemoryAgentTasks,
    InMemoryDocuments,
    InMemoryProjects,
)
from tests.fakes.persistence.runs import InMemoryRuns
from tests.fakes.persistence.sessions import InMemorySessions
from tests.fakes.persistence.sign_in import (
    InMemoryChallenges,
    InMemoryLinkedIdentities,
    InMemorySecondFactor,
)
from tests.fakes.persistence.subscriptions import (
    InMemoryEntitlements,
    InMemoryNotices,
    InMemoryPlans,
    InMemoryRetention,
    InMemorySeats,
    InMemorySubscriptions,
)
from tests.fakes.persistence.usage import InMemoryUsage
from tests.fakes.persistence.usage_log import InMemoryUsageLog
from tests.fakes.persistence.users import InMemoryUsers
from tests.fakes.persistence.webhooks import InMemoryWebhooks


def _of(repository: Callable[[Session], Any]) -> Any:
    """A repository of the transaction, made when it is asked for: most use a few."""
    return cached_property(lambda transaction: repository(transaction.session))


class InMemoryTransaction:
    """The repositories of one open transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    users = _of(InMemoryUsers)
    projects = _of(InMemoryProjects)
    runs = _of(InMemoryRuns)
    tasks = _of(InMemoryAgentTasks)
    documents = _of(InMemoryDocuments)
    calls = _of(InMemoryModelCalls)
    ledger = _of(InMemoryLedger)
    idempotency = _of(InMemoryIdempotencyKeys)
    billing_profiles = _of(InMemoryBillingProfiles)
    invoices = _of(InMemoryInvoices)
    orders = _of(InMemoryOrders)
    payments = _of(InMemoryPayments)
    coupons = _of(InMemoryCoupons)
    prices = _of(InMemoryPrices)
    usage = _of(InMemoryUsage)
    plans = _of(InMemoryPlans)
    subscriptions = _of(InMemorySubscriptions)
    seats = _of(InMemorySeats)
    entitlements = _of(InMemoryEntitlements)
    notices = _of(InMemoryNotices)
    retention = _of(InMemoryRetention)
    keys = _of(InMemoryApiKeys)
    usage_log = _of(InMemoryUsageLog)
    sessions = _of(InMemorySessions)
    mails = _of(InMemoryMails)
    links = _of(InMemoryLinks)
    webhooks = _of(InMemoryWebhooks)
    adjustments = _of(InMemoryAdjustments)
    linked_identities = _of(InMemoryLinkedIdentities)
    second_factor = _of(InMemorySecondFactor)
    challenges = _of(InMemoryChallenges)
    erasures = _of(InMemoryErasures)
    audit = _of(InMemoryAuditTrail)

    @asynccontextmanager
    async def speaking_for(self, user_id: UserId) -> AsyncIterator[Transaction]:
        """The same transaction as somebody else."""
        with self.session.speaking_for(user_id):
            yield self


class InMemoryUnitOfWork(UnitOfWork):
    """Opens transactions on an in-memory database."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    @asynccontextmanager
    async def begin(self, user_id: UserId | None) -> AsyncIterator[Transaction]:
        """A transaction as one person, or as nobody."""
        async with self._database.session(user_id) as session:
            yield InMemoryTransaction(session)
