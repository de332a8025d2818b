"""The database in memory: under the contracts, and what it does beyond them."""

import asyncio
from datetime import timedelta

import pytest

from application.ports.audit import AuditOversight
from application.ports.claims import RunClaims, RunOversight
from application.ports.erasure import ErasureQueue
from application.ports.history import StepHistory
from application.ports.idempotency import ExpiredIdempotencyKeys
from application.ports.invoices import InvoiceRegister
from application.ports.ledger import LapsedCredits
from application.ports.people import AdjustmentOversight, PeopleOversight
from application.ports.persistence import DatabaseUnavailable, UnitOfWork
from application.ports.reads import HotReads
from application.ports.subscriptions import SubscriptionSchedule
from application.ports.usage_log import UsageLogWriter
from application.ports.webhooks import WebhookClaims
from domain.identity.user import EmailTaken
from domain.projects.run import RunStatus
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
from tests.contracts.ledger_contract import LedgerContract
from tests.contracts.model_calls_contract import ModelCallsContract
from tests.contracts.people_contract import AdjustmentsContract, PeopleContract
from tests.contracts.plan_limits_contract import PlanLimitsContract
from tests.contracts.prices_contract import PricesContract
from tests.contracts.projects_contract import ProjectsContract
from tests.contracts.run_claims_contract import Limited, RunClaimsContract, Wait
from tests.contracts.run_oversight_contract import RunOversightContract
from tests.contracts.runs_contract import RunsContract
from tests.contracts.samples import (
    LONG_LEASE,
    all_at_once,
    keep_project,
    keep_run,
    keep_user,
    make_project,
    make_user,
    reread,
    take,
)
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
from tests.fakes.clock import MovableClock
from tests.fakes.persistence import (
    InMemoryAuditOversight,
    InMemoryDatabase,
    InMemoryErasureQueue,
    InMemoryExpiredIdempotencyKeys,
    InMemoryHotReads,
    InMemoryInvoiceRegister,
    InMemoryLapsedCredits,
    InMemoryPeopleOversight,
    InMemoryRunClaims,
    InMemoryRunOversight,
    InMemoryStepHistory,
    InMemorySubscriptionSchedule,
    InMemoryUnitOfWork,
    InMemoryUsageLogWriter,
    InMemoryWebhookClaims,
    TransactionRefused,
)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def database(clock: MovableClock) -> InMemoryDatabase:
    return InMemoryDatabase(clock)


@pytest.fixture
def audit_oversight(database: InMemoryDatabase) -> AuditOversight:
    return InMemoryAuditOversight(database)


@pytest.fixture
def people(database: InMemoryDatabase) -> PeopleOversight:
    return InMemoryPeopleOversight(database)


@pytest.fixture
def adjustment_oversight(database: InMemoryDatabase) -> AdjustmentOversight:
    return InMemoryPeopleOversight(database)


@pytest.fixture
def uow(database: InMemoryDatabase) -> UnitOfWork:
    return InMemoryUnitOfWork(database)


@pytest.fixture
def claims(database: InMemoryDatabase) -> RunClaims:
    return InMemoryRunClaims(database)


@pytest.fixture
def usage_log_writer(database: InMemoryDatabase) -> UsageLogWriter:
    return InMemoryUsageLogWriter(database)


@pytest.fixture
def reads(uow: UnitOfWork) -> HotReads:
    return InMemoryHotReads(uow)


@pytest.fixture
def history(database: InMemoryDatabase) -> StepHistory:
    return InMemoryStepHistory(database)


@pytest.fixture
def expired_keys(database: InMemoryDatabase) -> ExpiredIdempotencyKeys:
    return InMemoryExpiredIdempotencyKeys(database)


@pytest.fixture
def erasures(database: InMemoryDatabase) -> ErasureQueue:
    return InMemoryErasureQueue(database)


@pytest.fixture
def claims_by_plan(database: InMemoryDatabase) -> RunClaims:
    return InMemoryRunClaims(database, by_plan=True)


@pytest.fixture
def subscription_schedule(database: InMemoryDatabase) -> SubscriptionSchedule:
    return InMemorySubscriptionSchedule(database)


@pytest.fixture
def limited(database: InMemoryDatabase) -> Limited:
    return lambda runs: InMemoryRunClaims(database, runs_per_user=runs)


@pytest.fixture
def wait(clock: MovableClock) -> Wait:
    async def move(seconds: float) -> None:
        clock.move(timedelta(seconds=seconds))

    return move


@pytest.fixture
def lapsed(database: InMemoryDatabase) -> LapsedCredits:
    return InMemoryLapsedCredits(database)


@pytest.fixture
def oversight(database: InMemoryDatabase) -> RunOversight:
    return InMemoryRunOversight(database)


@pytest.fixture
def register(database: InMemoryDatabase) -> InvoiceRegister:
    return InMemoryInvoiceRegister(database)


class TestPeople(PeopleContract):
    """Everybody, and their standing."""


class TestAdjustments(AdjustmentsContract):
    """Adjustments of credits."""


class TestAudit(AuditContract):
    """The audit log."""


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


@pytest.fixture
def webhook_claims(database: InMemoryDatabase) -> WebhookClaims:
    return InMemoryWebhookClaims(database)


class TestWebhooks(WebhooksContract):
    """Webhook endpoints, events and deliveries."""


class TestLinkedIdentities(LinkedIdentitiesContract):
    """Other ways in."""


class TestSecondFactor(SecondFactorContract):
    """Authenticator apps and recovery codes."""


class TestChallenges(ChallengesContract):
    """Sign-ins that wait for a second factor."""


class TestRunOversight(RunOversightContract):
    """Everybody's runs."""


class TestUnitOfWork(UnitOfWorkContract):
    """One block, one transaction."""


class TestUsers(UsersContract):
    """People."""


class TestErasures(ErasureQueueContract):
    """What is still to be deleted of those who left."""


class TestSessions(SessionsContract):
    """Sessions."""


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


class TestIdempotency(IdempotencyContract):
    """Idempotency keys."""


class TestBillingProfiles(BillingProfilesContract):
    """How people are named on invoices."""


class TestInvoices(InvoicesContract):
    """Invoices, credit notes and their series."""


class TestInvoiceRegister(InvoiceRegisterContract):
    """Everybody's invoices."""


class TestFailures:
    """What the fake can be told to do, and what it will not put up with."""

    async def test_as_many_begins_fail_as_were_asked_for(
        self, database: InMemoryDatabase, uow: UnitOfWork
    ) -> None:
        database.fail_next(2)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                async with uow.begin(None):
                    pytest.fail("the block must not be entered")
        async with uow.begin(None) as tx:
            assert await tx.users.by_email("nobody@example.org") is None

    async def test_claims_fail_with_the_database(
        self, database: InMemoryDatabase, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        database.fail_next()
        with pytest.raises(DatabaseUnavailable):
            await claims.claim(run.id, LONG_LEASE)
        assert (await take(claims, run)).fence == 1

    async def test_a_commit_that_breaks_changes_nothing(
        self, database: InMemoryDatabase, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        project = make_project(owner.id)
        database.fail_next_commit()
        with pytest.raises(DatabaseUnavailable):
            async with uow.begin(owner.id) as tx:
                await tx.projects.add(project)
        async with uow.begin(owner.id) as tx:
            assert await tx.projects.get(project.id) is None

    async def test_a_block_cannot_go_on_after_an_error_of_the_database(
        self, uow: UnitOfWork
    ) -> None:
        first = await keep_user(uow)
        with pytest.raises(TransactionRefused):
            async with uow.begin(None) as tx:
                with pytest.raises(EmailTaken):
                    await tx.users.add(make_user(email=first.email))
                await tx.users.get(first.id)

    async def test_a_block_that_swallowed_an_error_of_the_database_is_not_committed(
        self, uow: UnitOfWork
    ) -> None:
        first, second = await keep_user(uow), make_user()
        with pytest.raises(TransactionRefused):
            async with uow.begin(None) as tx:
                await tx.users.add(second)
                with pytest.raises(EmailTaken):
                    await tx.users.add(make_user(email=first.email))
        async with uow.begin(None) as tx:
            assert await tx.users.get(second.id) is None

    async def test_a_transaction_cannot_be_used_after_its_end(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        async with uow.begin(project.user_id) as tx:
            pass
        with pytest.raises(TransactionRefused):
            await tx.projects.delete(project.id)

    async def test_a_transaction_inside_another_is_refused_at_once(self, uow: UnitOfWork) -> None:
        async with uow.begin(None):
            with pytest.raises(TransactionRefused):
                async with uow.begin(None):
                    pytest.fail("the block must not be entered")

    async def test_a_cancelled_wait_for_a_turn_leaves_the_database_usable(
        self, uow: UnitOfWork
    ) -> None:
        async def begin() -> None:
            async with uow.begin(None):
                pytest.fail("the block must not be entered")

        async with uow.begin(None):
            waiting = asyncio.create_task(begin())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await all_at_once(3, lambda: keep_user(uow))

    async def test_nobody_may_use_users_only(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        with pytest.raises(TransactionRefused):
            async with uow.begin(None) as tx:
                await tx.projects.get(project.id)

    async def test_a_run_does_not_end_in_a_live_state(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        with pytest.raises(ValueError, match="does not finish"):
            async with uow.begin(run.user_id) as tx:
                await tx.runs.finish(run.id, RunStatus.QUEUED)
        assert await reread(uow, run) == run

    async def test_the_house_keeps_its_side_of_every_entry(
        self, database: InMemoryDatabase, uow: UnitOfWork
    ) -> None:
        await keep_user(uow, credits=250)
        assert sum(database.tables.house.values()) == -250
