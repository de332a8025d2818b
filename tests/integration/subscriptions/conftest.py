"""A PostgreSQL of its own whose clock the tests move."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import open_engine
from adapters.postgres.migrate import upgrade
from adapters.postgres.payment_work import (
    PostgresPaymentSchedule,
    PostgresWebhookInbox,
    PostgresWebhookWork,
)
from adapters.postgres.subscription_work import PostgresSubscriptionSchedule
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from entrypoints.local_stack import LocalStack
from tests.contracts.office import Office
from tests.fakes.clock import MovableClock
from tests.integration.commits import let_commits_not_wait

# Names are looked up here first: what the adapters call now() is the test's clock, while
# the columns' defaults, bound when the tables were made, are the server's.
_MOVED = (
    "CREATE SCHEMA moved",
    "CREATE TABLE moved.clock (at timestamptz NOT NULL)",
    "INSERT INTO moved.clock VALUES (pg_catalog.now())",
    "CREATE FUNCTION moved.now() RETURNS timestamptz LANGUAGE sql STABLE"
    " AS 'SELECT at FROM moved.clock'",
    "CREATE FUNCTION moved.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE"
    " AS 'SELECT at FROM moved.clock'",
    "GRANT USAGE ON SCHEMA moved TO bb_app, bb_dispatch",
    "GRANT SELECT ON moved.clock TO bb_app, bb_dispatch",
    # Bound when it was made, too.
    "ALTER POLICY expired ON lots USING (expires_at <= moved.now())",
)


@pytest.fixture(scope="module")
async def moved_urls(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    async with LocalStack(tmp_path_factory.mktemp("moved"), services={"postgres"}) as addresses:
        owner = addresses.database_owner_url or ""
        await upgrade(owner)
        engine = open_engine(owner, pool_size=1, application="tests")
        async with engine.begin() as connection:
            for statement in _MOVED:
                await connection.execute(text(statement))
        await engine.dispose()
        await let_commits_not_wait(owner)
        yield {
            "owner": owner,
            "app": addresses.database_url or "",
            "dispatch": addresses.database_dispatch_url or "",
        }


@pytest.fixture(scope="module")
async def moved_owner(moved_urls: dict[str, str]) -> AsyncIterator[AsyncEngine]:
    """The books' owner, by the real clock: whoever audits reads no time."""
    engine = open_engine(moved_urls["owner"], pool_size=1, application="tests")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="module")
async def moved_engines(
    moved_urls: dict[str, str],
) -> AsyncIterator[tuple[AsyncEngine, AsyncEngine]]:
    engines = tuple(
        _moved(open_engine(moved_urls[role], pool_size=8, application="tests"))
        for role in ("app", "dispatch")
    )
    yield engines[0], engines[1]
    for engine in engines:
        await engine.dispose()


def _moved(engine: AsyncEngine) -> AsyncEngine:
    @event.listens_for(engine.sync_engine, "connect")
    def look_there_first(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET search_path TO moved, pg_catalog, public")
        cursor.close()
        connection.commit()

    return engine


class ServersClock(MovableClock):
    """A clock whose server goes with it: :meth:`sync` brings the database to its moment."""

    def __init__(self, owner: AsyncEngine) -> None:
        super().__init__()
        self._owner = owner

    async def sync(self) -> None:
        async with self._owner.begin() as connection:
            await connection.execute(text("UPDATE moved.clock SET at = :at"), {"at": self.now()})


@pytest.fixture
async def moved_clock(moved_owner: AsyncEngine) -> ServersClock:
    clock = ServersClock(moved_owner)
    await clock.sync()
    return clock


@pytest.fixture
def office(moved_clock: ServersClock, moved_engines: tuple[AsyncEngine, AsyncEngine]) -> Office:
    app, dispatch = moved_engines
    return Office(
        uow=PostgresUnitOfWork(app),
        schedule=PostgresPaymentSchedule(dispatch),
        inbox=PostgresWebhookInbox(app),
        work=PostgresWebhookWork(dispatch),
        clock=moved_clock,
        subscriptions=PostgresSubscriptionSchedule(dispatch),
    )
