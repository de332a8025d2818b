"""Servers and clients of these tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.redis import open_redis
from tests.integration.redis.private_valkey import PrivateValkey


@pytest.fixture(scope="module")
def running_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateValkey]:
    server = PrivateValkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[str], Redis]]:
    """Open clients that are closed at the end of the test."""
    async with AsyncExitStack() as stack:

        def connect(url: str) -> Redis:
            client = open_redis(url)
            stack.push_async_callback(client.aclose)
            return client

        yield connect


@pytest.fixture
async def redis(running_valkey: PrivateValkey, connect: Callable[[str], Redis]) -> Redis:
    """A client of an empty server."""
    client = connect(running_valkey.url)
    await client.flushall()
    return client


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[PrivateValkey]:
    """A server that the test may kill."""
    server = PrivateValkey(tmp_path)
    server.start()
    yield server
    server.kill()
