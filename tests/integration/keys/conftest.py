"""Several HTTP processes of one platform, and a Valkey that the test may kill."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from entrypoints.local_stack import StackAddresses
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.http_process import answering, http_environment, http_process
from tests.integration.platform.partner import Partner, partner_of
from tests.integration.redis.private_valkey import PrivateValkey

PROCESSES = 4


@dataclass(frozen=True)
class Cluster:
    """Where the processes answer, a partner of theirs, and the Valkey they share."""

    urls: tuple[str, ...]
    partner: Partner
    valkey: PrivateValkey


@pytest.fixture
async def cluster(stack: StackAddresses, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Four processes on the session's database, with a Valkey of their own."""
    valkey = PrivateValkey(tmp_path)
    valkey.start()
    environment = {**http_environment(stack), "REDIS_URL": valkey.url}
    try:
        async with AsyncExitStack() as opened:
            starts = [
                opened.enter_async_context(
                    http_process(environment, tmp_path / f"http-{number}.log", choose_free_port())
                )
                for number in range(PROCESSES)
            ]
            urls = tuple([await start for start in starts])
            await asyncio.gather(*(answering(url) for url in urls))
            partner = await opened.enter_async_context(
                partner_of(urls[0], stack.database_owner_url or "")
            )
            yield Cluster(urls=urls, partner=partner, valkey=valkey)
    finally:
        valkey.kill()
