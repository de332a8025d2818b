"""What the fault suite plays on: real servers, our processes, and a model that counts its calls.

HTTP and the dispatcher stay; workers are started and ended by each case. Leases are two
seconds long, so that a case waits two seconds where production waits fifteen.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg
import httpx

from adapters.postgres.migrate import upgrade
from adapters.redis import open_redis
from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from application.failpoints import Failpoint
from entrypoints.local_stack import ChildProcess, Command, LocalStack, RestartPolicy
from entrypoints.local_stack.ports import choose_free_port
from entrypoints.local_stack.postgres import PostgresServer
from entrypoints.local_stack.server import Server
from tests.integration.faults.nursery import Forked, Nursery
from tests.integration.platform.person import Person
from tests.servers.answers import from_offline_model
from tests.servers.messages_api import MessagesServer, Turn

LEASE_SECONDS = 2.0
HEARTBEAT_SECONDS = 0.3
ANSWER_SECONDS = 0.1
PATIENCE_SECONDS = 60.0

IDEA = "A list of books."
"""Small, so that its verification takes two seconds; every step has its full way to go."""

_RESTART = RestartPolicy(longest_delay_seconds=1.0, most_failures=10_000)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run of one person, whose account is therefore this run's alone."""

    person: Person
    project_id: str
    run_id: str
    calls_before: int

    async def finished(self, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The run's detail once it has ended; asked again while the database is away."""
        deadline = time.monotonic() + seconds
        while True:
            answer = await self.person.http.get(f"/runs/{self.run_id}")
            assert answer.status_code in (200, 503), answer.text
            detail: dict[str, Any] = answer.json()
            live = ("queued", "running")
            if answer.status_code == 200 and detail["run"]["status"] not in live:
                return detail
            assert time.monotonic() < deadline, f"the run did not end: {detail}"
            await asyncio.sleep(0.1)


class Stage:
    """Enter it to start the servers, HTTP and the dispatcher; leaving ends all it started."""

    def __init__(self, root: Path, *, worker_concurrency: int = 4) -> None:
        self._logs = root / "logs"
        self._concurrency = worker_concurrency
        self._stack = LocalStack(root, restart=_RESTART)
        self._nursery = Nursery()
        self._http: list[ChildProcess] = []
        self._forked: list[Forked] = []
        self._people: list[Person] = []
        self._environment: dict[str, str] = {}
        self._port = choose_free_port()
        self.model = MessagesServer(from_offline_model(), default=Turn(delay=ANSWER_SECONDS))
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of every process, as variables."""
        return dict(self._environment)

    async def __aenter__(self) -> Self:
        addresses = await self._stack.start()
        await self.model.__aenter__()
        await upgrade(addresses.database_owner_url or "")
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONUNBUFFERED": "1",
            **addresses.environment(),
            "JWT_SIGNING_KEY": generate_signing_key()[1],
            "API_KEY_PEPPERS": generate_pepper(),
            "SECRET_BOX_KEYS": generate_box_key(),
            "ACCESS_TOKEN_SECONDS": "3600",
            "OPEN_REGISTRATION": "true",
            "ANTHROPIC_API_KEY": "stage",
            "ANTHROPIC_BASE_URL": self.model.url,
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
            "WORKER_CONCURRENCY": str(self._concurrency),
        }
        del self._environment["DATABASE_OWNER_URL"]
        self._logs.mkdir()
        await self._nursery.open(self._environment)
        await self.start("dispatcher")
        await self.start_http(self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for person in self._people:
            await person.http.aclose()
        await self.end(*self._http, *self._forked)
        await self._nursery.close()
        await self.model.__aexit__()
        await self._stack.stop()

    async def start(
        self,
        name: str,
        *,
        at: Failpoint | None = None,
        nth: int = 1,
        how: str = "kill",
        skew: float = 0,
        **settings: str,
    ) -> Forked:
        """Start a worker or a dispatcher; ``at`` is where it ends (or stops) itself."""
        log = self._logs / f"{len(self._forked):03}-{name}.log"
        log.touch()
        environment = {**self._environment, **_armed(at, nth, how), **settings}
        process = await self._nursery.start(name, environment, log, skew=skew)
        self._forked.append(process)
        return process

    async def start_http(self, port: int, at: Failpoint | None = None) -> ChildProcess:
        """Start HTTP and wait until it answers."""
        process = ChildProcess(
            Command(
                name="http",
                argv=(sys.executable, "-m", "entrypoints.cli.main", "http"),
                environment={**self._environment, **_armed(at), "HTTP_PORT": str(port)},
                log_file=self._logs / f"http-{len(self._http):03}.log",
            )
        )
        await process.start()
        self._http.append(process)
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:

            async def answers() -> bool:
                try:
                    ready = await client.get(f"http://127.0.0.1:{port}/health/ready")
                except httpx.HTTPError:
                    return False
                return ready.status_code == httpx.codes.OK

            await until(answers)
        return process

    async def restart_http(self) -> None:
        """SIGKILL the HTTP that stays, and start it again on the same port."""
        await self.end(*(process for process in self._http if process.alive))
        await self.start_http(self._port)

    async def open_worker(self, **more: Any) -> Forked:
        """Start a worker and wait until it takes runs."""
        process = await self.start("worker", **more)

        async def is_open() -> bool:
            return "worker open" in process.log_file.read_text()

        await until(is_open)
        return process

    def running(self, name: str) -> list[Forked]:
        """Our processes of a kind that have not ended."""
        return [process for process in self._forked if process.name == name and process.alive]

    async def end(self, *processes: Forked | ChildProcess) -> None:
        """SIGKILL, which also ends what is stopped."""
        for process in processes:
            kill(process)
        await asyncio.gather(*(process.wait() for process in processes))

    async def execute(self, idea: str = IDEA) -> Case:
        """A newcomer's project, executed."""
        person = await self.newcomer()
        project = await person.project(idea)
        before = len(self.model.calls)
        run = await person.post(f"/projects/{project['id']}/execute", status=202)
        return Case(person=person, project_id=project["id"], run_id=run["id"], calls_before=before)

    async def newcomer(self) -> Person:
        """Somebody who has just registered."""
        person = await Person(self.url).__aenter__()
        self._people.append(person)
        return person

    def server(self, name: str) -> Server:
        """One of the local servers: ``postgres``, ``valkey`` or ``seaweedfs``."""
        return next(server for server in self._stack.servers if server.name == name)

    async def kill_server(self, name: str) -> None:
        """SIGKILL a server; the stack starts it again by itself."""
        server = self.server(name)
        before = server.pid
        kill(server)

        async def ended() -> bool:
            return server.pid != before or not server.alive

        await until(ended)

    @asynccontextmanager
    async def database(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection that sees every row: the superuser's. A server that was killed is waited
        for until it is back."""
        server = self.server("postgres")
        assert isinstance(server, PostgresServer)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(
                    server.superuser_dsn, database="bharatbuild", timeout=10
                )
                break
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)
        try:
            yield connection
        finally:
            await connection.close()

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """What a query gives, as the superuser."""
        async with self.database() as connection:
            return [dict(row) for row in await connection.fetch(query, *values)]

    async def in_flight(self, case: Case) -> int:
        """Model calls whose intent is recorded and whose outcome is not."""
        found = await self.rows(
            "SELECT count(*) AS n FROM model_calls WHERE run_id = $1 AND state = 'intent'",
            case.run_id,
        )
        return int(found[0]["n"])

    async def lost(self, case: Case) -> int:
        """Model calls given up because nobody could record their outcome, at least in time."""
        found = await self.rows(
            "SELECT count(*) AS n FROM model_calls WHERE run_id = $1"
            " AND (state = 'lost' OR (borne_by = 'house' AND purpose = 'make'))",
            case.run_id,
        )
        return int(found[0]["n"])

    async def redis(self, *command: str) -> None:
        """Give Redis a command."""
        async with open_redis(self._environment["REDIS_URL"]) as client:
            await client.execute_command(*command)

    async def until_calls(self, case: Case, number: int) -> None:
        """Wait until the model server was asked so often since the run was accepted."""

        async def asked() -> bool:
            return len(self.model.calls) - case.calls_before >= number

        await until(asked)

    async def until_failed_calls(self, case: Case, number: int) -> None:
        """Wait until so many of the run's model calls have failed."""

        async def failed() -> bool:
            found = await self.rows(
                "SELECT count(*) AS n FROM model_calls WHERE run_id = $1 AND state = 'failed'",
                case.run_id,
            )
            return int(found[0]["n"]) >= number

        await until(failed)

    async def until_event(self, case: Case, type_: str, after: int = 0) -> int:
        """Wait for an entry of the run's log above ``after``; its number."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found = await self.rows(
                "SELECT min(seq) AS seq FROM run_events"
                " WHERE run_id = $1 AND type = $2 AND seq > $3",
                case.run_id,
                type_,
                after,
            )
            if found[0]["seq"] is not None:
                return int(found[0]["seq"])
            await asyncio.sleep(0.05)
        raise AssertionError(f"no {type_} came")


def _armed(at: Failpoint | None, nth: int = 1, how: str = "kill") -> dict[str, str]:
    return {"BHARATBUILD_FAILPOINT": f"{at.value}:{nth}:{how}"} if at else {}


def kill(process: Forked | ChildProcess | Server, how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process of ours that has not ended."""
    if process.alive and process.pid is not None:
        # It may have ended a moment ago, and we not have been told yet.
        with suppress(ProcessLookupError):
            os.kill(process.pid, how)


async def until(true: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a state of the world."""
    deadline = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < deadline, "it did not come to be"
        await asyncio.sleep(0.02)
