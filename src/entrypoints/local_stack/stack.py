"""The whole stack of one folder: lock, state, servers, addresses."""

import asyncio
import fcntl
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import structlog

from entrypoints.local_stack import binaries
from entrypoints.local_stack.credentials import StackState, load_or_create
from entrypoints.local_stack.errors import ProcessFailed, StackAlreadyRunning
from entrypoints.local_stack.ports import HOST
from entrypoints.local_stack.postgres import PostgresServer
from entrypoints.local_stack.processes import ProcessSupervisor, RestartPolicy
from entrypoints.local_stack.roles import APP_ROLE, DATABASE, DISPATCH_ROLE, OWNER_ROLE
from entrypoints.local_stack.seaweedfs import BUCKET, SeaweedServer
from entrypoints.local_stack.server import Server, require_free_ports
from entrypoints.local_stack.valkey import ValkeyServer

log: structlog.stdlib.BoundLogger = structlog.get_logger("local_stack")

STATE_FOLDER = ".bharatbuild"
ALL_SERVICES = frozenset({"postgres", "redis", "s3"})


@dataclass(frozen=True, slots=True)
class StackAddresses:
    """Where the started services are, credentials included; None for one that was not started."""

    database_url: str | None = field(default=None, repr=False)
    database_owner_url: str | None = field(default=None, repr=False)
    database_dispatch_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    s3_endpoint: str | None = None
    s3_access_key: str | None = field(default=None, repr=False)
    s3_secret_key: str | None = field(default=None, repr=False)
    s3_bucket: str | None = None

    def environment(self) -> dict[str, str]:
        """The settings' variables of the services that were started, and only of those."""
        variables = {
            "DATABASE_URL": self.database_url,
            "DATABASE_OWNER_URL": self.database_owner_url,
            "DATABASE_DISPATCH_URL": self.database_dispatch_url,
            "REDIS_URL": self.redis_url,
            "S3_ENDPOINT": self.s3_endpoint,
            "S3_ACCESS_KEY": self.s3_access_key,
            "S3_SECRET_KEY": self.s3_secret_key,
            "S3_BUCKET": self.s3_bucket,
        }
        return {name: value for name, value in variables.items() if value is not None}


class LocalStack:
    """PostgreSQL, Valkey and SeaweedFS for one folder, in ``root``/.bharatbuild.

    The servers end with the process that has started them, also when it is killed (on Linux);
    a server that ends by itself is started again, on the same port.
    """

    def __init__(
        self,
        root: Path,
        *,
        services: Collection[str] = ALL_SERVICES,
        environment: Mapping[str, str] | None = None,
        restart: RestartPolicy | None = None,
    ) -> None:
        """Nothing is touched before :meth:`start`.

        Args:
            root: the folder whose stack it is.
            services: which of ``postgres``, ``redis`` and ``s3`` to start.
            environment: where ``POSTGRES_BIN``, ``VALKEY_SERVER`` and ``SEAWEEDFS_BIN`` are looked
                up; by default this process's.
            restart: how a server that ends is started again.

        Raises:
            ValueError: an unknown service.
        """
        if unknown := set(services) - ALL_SERVICES:
            raise ValueError(f"unknown services: {', '.join(sorted(unknown))}")
        self._services = frozenset(services)
        self._folder = root.absolute() / STATE_FOLDER
        self._environment = os.environ if environment is None else environment
        self._restart = restart
        self._lock: int | None = None
        self._supervisor: ProcessSupervisor | None = None
        self._servers: tuple[Server, ...] = ()

    @property
    def state_file(self) -> Path:
        """The generated secrets and ports, mode 0600."""
        return self._folder / "stack.json"

    @property
    def servers(self) -> tuple[Server, ...]:
        """The started servers."""
        return self._servers

    def remembered(self) -> StackAddresses | None:
        """The addresses of this folder's stack, whether or not it runs; None before a first start.

        Raises:
            StateUnreadable: ``stack.json`` is damaged or open to others.
        """
        if not self.state_file.exists():
            return None
        return self._addresses(load_or_create(self.state_file))

    async def start(self) -> StackAddresses:
        """Start the servers together; all answer when this returns.

        Raises:
            StackAlreadyRunning: another process runs this folder's stack.
            PortTaken: somebody else holds a remembered port.
            BinaryNotFound: a server is not installed.
            ServerNotReady: a server does not come up; nothing is left running.
            StateUnreadable: ``stack.json`` is damaged or open to others.
        """
        if self._supervisor is not None:
            raise RuntimeError("this stack has been started already")
        self._lock = await asyncio.to_thread(_take_lock, self._folder)
        try:
            state = await asyncio.to_thread(load_or_create, self.state_file)
            servers = self._make_servers(state)
            await asyncio.gather(*(server.end_leftovers() for server in servers))
            for server in servers:
                require_free_ports(server, self.state_file)
            supervisor = ProcessSupervisor(servers, self._restart)
            await supervisor.start()
        except BaseException:
            self._release_lock()
            raise
        self._servers, self._supervisor = servers, supervisor
        log.info("stack_started", pids={server.name: server.pid for server in servers})
        return self._addresses(state)

    async def stop(self) -> None:
        """Stop the servers in an orderly way, then let go of the folder. Safe to repeat."""
        supervisor, self._supervisor = self._supervisor, None
        try:
            if supervisor is not None:
                await supervisor.stop()
                log.info("stack_stopped")
        finally:
            self._release_lock()

    async def failed(self) -> ProcessFailed:
        """Wait until a server has ended too often to be started again; the reason.

        Raises:
            RuntimeError: the stack has not been started.
        """
        if self._supervisor is None:
            raise RuntimeError("the stack has not been started")
        return await self._supervisor.failed()

    async def __aenter__(self) -> StackAddresses:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _make_servers(self, state: StackState) -> tuple[Server, ...]:
        servers: list[Server] = []
        logs = self._folder / "logs"
        if "postgres" in self._services:
            servers.append(
                PostgresServer(
                    bin_directory=binaries.postgres_bin(self._environment),
                    directory=self._folder / "postgres",
                    log_file=logs / "postgres.log",
                    port=state.ports.postgres,
                    superuser_password=state.secrets.postgres_superuser_password,
                    roles=state.secrets.roles,
                )
            )
        if "redis" in self._services:
            servers.append(
                ValkeyServer(
                    binary=binaries.valkey_server(self._environment),
                    directory=self._folder / "valkey",
                    log_file=logs / "valkey.log",
                    port=state.ports.valkey,
                    password=state.secrets.valkey_password,
                )
            )
        if "s3" in self._services:
            servers.append(
                SeaweedServer(
                    binary=binaries.seaweedfs(self._environment),
                    directory=self._folder / "seaweedfs",
                    log_file=logs / "seaweedfs.log",
                    ports=state.ports,
                    secrets=state.secrets,
                )
            )
        return tuple(servers)

    def _addresses(self, state: StackState) -> StackAddresses:
        secrets, ports = state.secrets, state.ports

        def database(role: str, password: str) -> str | None:
            if "postgres" not in self._services:
                return None
            return f"postgresql://{role}:{password}@{HOST}:{ports.postgres}/{DATABASE}"

        has_redis, has_s3 = "redis" in self._services, "s3" in self._services
        redis_url = f"redis://:{secrets.valkey_password}@{HOST}:{ports.valkey}/0"
        return StackAddresses(
            database_url=database(APP_ROLE, secrets.postgres_app_password),
            database_owner_url=database(OWNER_ROLE, secrets.postgres_owner_password),
            database_dispatch_url=database(DISPATCH_ROLE, secrets.postgres_dispatch_password),
            redis_url=redis_url if has_redis else None,
            s3_endpoint=f"http://{HOST}:{ports.seaweedfs_s3}" if has_s3 else None,
            s3_access_key=secrets.s3_access_key if has_s3 else None,
            s3_secret_key=secrets.s3_secret_key if has_s3 else None,
            s3_bucket=BUCKET if has_s3 else None,
        )

    def _release_lock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _take_lock(folder: Path) -> int:
    """The open, locked file: the system lets go of it when we end, however that is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "lock"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode().strip()
        os.close(descriptor)
        raise StackAlreadyRunning(
            str(folder.parent), int(holder) if holder.isdigit() else None
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
