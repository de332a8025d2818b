"""The real servers, started once for a session of tests, in a folder of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.claims import PostgresRunClaims
from adapters.postgres.engine import open_engine
from adapters.postgres.migrate import upgrade
from adapters.postgres.read_pool import ReadPool
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from entrypoints.local_stack import LocalStack, StackAddresses
from tests.integration.commits import let_commits_not_wait
from tests.integration.superuser import superuser_url as url_of_superuser


@pytest.fixture(scope="session")
async def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[LocalStack, StackAddresses]]:
    """The servers, and where they are."""
    root: Path = tmp_path_factory.mktemp("stack")
    servers = LocalStack(root)
    async with servers as addresses:
        await upgrade(addresses.database_owner_url or "")
        await let_commits_not_wait(addresses.database_owner_url or "")
        yield servers, addresses


@pytest.fixture(scope="session")
def stack(running: tuple[LocalStack, StackAddresses]) -> StackAddresses:
    """PostgreSQL (migrated), Valkey and SeaweedFS."""
    return running[1]


@pytest.fixture(scope="session")
def superuser_url(running: tuple[LocalStack, StackAddresses]) -> str:
    """The database as its superuser, whom nothing but a test of damage may be."""
    return url_of_superuser(running[0])


@pytest.fixture(scope="session")
async def app_engine(stack: StackAddresses) -> AsyncIterator[AsyncEngine]:
    """Connections as the role ``bb_app``."""
    engine = open_engine(stack.database_url or "", pool_size=10, application="tests")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def dispatch_engine(stack: StackAddresses) -> AsyncIterator[AsyncEngine]:
    """Connections as the role ``bb_dispatch``."""
    engine = open_engine(stack.database_dispatch_url or "", pool_size=10, application="tests")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def read_pool(stack: StackAddresses) -> AsyncIterator[ReadPool]:
    """Connections as the role ``bb_app``, for single statements."""
    pool = ReadPool(stack.database_url or "", 2, "tests-read")
    yield pool
    await pool.close()


@pytest.fixture
def postgres_uow(app_engine: AsyncEngine) -> PostgresUnitOfWork:
    """The real unit of work."""
    return PostgresUnitOfWork(app_engine)


@pytest.fixture
def postgres_claims(dispatch_engine: AsyncEngine) -> PostgresRunClaims:
    """The real claims."""
    return PostgresRunClaims(dispatch_engine)


@pytest.fixture
def wait() -> Callable[[float], Awaitable[None]]:
    """Let database time pass."""
    return asyncio.sleep
