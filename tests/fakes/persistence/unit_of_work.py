"""Transactions of one person, with the repositories that speak through them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from application.ports.audit import AuditTrail
from application.ports.erasure import Erasures
from application.ports.idempotency import IdempotencyKeys
from application.ports.identity_provider import LinkedIdentities
from application.ports.invoices import BillingProfiles, InvoiceRepository
from application.ports.keys import ApiKeyRepository
from application.ports.ledger import Ledger
from application.ports.mail import LinkRepository, MailRepository
from application.ports.model_calls import ModelCallRepository
from application.ports.payments import CouponRepository, OrderRepository, PaymentRepository
from application.ports.people import AdjustmentRepository
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.prices import PriceRecords
from application.ports.projects import (
    AgentTaskRepository,
    DocumentRepository,
    ProjectRepository,
    RunRepository,
)
from application.ports.second_factor import ChallengeRepository, SecondFactorRepository
from application.ports.sessions import SessionRepository
from application.ports.subscriptions import (
    EntitlementRepository,
    NoticeRepository,
    PlanRepository,
    RetentionRepository,
    SeatRepository,
    SubscriptionRepository,
)
from application.ports.usage import UsageRecords
from application.ports.usage_log import UsageLog
from application.ports.users import UserRepository
from application.ports.webhooks import Webhooks
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


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemoryTransaction:
    """The repositories of one open transaction."""

    session: Session
    users: UserRepository
    projects: ProjectRepository
    runs: RunRepository
    tasks: AgentTaskRepository
    documents: DocumentRepository
    calls: ModelCallRepository
    ledger: Ledger
    idempotency: IdempotencyKeys
    billing_profiles: BillingProfiles
    invoices: InvoiceRepository
    orders: OrderRepository
    payments: PaymentRepository
    coupons: CouponRepository
    prices: PriceRecords
    usage: UsageRecords
    plans: PlanRepository
    subscriptions: SubscriptionRepository
    seats: SeatRepository
    entitlements: EntitlementRepository
    notices: NoticeRepository
    retention: RetentionRepository
    keys: ApiKeyRepository
    usage_log: UsageLog
    sessions: SessionRepository
    mails: MailRepository
    links: LinkRepository
    webhooks: Webhooks
    adjustments: AdjustmentRepository
    linked_identities: LinkedIdentities
    second_factor: SecondFactorRepository
    challenges: ChallengeRepository
    erasures: Erasures
    audit: AuditTrail

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
            yield InMemoryTransaction(
                session=session,
                users=InMemoryUsers(session),
                projects=InMemoryProjects(session),
                runs=InMemoryRuns(session),
                tasks=InMemoryAgentTasks(session),
                documents=InMemoryDocuments(session),
                calls=InMemoryModelCalls(session),
                ledger=InMemoryLedger(session),
                idempotency=InMemoryIdempotencyKeys(session),
                billing_profiles=InMemoryBillingProfiles(session),
                invoices=InMemoryInvoices(session),
                orders=InMemoryOrders(session),
                payments=InMemoryPayments(session),
                coupons=InMemoryCoupons(session),
                prices=InMemoryPrices(session),
                usage=InMemoryUsage(session),
                plans=InMemoryPlans(session),
                subscriptions=InMemorySubscriptions(session),
                seats=InMemorySeats(session),
                entitlements=InMemoryEntitlements(session),
                notices=InMemoryNotices(session),
                retention=InMemoryRetention(session),
                keys=InMemoryApiKeys(session),
                usage_log=InMemoryUsageLog(session),
                sessions=InMemorySessions(session),
                mails=InMemoryMails(session),
                links=InMemoryLinks(session),
                webhooks=InMemoryWebhooks(session),
                adjustments=InMemoryAdjustments(session),
                linked_identities=InMemoryLinkedIdentities(session),
                second_factor=InMemorySecondFactor(session),
                challenges=InMemoryChallenges(session),
                erasures=InMemoryErasures(session),
                audit=InMemoryAuditTrail(session),
            )
