"""Whether an answer's time tells if an address has an account: both, by turns, on the real server.

Starts PostgreSQL and Valkey of its own in a temporary folder and ``bharatbuild http`` as in
production, where accounts are opened by mail alone. Of each flow, an address with an account and
one without are asked about by turns, each from an address of its own, so that no limit is met and
whatever disturbs the machine disturbs both. What is told are the medians, and how often the one was
slower than the other in its turn: half of the time, where nothing tells them apart.

That the work is the same is held by ``tests/integration/accounts/test_equal_work.py``.
"""

import argparse
import asyncio
import itertools
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from adapters.postgres.migrate import upgrade
from application.identity.register_user import Registration
from benchmarks.keyed_reads import Target, answering, environment_of, serving
from domain.audit.origin import Origin
from entrypoints.container import open_container
from entrypoints.local_stack import LocalStack
from entrypoints.local_stack.ports import choose_free_port
from entrypoints.settings import load

PASSWORD = secrets.token_urlsafe(16)
WRONG = secrets.token_urlsafe(16)


@dataclass(frozen=True)
class Flow:
    """A flow that takes an address: what is sent besides it, and how it is answered."""

    name: str
    path: str
    body: Mapping[str, str]
    status: int
    signed_in: bool = False


FLOWS = (
    Flow("signing in, wrong password", "/login", {"password": WRONG}, 401),
    Flow("registering", "/register", {"password": WRONG, "name": "A Person"}, 202),
    Flow("asking for a new password", "/password/forgot", {}, 202),
    Flow("having a confirmation sent", "/register/resend", {}, 202),
    Flow("changing to that address", "/email/change", {"password": PASSWORD}, 202, signed_in=True),
)


@dataclass
class Times:
    """Seconds that answers took, turn by turn."""

    known: list[float] = field(default_factory=list)
    unknown: list[float] = field(default_factory=list)

    def line(self, flow: Flow) -> str:
        known, unknown = (statistics.median(each) * 1_000 for each in (self.known, self.unknown))
        slower = sum(a > b for a, b in zip(self.known, self.unknown, strict=True))
        return (
            f"{flow.name:28} {known:8.1f} {unknown:8.1f} {known / unknown:7.3f} "
            f"{slower / len(self.known):9.0%}"
        )


class Strangers:
    """A client that comes from another address every time, through a proxy that is trusted."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._hosts = (f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in itertools.count(1))

    async def timed(self, flow: Flow, email: str, token: str) -> float:
        """How long the answer takes."""
        headers = {"X-Forwarded-For": next(self._hosts)}
        if flow.signed_in:
            headers["Authorization"] = f"Bearer {token}"
        began = time.perf_counter()
        answer = await self._http.post(
            flow.path, json={**flow.body, "email": email}, headers=headers
        )
        took = time.perf_counter() - began
        if answer.status_code != flow.status:
            raise SystemExit(f"{flow.name}: {answer.status_code} {answer.text}")
        return took


async def accounts(environment: Mapping[str, str], count: int) -> list[str]:
    """The addresses of so many new accounts, opened beside the server."""
    emails = [f"known-{secrets.token_hex(6)}@example.com" for _ in range(count)]
    origin = Origin.of_operator("bench")
    async with open_container(
        load({**environment, "ENVIRONMENT": "local"}), process="bench"
    ) as container:
        register = container.register_user()
        for email in emails:
            await register(
                Registration(email=email, password=PASSWORD, name="A Person", origin=origin)
            )
    return emails


async def measured(turns: int, folder: Path) -> None:
    """Start everything, ask in turns, tell."""
    async with AsyncExitStack() as opened:
        stack = LocalStack(folder, services={"postgres", "redis"})
        addresses = await opened.enter_async_context(stack)
        await upgrade(addresses.database_owner_url or "")
        port = choose_free_port()
        environment = {
            **environment_of(addresses),
            "TRUSTED_PROXIES": "127.0.0.1/32",
            "HTTP_PORT": str(port),
        }
        argv = [sys.executable, "-m", "entrypoints.cli.main", "http"]
        await opened.enter_async_context(serving(folder, "http", argv, environment))
        alive = Target("http", [("127.0.0.1", port)], {}, "/health/live")
        await answering(folder, "http", alive)
        actor, *known = await accounts(environment, turns + 1)
        http = await opened.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}/api/v1/auth", trust_env=False, timeout=60
            )
        )
        answer = await http.post("/login", json={"email": actor, "password": PASSWORD})
        token = answer.raise_for_status().json()["access_token"]
        strangers, times = Strangers(http), {flow.name: Times() for flow in FLOWS}
        for turn, email in enumerate(known):
            unknown = f"unknown-{secrets.token_hex(6)}@example.com"
            for flow in FLOWS:
                of = times[flow.name]
                # Who comes first changes, lest what the first leaves warm be the second's.
                asked = [(email, of.known), (unknown, of.unknown)]
                for address, kept in asked if turn % 2 else reversed(asked):
                    kept.append(await strangers.timed(flow, address, token))
    print(f"{'median of ' + str(turns):28} {'known':>8} {'unknown':>8} {'ratio':>7} {'slower':>9}")
    print(f"{'':28} {'ms':>8} {'ms':>8} {'':7} {'of turns':>9}")
    for flow in FLOWS:
        print(times[flow.name].line(flow))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-equality-") as folder:
        asyncio.run(measured(options.turns, Path(folder)))


if __name__ == "__main__":
    main()
