"""Whose row is whose: from the catalogue, the next table included, and under cancellation."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import open_engine
from adapters.postgres.tables import TENANT_TABLES, users
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.ports.paging import Page
from domain.identity.user import User
from entrypoints.local_stack import StackAddresses
from tests.contracts.samples import keep_project, keep_user

OF_THE_HOUSE = {"coupons", "document_series", "exchange_rates", "model_prices", "plans"}
"""Tables without an owner's column: nobody's data."""

OF_AN_ADDRESS = {"account_links", "mails"}
"""What may be of an address alone, before it is known whose that is."""

OWNERS = "'user_id', 'owner_id', 'account_id'"


@pytest.fixture
async def catalogue(superuser_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(superuser_url)
    yield connection
    await connection.close()


async def test_every_table_with_an_owner_is_closed_to_others(
    catalogue: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    tables = await catalogue.fetch(
        f"""
        SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
            EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid) AS policed
        FROM pg_class c
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
            AND (c.relname = 'users' OR EXISTS (
                SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                AND a.attname IN ({OWNERS})))
            -- A partition is reached through its table, whose policies hold then.
            AND NOT (c.relispartition AND NOT has_any_column_privilege('bb_app', c.oid, 'SELECT')
                AND NOT has_table_privilege('bb_app', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
        """
    )
    assert len(tables) > 30
    assert [row["name"] for row in tables if not (row["forced"] and row["policed"])] == []
    known = {table.name for table in TENANT_TABLES} | {users.name} | OF_AN_ADDRESS
    assert {row["name"] for row in tables} == known


async def test_what_has_no_owner_is_known_to_be_nobodys(
    catalogue: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """A new table is either somebody's, and closed, or stands here, or has row-level security."""
    open_ = await catalogue.fetch(
        """
        SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
            AND NOT relrowsecurity AND has_table_privilege('bb_app', oid, 'SELECT')
        """
    )
    assert {row["relname"] for row in open_} <= OF_THE_HOUSE | {"alembic_version"}


async def test_no_policy_lets_the_app_role_see_everything(
    catalogue: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """Each policy of bb_app names a setting of the transaction, and so does what it may write."""
    policies = await catalogue.fetch(
        """
        SELECT polrelid::regclass::text AS on, polname,
            pg_get_expr(polqual, polrelid) AS seen, pg_get_expr(polwithcheck, polrelid) AS written
        FROM pg_policy
        WHERE 'bb_app'::regrole = ANY (polroles) OR 0 = ANY (polroles)
        """
    )
    assert len(policies) > 30
    for policy in policies:
        given = [each for each in (policy["seen"], policy["written"]) if each is not None]
        assert given, policy
        assert all("current_setting('app." in each for each in given), policy


async def test_the_services_roles_own_nothing_and_bypass_nothing(
    catalogue: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    for role in ("bb_app", "bb_dispatch"):
        owned = "SELECT count(*) FROM pg_class WHERE relowner = $1::regrole"
        assert await catalogue.fetchval(owned, role) == 0
        powers = "SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = $1"
        assert await catalogue.fetchval(powers, role) is False
    definers = await catalogue.fetch(
        "SELECT proname, proconfig FROM pg_proc"
        " WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    for function in definers:
        path = [each for each in function["proconfig"] or () if each.startswith("search_path=")]
        assert path, f"{function['proname']} runs as its owner without a search_path of its own"


FIXED = {
    "users": ("id", "role", "created_at"),
    "sessions": ("id", "user_id", "created_at"),
    "refresh_tokens": ("digest", "session_id", "user_id", "generation"),
    "linked_identities": ("user_id", "provider", "subject"),
    "api_keys": ("id", "user_id", "environment", "created_at"),
    "orders": ("id", "user_id", "amount_paise", "discount_paise", "credits", "currency"),
    "transactions": ("id", "user_id", "order_id", "amount", "currency", "payment_id"),
    "adjustments": ("id", "user_id", "credits", "reason", "proposed_by"),
}
"""Columns that no service writes once they are there."""

ADDED_ONLY = (
    *("audit_log", "journal", "postings", "run_events", "usage", "invoices", "credit_notes"),
    *("plans", "model_prices", "exchange_rates"),
)


async def test_no_service_changes_what_stays_as_it_was_written(
    catalogue: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    may = "SELECT has_column_privilege($1::name, $2::text, $3::text, 'UPDATE')"
    may_any = "SELECT has_any_column_privilege($1::name, $2::text, 'UPDATE')"
    deletes = "SELECT has_table_privilege($1::name, $2::text, 'DELETE, TRUNCATE')"
    for role in ("bb_app", "bb_dispatch"):
        for table, columns in FIXED.items():
            changed = [each for each in columns if await catalogue.fetchval(may, role, table, each)]
            assert not changed, f"{role} writes {table}: {changed}"
        for table in ADDED_ONLY:
            assert not await catalogue.fetchval(may_any, role, table), f"{role} changes {table}"
            assert not await catalogue.fetchval(deletes, role, table), f"{role} empties {table}"


async def test_a_password_is_seen_by_its_owner_and_by_whoever_names_the_email(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine, dispatch_engine: AsyncEngine
) -> None:
    await keep_user(postgres_uow)
    async with app_engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 0
    async with dispatch_engine.connect() as connection:
        with pytest.raises(Exception, match="permission denied"):
            await connection.scalar(text("SELECT password FROM users LIMIT 1"))


TENANTS, ROUNDS, CONNECTIONS = 12, 40, 4


async def test_pooled_connections_keep_nothing_of_whom_they_served(
    stack: StackAddresses, postgres_uow: PostgresUnitOfWork
) -> None:
    """Hundreds of transactions of a dozen people on four connections, cut off anywhere."""
    people = [await keep_user(postgres_uow) for _ in range(TENANTS)]
    projects = {person.id: (await keep_project(postgres_uow, person)).id for person in people}
    chance = random.Random(20261128)
    engine = open_engine(stack.database_url or "", pool_size=CONNECTIONS, application="tenancy")
    uow = PostgresUnitOfWork(engine)
    seen: list[tuple[UUID, UUID]] = []

    async def visit(person: User) -> None:
        async with uow.begin(person.id) as tx:
            for _ in range(3):
                page = await tx.projects.page(Page(limit=50), status=None, search="")
                seen.extend((person.id, project.user_id) for project in page)
                assert [project.id for project in page] == [projects[person.id]]
                others = chance.choice(people)
                assert (await tx.users.get(others.id) is None) == (others.id != person.id)
                named = await tx.users.by_email(others.email)
                assert named is not None and named.id == others.id

    async def cut_off(person: User) -> None:
        visiting = asyncio.create_task(visit(person))
        await asyncio.sleep(chance.random() * 0.02)
        visiting.cancel()
        with suppress(asyncio.CancelledError):
            await visiting

    try:
        for _ in range(ROUNDS):
            await asyncio.gather(
                *(
                    (cut_off if chance.random() < 0.4 else visit)(chance.choice(people))
                    for _ in range(TENANTS)
                )
            )
        assert len(seen) > TENANTS * ROUNDS
        assert all(person == owner for person, owner in seen)
        await _nothing_is_left(engine)
    finally:
        await engine.dispose()


async def _nothing_is_left(engine: AsyncEngine) -> None:
    async with asyncio.timeout(30):
        connections = [await engine.connect() for _ in range(CONNECTIONS)]
    try:
        for connection in connections:
            for setting in ("app.user_id", "app.email", "app.key_digests"):
                left = await connection.scalar(
                    text("SELECT current_setting(:s, true)"), {"s": setting}
                )
                assert not left, f"{setting} is still {left}"
            assert await connection.scalar(text("SELECT count(*) FROM projects")) == 0
            assert await connection.scalar(text("SELECT count(*) FROM users")) == 0
    finally:
        for connection in connections:
            await connection.close()
