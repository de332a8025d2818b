"""Workers that are killed before sending, and between sending and writing it down; two
dispatchers all along."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks.webhooks import Webhook

from adapters.postgres.engine import open_engine
from adapters.postgres.migrate import upgrade
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.security import AesGcmSecretBox, BoxKeys, generate_box_key
from adapters.system import SystemClock, UuidMaker
from application.failpoints import Failpoint
from application.webhooks.add_endpoint import AddEndpoint, NewEndpoint
from application.webhooks.deliver_webhooks import LANES, LEASE_SECONDS
from domain.identity.user import Role
from domain.shared.ids import UserId
from domain.webhooks.destination import DestinationRules, is_address
from entrypoints.local_stack import ChildProcess, Command, LocalStack
from tests.contracts.samples import ORIGIN, keep_user
from tests.integration.webhooks.receiver import answering, receiver

EVENTS = 200
KILLED_AT = ((Failpoint.WEBHOOK_BEFORE_SEND, 30), (Failpoint.WEBHOOK_AFTER_SEND, 50))
"""Where workers are killed, one after the other, and the how-manieth time they come there."""


class Processes:
    """Workers and dispatchers on a stack of their own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._started: list[ChildProcess] = []

    async def start(self, name: str, **settings: str) -> ChildProcess:
        process = ChildProcess(
            Command(
                name=name,
                argv=(sys.executable, "-m", "entrypoints.cli.main", name),
                environment={**self._environment, **settings},
                log_file=self._folder / f"{len(self._started)}-{name}.log",
            )
        )
        self._started.append(process)
        await process.start()
        return process

    async def stop(self) -> None:
        for process in self._started:
            await process.stop()


@asynccontextmanager
async def _engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(url, pool_size=4, application="tests")
    try:
        yield engine
    finally:
        await engine.dispose()


async def _as(engine: AsyncEngine, user_id: UserId, statement: str) -> list[tuple[object, ...]]:
    async with engine.begin() as connection:
        await connection.execute(
            text("SELECT set_config('app.user_id', :id, true)"), {"id": str(user_id)}
        )
        rows = await connection.execute(text(statement))
        return [tuple(row) for row in rows] if rows.returns_rows else []


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[tuple[Processes, AsyncEngine, str]]:
    async with AsyncExitStack() as stack:
        addresses = await stack.enter_async_context(LocalStack(tmp_path))
        await upgrade(addresses.database_owner_url or "")
        keys = generate_box_key()
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            **addresses.environment(),
            "SECRET_BOX_KEYS": keys,
            "WEBHOOK_PRIVATE_ADDRESSES": "true",
        }
        del environment["DATABASE_OWNER_URL"]
        processes = Processes(tmp_path, environment)
        stack.push_async_callback(processes.stop)
        engine = await stack.enter_async_context(_engine(addresses.database_url or ""))
        yield processes, engine, keys


async def test_every_event_arrives_though_workers_are_killed_around_sending(
    platform: tuple[Processes, AsyncEngine, str],
) -> None:
    processes, engine, keys = platform
    uow = PostgresUnitOfWork(engine)
    user = await keep_user(uow, role=Role.PARTNER)
    rules = DestinationRules(plain=True, permits=is_address)
    box = AesGcmSecretBox(BoxKeys.parse(keys))
    add = AddEndpoint(uow, box, rules, SystemClock(), UuidMaker())
    async with receiver(answering()) as here:
        url = f"http://127.0.0.1:{here.port}/in"
        added = await add(NewEndpoint(user_id=user.id, origin=ORIGIN, url=url))
        for n in range(EVENTS):
            async with uow.begin(user.id) as tx:
                await tx.webhooks.emit("run.succeeded", {"n": n})
        for _ in range(2):
            await processes.start("dispatcher")
        for failpoint, nth in KILLED_AT:
            at = f"{failpoint.value}:{nth}"
            worker = await processes.start("worker", BHARATBUILD_FAILPOINT=at)
            async with asyncio.timeout(60):
                assert await worker.wait() == -signal.SIGKILL
            (leases,) = await _as(
                engine,
                user.id,
                "SELECT count(*), max(extract(epoch FROM lease_until - now()))::float"
                " FROM webhook_deliveries WHERE lease_until > now()",
            )
            assert 1 <= int(str(leases[0])) <= LANES
            assert float(str(leases[1])) <= LEASE_SECONDS
            # So that nobody has to wait for it: the leases of the dead run out now.
            await _as(
                engine,
                user.id,
                "UPDATE webhook_deliveries SET lease_until = now(), due_at = now()"
                " WHERE lease_until > now()",
            )
        await processes.start("worker")
        deadline = time.monotonic() + 60
        pending = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'"
        while await _as(engine, user.id, pending) != [(0,)]:
            assert time.monotonic() < deadline, "deliveries are still pending"
            await asyncio.sleep(0.1)
    states = await _as(
        engine, user.id, "SELECT state, count(*) FROM webhook_deliveries GROUP BY state"
    )
    assert states == [("delivered", EVENTS)]
    emitted = {str(row[0]) for row in await _as(engine, user.id, "SELECT id FROM webhook_events")}
    times = Counter(request.headers["webhook-id"] for request in here.requests)
    assert set(times) == emitted
    assert len(emitted) == EVENTS
    again = len(here.requests) - EVENTS
    assert 1 <= again <= len(KILLED_AT) * LANES
    bodies: dict[str, bytes] = {}
    for request in here.requests:
        Webhook(added.secret).verify(request.body, request.headers)
        assert bodies.setdefault(request.headers["webhook-id"], request.body) == request.body
