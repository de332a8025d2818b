"""HTTP processes on the session's servers, with settings of a test's own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from entrypoints.local_stack import StackAddresses

_START_SECONDS = 120


def http_environment(stack: StackAddresses) -> dict[str, str]:
    """What HTTP needs: the servers' addresses, and keys of its own."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
        **stack.environment(),
        "JWT_SIGNING_KEY": generate_signing_key()[1],
        "API_KEY_PEPPERS": generate_pepper(),
        "SECRET_BOX_KEYS": generate_box_key(),
        "OPEN_REGISTRATION": "true",
        "KEY_PER_MINUTE": "100000",
        "USER_PER_MINUTE": "100000",
    }
    environment.pop("DATABASE_OWNER_URL", None)
    return environment


@asynccontextmanager
async def http_process(environment: Mapping[str, str], log: Path, port: int) -> AsyncIterator[str]:
    """One process, and where it will answer: see :func:`answering`."""
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
        with suppress(ProcessLookupError):  # a test may have had it die
            process.terminate()
        await process.wait()


async def answering(url: str) -> None:
    """Wait until a process answers."""
    async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(f"{url}/health/live")).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
