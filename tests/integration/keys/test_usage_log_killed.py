"""What of the usage log survives when HTTP, the dispatcher and Redis are killed under load."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from adapters.postgres.migrate import upgrade
from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from application.keys.log_usage import FLUSH_SECONDS
from entrypoints.local_stack import LocalStack
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.platform.partner import partner_of
from tests.integration.redis.private_valkey import PrivateValkey
from tests.integration.superuser import superuser_url

CALLERS = 3
"""Of each process: fewer than are let in at once while Redis cannot say whose a key is."""

HTTP_LOSS_SECONDS = 1.0
"""The guarantee is :data:`FLUSH_SECONDS` and one append; a busy machine gets some patience."""

REDIS_LOSS_SECONDS = 2.0
"""With ``appendfsync everysec`` a server gives a write to the system at once, and at most two
seconds later when its disk is slow (Redis documentation, persistence)."""


@dataclass
class Stage:
    """A database and a Valkey of their own, two HTTP processes and a dispatcher."""

    environment: dict[str, str]
    folder: Path
    valkey: PrivateValkey
    engine: AsyncEngine
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, name: str, command: str) -> None:
        port = self.ports.setdefault(name, choose_free_port())
        passed = {
            name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "entrypoints.cli.main", command),
                env={**passed, **self.environment, "HTTP_PORT": str(port)},
                stdout=log,
                stderr=log,
                # Granian's worker is a child of its own: the group dies as a machine would.
                start_new_session=True,
            )

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def kill(self, name: str) -> None:
        """End the process, and its children, as a crash would."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)

    async def answering(self, name: str) -> None:
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    if (await client.get(f"{self.url(name)}/health/live")).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)

    async def kept(self, key_id: str) -> list[str]:
        """The request ids of the log."""
        async with self.engine.begin() as connection:
            await connection.execute(text("SELECT set_config('row_security', 'off', true)"))
            rows = await connection.execute(
                text("SELECT request_id FROM usage_logs WHERE api_key_id = CAST(:key AS uuid)"),
                {"key": key_id},
            )
            return list(rows.scalars())

    async def summed(self, key_id: str) -> int:
        async with self.engine.begin() as connection:
            found = await connection.scalar(
                text("SELECT sum(requests) FROM usage_hours WHERE api_key_id = CAST(:k AS uuid)"),
                {"k": key_id},
            )
            return int(found or 0)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    valkey = PrivateValkey(tmp_path, durable=True)
    valkey.start()
    async with AsyncExitStack() as opened:
        opened.callback(valkey.kill)
        servers = LocalStack(tmp_path, services={"postgres"})
        addresses = await opened.enter_async_context(servers)
        owner_url = addresses.database_owner_url or ""
        await upgrade(owner_url)
        engine = create_async_engine(
            superuser_url(servers).replace("postgresql://", "postgresql+asyncpg://", 1)
        )
        opened.push_async_callback(engine.dispose)
        environment = {
            **addresses.environment(),
            "REDIS_URL": valkey.url,
            "S3_ENDPOINT": "http://127.0.0.1:1",
            "S3_ACCESS_KEY": "nobody",
            "S3_SECRET_KEY": "nobody",
            "JWT_SIGNING_KEY": generate_signing_key()[1],
            "API_KEY_PEPPERS": generate_pepper(),
            "SECRET_BOX_KEYS": generate_box_key(),
            "OPEN_REGISTRATION": "true",
            "KEY_PER_MINUTE": "100000",
            "USER_PER_MINUTE": "100000",
            "UNVERIFIED_PER_MINUTE": "10000",
            "DISPATCH_SECONDS": "0.1",
            "LOG_LEVEL": "warning",
        }
        made = Stage(environment, tmp_path, valkey, engine)
        made.environment["OWNER"] = owner_url
        try:
            await asyncio.gather(
                made.start("one", "http"),
                made.start("two", "http"),
                made.start("dispatcher", "dispatcher"),
            )
            await asyncio.gather(made.answering("one"), made.answering("two"))
            yield made
        finally:
            for process in made.processes.values():
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


@dataclass
class Load:
    """Calls without a pause; ``answered`` says when a good answer to which request came."""

    answered: dict[str, float] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    ended: bool = False

    async def call(self, url: str, key: str) -> None:
        headers = {"X-API-Key": key}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
            while not self.ended:
                name = uuid4().hex
                self.sent.add(name)
                try:
                    answer = await client.get(
                        "/api/v1/projects", headers={"X-Request-Id": name}, timeout=10
                    )
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
                    continue
                if answer.status_code == 200:
                    self.answered[name] = time.monotonic()

    async def grows(self, by: int) -> None:
        aim = len(self.answered) + by
        async with asyncio.timeout(60):
            while len(self.answered) < aim:
                await asyncio.sleep(0.02)


async def test_killed_processes_lose_no_more_of_the_log_than_is_said(stage: Stage) -> None:
    assert FLUSH_SECONDS < HTTP_LOSS_SECONDS
    async with partner_of(stage.url("two"), stage.environment["OWNER"]) as partner:
        key = await partner.issue()
    one, two = Load(), Load()
    calls = [
        asyncio.ensure_future(load.call(stage.url(name), key["secret"]))
        for load, name in ((one, "one"), (two, "two"))
        for _ in range(CALLERS)
    ]
    await one.grows(100)
    await two.grows(100)

    # The consumer dies with entries that it has taken and not settled, or just settled.
    for _ in range(3):
        stage.kill("dispatcher")
        await stage.processes["dispatcher"].wait()
        await two.grows(30)
        await stage.start("dispatcher", "dispatcher")
        await two.grows(100)

    stage.kill("one")
    one_killed = time.monotonic()
    await two.grows(50)

    redis_killed = time.monotonic()
    stage.valkey.kill()
    await two.grows(20)  # what is answered meanwhile waits in the process
    stage.valkey.start()
    await two.grows(200)
    one.ended = two.ended = True
    await asyncio.gather(*calls)

    def lost_with_one(kept: set[str]) -> set[str]:
        return {name for name in one.answered if name not in kept}

    expected = set(two.answered)
    async with asyncio.timeout(40):
        while expected - (kept := set(await stage.kept(key["id"]))):
            before = [at for name, at in two.answered.items() if name not in kept]
            if all(redis_killed - REDIS_LOSS_SECONDS < at <= redis_killed for at in before):
                # Either it is still on its way, or lost with the server as is allowed.
                await asyncio.sleep(8)
                kept = set(await stage.kept(key["id"]))
                break
            await asyncio.sleep(0.2)

    rows = await stage.kept(key["id"])
    assert len(rows) == len(set(rows)), "a request was logged twice"
    assert set(rows) <= one.sent | two.sent
    assert await stage.summed(key["id"]) == len(rows)
    for name in expected - set(rows):
        assert redis_killed - REDIS_LOSS_SECONDS < two.answered[name] <= redis_killed
    for name in lost_with_one(set(rows)):
        at = one.answered[name]
        with_one = one_killed - HTTP_LOSS_SECONDS < at
        with_redis = redis_killed - REDIS_LOSS_SECONDS < at
        assert with_one or with_redis
    print(
        f"answered {len(one.answered)} + {len(two.answered)}, kept {len(rows)},"
        f" lost with the killed process {len(lost_with_one(set(rows)))},"
        f" with Redis {len(expected - set(rows))}"
    )


async def test_a_process_that_is_told_to_end_loses_nothing(stage: Stage) -> None:
    async with partner_of(stage.url("two"), stage.environment["OWNER"]) as partner:
        key = await partner.issue()
    load = Load()
    calls = [
        asyncio.ensure_future(load.call(stage.url("one"), key["secret"])) for _ in range(CALLERS)
    ]
    await load.grows(100)
    stage.processes["one"].terminate()
    await stage.processes["one"].wait()
    load.ended = True
    await asyncio.gather(*calls)
    async with asyncio.timeout(30):
        while set(load.answered) - set(await stage.kept(key["id"])):
            await asyncio.sleep(0.1)
