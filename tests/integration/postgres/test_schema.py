"""The schema: as the code says, reversible, and closed to whom it is not for."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from adapters.postgres.constraints import violated
from adapters.postgres.migrate import current_revision, downgrade, latest_revision, upgrade
from adapters.postgres.tables import TENANT_TABLES, metadata
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.webhook_claims import PostgresWebhookClaims
from domain.shared.idempotency import IdempotencyInFlight, IdempotencyKey
from entrypoints.local_stack import LocalStack, StackAddresses
from tests.contracts.invoice_samples import keep_invoice
from tests.contracts.samples import keep_user
from tests.contracts.webhooks_contract import keep_endpoint, listed


@pytest.fixture
async def owner(stack: StackAddresses) -> AsyncIterator[AsyncEngine]:
    engine = _engine(stack.database_owner_url)
    yield engine
    await engine.dispose()


def _engine(url: str | None) -> AsyncEngine:
    return create_async_engine((url or "").replace("postgresql://", "postgresql+asyncpg://", 1))


MONTH = re.compile(r"usage_logs_\d{6}.*")
"""A month of the log, made as time goes on."""


async def test_the_tables_are_those_of_the_code(owner: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"include_name": lambda name, *_: not MONTH.fullmatch(name or "")}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with owner.connect() as connection:
        assert await connection.run_sync(differences) == []


SERVERS = ["", *sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin"))]
"""The wheel's PostgreSQL, and every one that Debian's packages have put on this machine."""


@pytest.mark.parametrize("server", SERVERS)
async def test_every_migration_goes_down_and_up_again(
    tmp_path_factory: pytest.TempPathFactory, server: str
) -> None:
    # A server of its own: the session's database is in use.
    async with LocalStack(
        tmp_path_factory.mktemp("stairs"),
        services={"postgres"},
        environment={**os.environ, **({"POSTGRES_BIN": server} if server else {})},
    ) as addresses:
        url = addresses.database_owner_url or ""
        assert await upgrade(url) == latest_revision()
        assert await downgrade(url, "base") == ""
        assert await upgrade(url) == latest_revision()
        assert await current_revision(addresses.database_url or "") == latest_revision()


@pytest.mark.parametrize("table", [table.name for table in TENANT_TABLES])
async def test_row_level_security_is_forced_on_every_tenant_table(
    owner: AsyncEngine, table: str
) -> None:
    async with owner.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT relrowsecurity, relforcerowsecurity FROM pg_class "
                "WHERE oid = CAST(:t AS regclass)"
            ),
            {"t": table},
        )
        assert rows.one() == (True, True)


@pytest.mark.parametrize("table", [table.name for table in TENANT_TABLES])
async def test_without_a_person_the_app_role_sees_no_row(
    app_engine: AsyncEngine, table: str
) -> None:
    async with app_engine.connect() as connection:
        assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET key = 'x'",
        "DELETE FROM journal",
        "UPDATE postings SET amount = 1",
        "DELETE FROM postings",
        "TRUNCATE journal, postings",
        "DELETE FROM lots",
        "UPDATE lots SET granted = 1",
        "UPDATE lots SET expires_at = NULL",
        "DELETE FROM run_events",
        "UPDATE run_events SET seq = 1",
        "UPDATE users SET role = 'admin'",
        "UPDATE plans SET price_paise = 1",
        "DELETE FROM plans",
        "DELETE FROM subscriptions",
        "UPDATE subscriptions SET user_id = user_id",
        "UPDATE subscription_charges SET amount_paise = 1",
        "UPDATE allotments SET credits = 1",
        "DELETE FROM entitlements",
        "UPDATE seats SET holder_id = user_id",
        "UPDATE notices SET sent_at = now()",
        "DELETE FROM users",
        "DELETE FROM sessions",
        "UPDATE sessions SET user_id = user_id",
        "DELETE FROM refresh_tokens",
        "UPDATE refresh_tokens SET digest = ''",
        "DELETE FROM model_calls",
        "DELETE FROM idempotency_keys",
        "UPDATE model_prices SET input = 1",
        "DELETE FROM model_prices",
        "UPDATE exchange_rates SET paise = 1",
        "DELETE FROM exchange_rates",
        "UPDATE usage SET credits = 0",
        "DELETE FROM usage",
        "UPDATE idempotency_keys SET user_id = user_id",
        "UPDATE invoices SET number = number",
        "DELETE FROM invoices",
        "UPDATE credit_notes SET total_paise = total_paise",
        "DELETE FROM credit_notes",
        "DELETE FROM document_series",
        "UPDATE document_series SET kind = kind",
        "UPDATE erasures SET due_at = now()",
        "DELETE FROM erasures",
        "SELECT lock_standings()",
        "DELETE FROM api_keys",
        "UPDATE api_keys SET user_id = user_id",
        "UPDATE api_keys SET environment = 'live'",
        "INSERT INTO usage_logs SELECT * FROM usage_logs",
        "UPDATE usage_logs SET status = 200",
        "DELETE FROM usage_logs",
        "UPDATE usage_hours SET requests = 0",
        "SELECT usage_logs_make_month(now())",
        "SELECT usage_logs_drop_months(1)",
        "TRUNCATE projects",
        "UPDATE webhook_events SET body = ''",
        "DELETE FROM webhook_events",
        "UPDATE webhook_attempts SET status = 200",
        "UPDATE webhook_deliveries SET fence = 0",
        "UPDATE audit_log SET action = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log (at, user_id, actor_kind, action)"
        " VALUES (now(), gen_random_uuid(), 'system', 'x')",
        "UPDATE linked_identities SET user_id = user_id",
        "UPDATE linked_identities SET subject = 'another'",
        "UPDATE totp_factors SET user_id = user_id",
        "UPDATE recovery_codes SET digest = 'another'",
        "UPDATE sign_in_challenges SET user_id = user_id",
        "UPDATE sign_in_challenges SET expires_at = now() + interval '1 year'",
        "CREATE TABLE mine (id int)",
        "ALTER TABLE projects DISABLE ROW LEVEL SECURITY",
    ],
)
async def test_the_app_role_may_not(app_engine: AsyncEngine, statement: str) -> None:
    await _refused(app_engine, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM users",
        "SELECT * FROM sessions",
        "SELECT user_id FROM sessions",
        "SELECT digest FROM refresh_tokens",
        "UPDATE sessions SET ended_at = NULL",
        "SELECT * FROM projects",
        "SELECT title FROM projects",
        "DELETE FROM projects",
        "INSERT INTO plans SELECT * FROM plans",
        "UPDATE subscriptions SET status = 'active'",
        "SELECT mandate_token FROM subscriptions",
        "SELECT amount_paise FROM subscription_charges",
        "UPDATE allotments SET credits = 1",
        "UPDATE entitlements SET ends_at = now()",
        "SELECT * FROM model_calls",
        "SELECT * FROM postings",
        "SELECT * FROM billing_profiles",
        "SELECT * FROM document_series",
        "UPDATE invoices SET number = number",
        "DELETE FROM credit_notes",
        "SELECT * FROM journal",
        "SELECT granted FROM lots",
        "UPDATE lots SET remaining = 0",
        "UPDATE balances SET available = 1",
        "SELECT * FROM api_keys",
        "UPDATE api_keys SET revoked_at = NULL",
        "UPDATE runs SET user_id = user_id",
        "UPDATE runs SET test = true",
        "UPDATE runs SET cancel_requested = true",
        "DELETE FROM runs",
        "SELECT body FROM idempotency_keys",
        "SELECT request_hash FROM idempotency_keys",
        "SELECT api_key_id FROM usage",
        "SELECT project_id FROM usage",
        "INSERT INTO model_prices SELECT * FROM model_prices",
        "DELETE FROM usage",
        "UPDATE idempotency_keys SET expires_at = now()",
        "SELECT request_id FROM usage_logs",
        "UPDATE usage_logs SET status = 200",
        "DELETE FROM usage_logs",
        "UPDATE usage_hours SET hour = now()",
        "DELETE FROM usage_hours",
        "SELECT secret FROM webhook_endpoints",
        "SELECT url FROM webhook_endpoints",
        "SELECT body FROM webhook_events",
        "SELECT * FROM webhook_attempts",
        "UPDATE webhook_deliveries SET state = 'delivered'",
    ],
)
async def test_the_dispatch_role_may_not(dispatch_engine: AsyncEngine, statement: str) -> None:
    await _refused(dispatch_engine, statement)


@pytest.mark.parametrize("book", ["journal", "postings"])
@pytest.mark.parametrize(
    "change",
    ["UPDATE {} SET user_id = user_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"],
)
@pytest.mark.parametrize("role", ["owner", "superuser"])
async def test_nobody_changes_what_is_booked(
    stack: StackAddresses, superuser_url: str, book: str, change: str, role: str
) -> None:
    engine = _engine(stack.database_owner_url if role == "owner" else superuser_url)
    try:
        with pytest.raises(DBAPIError, match=r"permission denied|books only grow"):
            async with engine.begin() as connection:
                await connection.execute(text(change.format(book)))
    finally:
        await engine.dispose()


async def test_the_owner_reads_nobodys_books_but_to_audit_them(
    owner: AsyncEngine, postgres_uow: PostgresUnitOfWork
) -> None:
    user = await keep_user(postgres_uow, credits=1)
    mine = text("SELECT count(*) FROM journal WHERE user_id = :user")
    async with owner.begin() as connection:
        assert await connection.scalar(mine, {"user": user.id}) == 0
        await connection.execute(text("SELECT set_config('app.audit', 'on', true)"))
        assert await connection.scalar(mine, {"user": user.id}) == 1


async def test_an_entry_without_postings_cannot_be_committed(app_engine: AsyncEngine) -> None:
    user_id = uuid4()
    with pytest.raises(DBAPIError) as refusal:
        async with app_engine.begin() as connection:
            await connection.execute(
                text("SELECT set_config('app.user_id', :id, true)"), {"id": str(user_id)}
            )
            await connection.execute(
                text("INSERT INTO journal (key, user_id, kind) VALUES (:k, :u, 'x')"),
                {"k": f"test:{user_id}", "u": user_id},
            )
    assert violated(refusal.value) == "journal_posted"


async def test_the_dispatch_role_sees_the_lots_alone_that_have_lapsed(
    postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine
) -> None:
    user = await keep_user(postgres_uow, credits=1)
    async with dispatch_engine.begin() as connection:
        mine = text("SELECT count(user_id) FROM lots WHERE user_id = :user")
        assert await connection.scalar(mine, {"user": user.id}) == 0


async def test_the_dispatch_role_reaches_expired_keys_alone(
    postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine
) -> None:
    user, key = await keep_user(postgres_uow), IdempotencyKey("still good")
    async with postgres_uow.begin(user.id) as tx:
        await tx.idempotency.claim(key, "h", lease_seconds=60, keep_seconds=60)
    async with dispatch_engine.begin() as connection:
        mine = text("SELECT count(*) FROM idempotency_keys WHERE user_id = :user")
        assert await connection.scalar(mine, {"user": user.id}) == 0
        await connection.execute(text("DELETE FROM idempotency_keys"))
    with pytest.raises(IdempotencyInFlight):
        async with postgres_uow.begin(user.id) as tx:
            await tx.idempotency.claim(key, "h", lease_seconds=60, keep_seconds=60)


async def test_old_webhook_events_are_forgotten_unless_something_is_pending(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine, dispatch_engine: AsyncEngine
) -> None:
    user = await keep_user(postgres_uow)
    endpoint = await keep_endpoint(postgres_uow, user.id)
    old = text(
        "INSERT INTO webhook_events (id, user_id, type, body, created_at)"
        " VALUES (:id, :user, 'run.failed', '', now() - interval '31 days')"
    )
    due = text(
        "INSERT INTO webhook_deliveries (endpoint_id, event_id, user_id, type, state)"
        " VALUES (:endpoint, :id, :user, 'run.failed', :state)"
    )
    events = {state: uuid4() for state in ("pending", "delivered", "failed")}
    async with app_engine.begin() as connection:
        await connection.execute(
            text("SELECT set_config('app.user_id', :user, true)"), {"user": str(user.id)}
        )
        for state, event_id in events.items():
            of = {"id": event_id, "user": user.id, "endpoint": endpoint.id, "state": state}
            await connection.execute(old, of)
            await connection.execute(due, of)
    claims = PostgresWebhookClaims(dispatch_engine)
    while await claims.forget(30 * 24 * 3600, 100):
        pass
    left = await listed(postgres_uow, endpoint)
    assert [delivery.event_id for delivery in left] == [events["pending"]]


async def test_an_entry_that_does_not_balance_cannot_be_committed(
    app_engine: AsyncEngine,
) -> None:
    user_id = uuid4()
    with pytest.raises(DBAPIError) as refusal:
        async with app_engine.begin() as connection:
            await connection.execute(
                text("SELECT set_config('app.user_id', :id, true)"), {"id": str(user_id)}
            )
            entry = await connection.scalar(
                text("INSERT INTO journal (key, user_id, kind) VALUES (:k, :u, 'x') RETURNING id"),
                {"k": f"test:{user_id}", "u": user_id},
            )
            await connection.execute(
                text(
                    "INSERT INTO postings (entry_id, user_id, account, amount)"
                    " VALUES (:e, :u, 'grants', 5)"
                ),
                {"e": entry, "u": user_id},
            )
    assert violated(refusal.value) == "postings_balanced"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO document_series VALUES ('invoice', 2090, 2, '2090-04-01')",
        "UPDATE document_series SET last = last + 2",
        "UPDATE document_series SET last = last - 1",
        "UPDATE document_series SET last = last + 1, last_on = last_on - 1",
    ],
)
async def test_a_series_counts_by_one_whatever_is_written(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine, statement: str
) -> None:
    await keep_invoice(postgres_uow)
    with pytest.raises(DBAPIError) as refusal:
        async with app_engine.begin() as connection:
            await connection.execute(text(statement))
    assert violated(refusal.value) == "document_series_counts_by_one"


async def _refused(engine: AsyncEngine, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        async with engine.begin() as connection:
            await connection.execute(text(statement))
