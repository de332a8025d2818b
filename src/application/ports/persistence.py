"""The truth: what is kept in the database, and the transactions it changes in.

A transaction belongs to one person (its tenant) and sees only what is theirs; the
database enforces that again below. A block that ends normally is committed, one that
raises is rolled back, and a commit that fails raises.
"""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

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
from domain.shared.errors import DomainError
from domain.shared.ids import UserId


class DatabaseUnavailable(DomainError):
    """The database did not answer within its bounded retries. Nothing was changed."""

    code = "database_unavailable"


class LeaseLost(Exception):
    """Another worker holds the run now, or it has ended. Nothing was changed."""


class Transaction(Protocol):
    """One database transaction and the repositories that speak through it."""

    def speaking_for(self, user_id: UserId) -> AbstractAsyncContextManager["Transaction"]:
        """The same transaction as somebody else, within the block: for what two people's rows say
        together. What it does is kept or undone with the rest."""
        ...

    @property
    def users(self) -> UserRepository: ...
    @property
    def projects(self) -> ProjectRepository: ...
    @property
    def runs(self) -> RunRepository: ...
    @property
    def tasks(self) -> AgentTaskRepository: ...
    @property
    def documents(self) -> DocumentRepository: ...
    @property
    def calls(self) -> ModelCallRepository: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def idempotency(self) -> IdempotencyKeys: ...
    @property
    def erasures(self) -> Erasures: ...
    @property
    def billing_profiles(self) -> BillingProfiles: ...
    @property
    def invoices(self) -> InvoiceRepository: ...
    @property
    def orders(self) -> OrderRepository: ...
    @property
    def payments(self) -> PaymentRepository: ...
    @property
    def coupons(self) -> CouponRepository: ...
    @property
    def prices(self) -> PriceRecords: ...
    @property
    def usage(self) -> UsageRecords: ...
    @property
    def plans(self) -> PlanRepository: ...
    @property
    def subscriptions(self) -> SubscriptionRepository: ...
    @property
    def seats(self) -> SeatRepository: ...
    @property
    def entitlements(self) -> EntitlementRepository: ...
    @property
    def notices(self) -> NoticeRepository: ...
    @property
    def retention(self) -> RetentionRepository: ...
    @property
    def keys(self) -> ApiKeyRepository: ...
    @property
    def mails(self) -> MailRepository: ...
    @property
    def links(self) -> LinkRepository: ...
    @property
    def usage_log(self) -> UsageLog: ...
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def adjustments(self) -> AdjustmentRepository: ...
    @property
    def linked_identities(self) -> LinkedIdentities: ...
    @property
    def second_factor(self) -> SecondFactorRepository: ...
    @property
    def challenges(self) -> ChallengeRepository: ...
    @property
    def audit(self) -> AuditTrail: ...


class UnitOfWork(Protocol):
    """Opens transactions."""

    def begin(self, user_id: UserId | None) -> AbstractAsyncContextManager[Transaction]:
        """A transaction as one person, or as nobody for what comes before sign-in.

        Raises:
            DatabaseUnavailable: none could be opened, and nothing was changed; or it broke
                at its commit, and whether it counted must be looked up.
        """
        ...
