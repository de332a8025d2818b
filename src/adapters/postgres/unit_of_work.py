"""Transactions, each as one person."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.audit_log import PostgresAuditTrail
from adapters.postgres.billing import PostgresModelCalls
from adapters.postgres.coupons import PostgresCoupons
from adapters.postgres.engine import is_unavailable, with_retries
from adapters.postgres.erasures import PostgresErasures
from adapters.postgres.idempotency import PostgresIdempotencyKeys
from adapters.postgres.identity import PostgresUsers
from adapters.postgres.invoices import PostgresBillingProfiles, PostgresInvoices
from adapters.postgres.keys import PostgresApiKeys
from adapters.postgres.ledger import PostgresLedger
from adapters.postgres.linked_identities import PostgresLinkedIdentities
from adapters.postgres.mail import PostgresLinks, PostgresMails
from adapters.postgres.payments import PostgresOrders, PostgresPayments
from adapters.postgres.people import PostgresAdjustments
from adapters.postgres.plans import PostgresEntitlements, PostgresPlans
from adapters.postgres.prices import PostgresPrices
from adapters.postgres.projects import PostgresDocuments, PostgresProjects
from adapters.postgres.runs import PostgresAgentTasks, PostgresRuns
from adapters.postgres.second_factor import PostgresChallenges, PostgresSecondFactor
from adapters.postgres.sessions import PostgresSessions
from adapters.postgres.subscriptions import (
    PostgresNotices,
    PostgresRetention,
    PostgresSeats,
    PostgresSubscriptions,
)
from adapters.postgres.usage import PostgresUsage
from adapters.postgres.usage_log import PostgresUsageLog
from adapters.postgres.webhooks import PostgresWebhooks
from application.ports.audit import NOBODY
from application.ports.persistence import DatabaseUnavailable, Transaction
from domain.shared.ids import UserId

_AS = text("SELECT set_config('app.user_id', :user_id, true)")


class PostgresTransaction:
    """The repositories of one open transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self.users = PostgresUsers(connection, user_id)
        self.projects = PostgresProjects(connection, user_id)
        self.runs = PostgresRuns(connection, user_id)
        self.tasks = PostgresAgentTasks(connection, user_id)
        self.documents = PostgresDocuments(connection, user_id)
        self.calls = PostgresModelCalls(connection, user_id)
        self.ledger = PostgresLedger(connection, user_id)
        self.idempotency = PostgresIdempotencyKeys(connection, user_id)
        self.billing_profiles = PostgresBillingProfiles(connection, user_id)
        self.invoices = PostgresInvoices(connection, user_id)
        self.orders = PostgresOrders(connection, user_id)
        self.payments = PostgresPayments(connection, user_id)
        self.coupons = PostgresCoupons(connection, user_id)
        self.prices = PostgresPrices(connection)
        self.usage = PostgresUsage(connection, user_id)
        self.plans = PostgresPlans(connection)
        self.subscriptions = PostgresSubscriptions(connection, user_id)
        self.seats = PostgresSeats(connection, user_id)
        self.entitlements = PostgresEntitlements(connection, user_id)
        self.notices = PostgresNotices(connection, user_id)
        self.retention = PostgresRetention(connection, user_id)
        self.keys = PostgresApiKeys(connection, user_id)
        self.mails = PostgresMails(connection)
        self.links = PostgresLinks(connection)
        self.usage_log = PostgresUsageLog(connection, user_id)
        self.sessions = PostgresSessions(connection, user_id)
        self.webhooks = PostgresWebhooks(connection, user_id)
        self.adjustments = PostgresAdjustments(connection, user_id)
        self.linked_identities = PostgresLinkedIdentities(connection, user_id)
        self.second_factor = PostgresSecondFactor(connection, user_id)
        self.challenges = PostgresChallenges(connection, user_id)
        self.erasures = PostgresErasures(connection, user_id)
        self.audit = PostgresAuditTrail(connection, user_id)

    @asynccontextmanager
    async def speaking_for(self, user_id: UserId) -> AsyncIterator["PostgresTransaction"]:
        await self._connection.execute(_AS, {"user_id": str(user_id)})
        yield PostgresTransaction(self._connection, user_id)
        # After an error it is rolled back in any case.
        await self._connection.execute(_AS, {"user_id": str(self._user_id)})


class PostgresUnitOfWork:
    """The ``UnitOfWork`` over the ``app`` role's engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def begin(self, user_id: UserId | None) -> AbstractAsyncContextManager[Transaction]:
        return self._begin(NOBODY if user_id is None else user_id)

    @asynccontextmanager
    async def _begin(self, user_id: UserId) -> AsyncIterator[Transaction]:
        connection = await with_retries(lambda: self._opened(user_id))
        try:
            try:
                yield PostgresTransaction(connection, user_id)
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()
        except DBAPIError as error:
            if is_unavailable(error):
                raise DatabaseUnavailable(
                    "The database went away in the middle. Look whether the change is there "
                    "before trying again."
                ) from error
            raise
        finally:
            await connection.close()

    async def _opened(self, user_id: UserId) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            await connection.execute(_AS, {"user_id": str(user_id)})
        except BaseException:
            await connection.close()
            raise
        return connection
