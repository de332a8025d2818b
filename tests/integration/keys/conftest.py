"""Several HTTP processes of one platform, and a Valkey that the test may kill."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from entrypoints.local_stack import StackAddresses
from entrypoints.local_stack.ports import choose_free_port
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
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
        **stack.environment(),
        "REDIS_URL": valkey.url,
        "JWT_SIGNING_KEY": generate_signing_key()[1],
        "API_KEY_PEPPERS": generate_pepper(),
        "SECRET_BOX_KEYS": generate_box_key(),
        "KEY_PER_MINUTE": "100000",
        "USER_PER_MINUTE": "100000",
        "OPEN_REGISTRATION": "true",
    }
    environment.pop("DATABASE_OWNER_URL", None)
    try:
        async with AsyncExitStack() as opened:
            starts = [
                opened.enter_async_context(_process(environment, tmp_path / f"http-{number}.log"))
                for number in range(PROCESSES)
            ]
            urls = tuple([await start for start in starts])
            await asyncio.gather(*(_answers(url) for url in urls))
            partner = await opened.enter_async_context(
                partner_of(urls[0], stack.database_owner_url or "")
            )
            yield Cluster(urls=urls, partner=partner, valkey=valkey)
    finally:
        valkey.kill()


@asynccontextmanager
async def _process(environment: dict[str, str], log: Path) -> AsyncIterator[str]:
    port = choose_free_port()
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "entrypoints.cli.main", "http"),
            env={**environment, "HTTP_PORT": str(port)},
            stdout=file,
            stderr=file,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _answers(url: str) -> None:
    async with asyncio.timeout(40), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(f"{url}/health/live")).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
