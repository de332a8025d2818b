"""PostgreSQL under the persistence contracts."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit_log import PostgresAuditOversight
from adapters.postgres.claims import PostgresRunClaims
from adapters.postgres.erasures import PostgresErasureQueue
from adapters.postgres.history import PostgresStepHistory
from adapters.postgres.hot_reads import PostgresHotReads
from adapters.postgres.idempotency import PostgresExpiredIdempotencyKeys
from adapters.postgres.invoices import PostgresInvoiceRegister
from adapters.postgres.ledger import PostgresLapsedCredits
from adapters.postgres.oversight import PostgresRunOversight
from adapters.postgres.people import PostgresPeopleOversight
from adapters.postgres.read_pool import ReadPool
from adapters.postgres.subscription_work import PostgresSubscriptionSchedule
from adapters.postgres.usage_log import PostgresUsageLogWriter
from adapters.postgres.webhook_claims import PostgresWebhookClaims
from application.ports.audit import AuditOversight
from application.ports.claims import RunClaims, RunOversight
from application.ports.erasure import ErasureQueue
from application.ports.history import StepHistory
from application.ports.idempotency import ExpiredIdempotencyKeys
from application.ports.invoices import InvoiceRegister
from application.ports.ledger import LapsedCredits
from application.ports.people import AdjustmentOversight, PeopleOversight
from application.ports.persistence import UnitOfWork
from application.ports.reads import HotReads
from application.ports.subscriptions import SubscriptionSchedule
from application.ports.usage_log import UsageLogWriter
from application.ports.webhooks import WebhookClaims
from tests.contracts.audit_contract import AuditContract
from tests.contracts.documents_contract import DocumentsContract
from tests.contracts.erasure_contract import ErasureQueueContract
from tests.contracts.hot_reads_contract import HotReadsContract
from tests.contracts.idempotency_contract import IdempotencyContract
from tests.contracts.invoices_contract import (
    BillingProfilesContract,
    InvoiceRegisterContract,
    InvoicesContract,
)
from tests.contracts.keys_contract import ApiKeysContract
from tests.contracts.ledger_contract import LedgerContract
from tests.contracts.model_calls_contract import ModelCallsContract
from tests.contracts.people_contract import AdjustmentsContract, PeopleContract
from tests.contracts.plan_limits_contract import PlanLimitsContract
from tests.contracts.prices_contract import PricesContract
from tests.contracts.projects_contract import ProjectsContract
from tests.contracts.run_claims_contract import Limited, RunClaimsContract
from tests.contracts.run_oversight_contract import RunOversightContract
from tests.contracts.runs_contract import RunsContract
from tests.contracts.sessions_contract import SessionsContract
from tests.contracts.sign_in_contract import (
    ChallengesContract,
    LinkedIdentitiesContract,
    SecondFactorContract,
)
from tests.contracts.step_history_contract import StepHistoryContract
from tests.contracts.subscriptions_contract import (
    EntitlementsContract,
    PlansContract,
    SubscriptionScheduleContract,
    SubscriptionsContract,
)
from tests.contracts.tasks_contract import AgentTasksContract
from tests.contracts.unit_of_work_contract import UnitOfWorkContract
from tests.contracts.usage_contract import UsageContract
from tests.contracts.usage_log_contract import UsageLogContract
from tests.contracts.users_contract import UsersContract
from tests.contracts.webhooks_contract import WebhooksContract


@pytest.fixture
def uow(postgres_uow: UnitOfWork) -> UnitOfWork:
    return postgres_uow


@pytest.fixture
def claims(postgres_claims: RunClaims) -> RunClaims:
    return postgres_claims


@pytest.fixture
def usage_log_writer(dispatch_engine: AsyncEngine) -> UsageLogWriter:
    return PostgresUsageLogWriter(dispatch_engine)


@pytest.fixture
def reads(read_pool: ReadPool) -> HotReads:
    return PostgresHotReads(read_pool)


@pytest.fixture
def history(dispatch_engine: AsyncEngine) -> StepHistory:
    return PostgresStepHistory(dispatch_engine)


@pytest.fixture
def expired_keys(dispatch_engine: AsyncEngine) -> ExpiredIdempotencyKeys:
    return PostgresExpiredIdempotencyKeys(dispatch_engine)


@pytest.fixture
def erasures(dispatch_engine: AsyncEngine) -> ErasureQueue:
    return PostgresErasureQueue(dispatch_engine)


@pytest.fixture
def claims_by_plan(dispatch_engine: AsyncEngine) -> RunClaims:
    return PostgresRunClaims(dispatch_engine, by_plan=True)


@pytest.fixture
def subscription_schedule(dispatch_engine: AsyncEngine) -> SubscriptionSchedule:
    return PostgresSubscriptionSchedule(dispatch_engine)


@pytest.fixture
def limited(dispatch_engine: AsyncEngine) -> Limited:
    return lambda runs: PostgresRunClaims(dispatch_engine, runs_per_user=runs)


@pytest.fixture
def lapsed(dispatch_engine: AsyncEngine) -> LapsedCredits:
    return PostgresLapsedCredits(dispatch_engine)


@pytest.fixture
def oversight(dispatch_engine: AsyncEngine) -> RunOversight:
    return PostgresRunOversight(dispatch_engine)


@pytest.fixture
def register(dispatch_engine: AsyncEngine) -> InvoiceRegister:
    return PostgresInvoiceRegister(dispatch_engine)


@pytest.fixture
def webhook_claims(dispatch_engine: AsyncEngine) -> WebhookClaims:
    return PostgresWebhookClaims(dispatch_engine)


@pytest.fixture
def audit_oversight(dispatch_engine: AsyncEngine) -> AuditOversight:
    return PostgresAuditOversight(dispatch_engine)


@pytest.fixture
def people(dispatch_engine: AsyncEngine) -> PeopleOversight:
    return PostgresPeopleOversight(dispatch_engine)


@pytest.fixture
def adjustment_oversight(dispatch_engine: AsyncEngine) -> AdjustmentOversight:
    return PostgresPeopleOversight(dispatch_engine)


class TestPeople(PeopleContract):
    """Everybody, and their standing."""


class TestAdjustments(AdjustmentsContract):
    """Adjustments of credits."""


class TestAudit(AuditContract):
    """The audit log."""


class TestRunOversight(RunOversightContract):
    """Everybody's runs."""


class TestUnitOfWork(UnitOfWorkContract):
    """One block, one transaction."""


class TestUsers(UsersContract):
    """People."""


class TestErasures(ErasureQueueContract):
    """What is still to be deleted of those who left."""


class TestSessions(SessionsContract):
    """Sessions and their refresh tokens."""


class TestProjects(ProjectsContract):
    """Projects."""


class TestRuns(RunsContract):
    """Runs and their logs."""


class TestRunClaims(RunClaimsContract):
    """Claims, leases and turns."""


class TestAgentTasks(AgentTasksContract):
    """The steps of runs."""


class TestDocuments(DocumentsContract):
    """Documents."""


class TestModelCalls(ModelCallsContract):
    """The journal of model calls."""


class TestPrices(PricesContract):
    """Prices and rates."""


class TestUsageLog(UsageLogContract):
    """The usage log."""


class TestHotReads(HotReadsContract):
    """The reads that are asked for most."""


class TestUsage(UsageContract):
    """The account of usage."""


class TestStepHistory(StepHistoryContract):
    """What finished steps cost."""


class TestLedger(LedgerContract):
    """The credit ledger."""


class TestApiKeys(ApiKeysContract):
    """API keys."""


class TestIdempotency(IdempotencyContract):
    """Idempotency keys."""


class TestBillingProfiles(BillingProfilesContract):
    """How people are named on invoices."""


class TestInvoices(InvoicesContract):
    """Invoices, credit notes and their series."""


class TestInvoiceRegister(InvoiceRegisterContract):
    """Everybody's invoices."""


class TestPlans(PlansContract):
    """Plans."""


class TestSubscriptions(SubscriptionsContract):
    """Subscriptions, their charges and seats."""


class TestEntitlements(EntitlementsContract):
    """What people may do."""


class TestSubscriptionSchedule(SubscriptionScheduleContract):
    """What is due of subscriptions."""


class TestPlanLimits(PlanLimitsContract):
    """Runs at once, by plan."""


class TestWebhooks(WebhooksContract):
    """Webhook endpoints, events and deliveries."""


class TestLinkedIdentities(LinkedIdentitiesContract):
    """Other ways in."""


class TestSecondFactor(SecondFactorContract):
    """Authenticator apps and recovery codes."""


class TestChallenges(ChallengesContract):
    """Sign-ins that wait for a second factor."""
