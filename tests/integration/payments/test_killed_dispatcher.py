"""A dispatcher that dies between keeping an event and acting on it loses nothing."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from adapters.postgres.migrate import upgrade
from adapters.security import generate_box_key
from application.billing.buy_credits import CreditOrder
from application.identity.register_user import Registration
from domain.billing.orders import Order
from entrypoints.container import Container, open_container
from entrypoints.local_stack import LocalStack
from entrypoints.settings import load
from tests.contracts.samples import ORIGIN

CREDITS = 20_000
SECONDS = 40.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A database and Redis of their own, and what a process is told of them."""

    container: Container
    environment: dict[str, str]

    async def dispatcher(self, failpoint: str = "") -> asyncio.subprocess.Process:
        passed = {
            name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "entrypoints.cli.main", "dispatcher"),
            env={**passed, **self.environment, "BHARATBUILD_FAILPOINT": failpoint},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def killed_at(self, failpoint: str) -> None:
        """Run a dispatcher until it dies there."""
        process = await self.dispatcher(failpoint)
        assert await asyncio.wait_for(process.wait(), SECONDS) == -signal.SIGKILL

    async def lease_ends(self) -> None:
        async with self.container.dispatch_engine().begin() as connection:
            await connection.execute(text("UPDATE gateway_events SET due_at = now()"))

    async def pending(self) -> int:
        async with self.container.dispatch_engine().connect() as connection:
            found = await connection.scalar(
                text("SELECT count(*) FROM gateway_events WHERE status = 'pending'")
            )
        return int(found)

    async def credits(self, order: Order) -> int:
        async with self.container.uow().begin(order.user_id) as tx:
            return (await tx.ledger.balance(order.user_id)).available


@pytest.fixture
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    root = tmp_path_factory.mktemp("killed")
    async with LocalStack(root, services={"postgres", "redis"}) as addresses:
        await upgrade(addresses.database_owner_url or "")
        environment = {
            **addresses.environment(),
            "S3_ENDPOINT": "http://127.0.0.1:9",
            "S3_ACCESS_KEY": "none",
            "S3_SECRET_KEY": "none",
            "SECRET_BOX_KEYS": generate_box_key(),
            "STARTING_GRANT": "0",
        }
        environment.pop("DATABASE_OWNER_URL")
        async with open_container(load(environment), process="test") as container:
            yield Stage(container=container, environment=environment)


async def test_an_event_outlives_whoever_took_it_up(stage: Stage) -> None:
    container = stage.container
    user = await container.register_user()(
        Registration(
            email="payer@example.com", password="a long enough one", name="A Payer", origin=ORIGIN
        )
    )
    order = await container.buy_credits()(CreditOrder(user_id=user.id, pack="starter"))
    approval = await container.payment_gateway().approve(order.gateway_order_id)
    headers, body = approval.events[0]
    assert await container.receive_webhook()(headers, body)

    await stage.killed_at("event-taken")
    assert (await stage.pending(), await stage.credits(order)) == (1, 0)

    await stage.lease_ends()
    await stage.killed_at("event-acted-on")
    assert (await stage.pending(), await stage.credits(order)) == (1, CREDITS)

    await stage.lease_ends()
    process = await stage.dispatcher()
    try:
        async with asyncio.timeout(SECONDS):
            while await stage.pending():
                await asyncio.sleep(0.1)
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), SECONDS) == 0
    assert await stage.credits(order) == CREDITS
