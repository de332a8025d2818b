"""PostgreSQL 15 or newer, run from a folder of its own.

PostgreSQL refuses to run as root. When we are root it therefore runs in a user namespace, where
it sees itself as uid 1000 while its files stay ours; where namespaces are blocked, its folder is
given to uid 65534 and it runs as that.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg

from entrypoints.local_stack import tether
from entrypoints.local_stack.child_process import ChildProcess, Command, Identity, tied_to_us
from entrypoints.local_stack.credentials import RolePasswords, write_private
from entrypoints.local_stack.errors import PrivilegesRefused, ServerNotReady
from entrypoints.local_stack.leftovers import end_leftovers, find_leftovers
from entrypoints.local_stack.ports import HOST
from entrypoints.local_stack.roles import bootstrap_database, close_other_databases
from entrypoints.local_stack.server import fits_a_socket, wait_until_ready

SUPERUSER = "postgres"

_OLDEST = 15
_BUILTIN_LOCALES_FROM = 17
_INITDB_SECONDS = 120.0
# Replaying the log after a kill takes seconds, not minutes, on a database of this kind.
_READY_SECONDS = 60.0
_GRACE_SECONDS = 10.0

_SETTINGS = {
    "listen_addresses": HOST,
    "max_connections": "100",
    "shared_buffers": "128MB",
    # What is acknowledged is on disk, on a laptop too: both are the defaults, and stay said.
    "fsync": "on",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """One cluster in ``directory``/data, with our database and roles in it once it has started."""

    name = "postgres"

    def __init__(
        self,
        *,
        bin_directory: Path,
        directory: Path,
        log_file: Path,
        port: int,
        superuser_password: str,
        roles: RolePasswords,
        identity: Identity | None = None,
    ) -> None:
        """``identity`` overrides how root is left behind; by default the host decides."""
        self.directory = directory
        self.log_file = log_file
        self.port = port
        self._bin = bin_directory
        self._data = directory / "data"
        self._superuser_password = superuser_password
        self._roles = roles
        self._identity = identity
        self._process: ChildProcess | None = None

    @property
    def superuser_dsn(self) -> str:
        """For the bootstrap alone: no service may ever be given this."""
        return f"postgresql://{SUPERUSER}:{self._superuser_password}@{HOST}:{self.port}/postgres"

    @property
    def ports(self) -> dict[str, int]:
        """What listens where."""
        return {"PostgreSQL": self.port}

    @property
    def pid(self) -> int | None:
        """The postmaster's process id."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """True while the postmaster runs."""
        return self._process is not None and self._process.alive

    async def start(self) -> None:
        """Create the cluster if there is none, start it, and bring its roles up to date.

        Raises:
            ServerNotReady: see its log.
            PrivilegesRefused: we are root, and cannot run it as anybody else.
        """
        if self._identity is None:
            self._identity = await asyncio.to_thread(_identity)
        await asyncio.to_thread(self._prepare, self._identity)
        self._process = ChildProcess(self._command(self._identity))
        await self._process.start()
        try:
            await wait_until_ready(self._process, self._answers, _READY_SECONDS)
            await bootstrap_database(self.superuser_dsn, self._roles)
            await close_other_databases(self.superuser_dsn)
        except BaseException:
            await self._process.stop()
            raise

    async def wait(self) -> int:
        """Wait until the postmaster ends."""
        return await self._process.wait() if self._process else 0

    async def stop(self) -> None:
        """SIGINT, a fast shutdown: open transactions are rolled back, the log is flushed."""
        if self._process:
            await self._process.stop()

    async def end_leftovers(self) -> None:
        """End a server that a killed run has left behind."""
        await asyncio.to_thread(
            end_leftovers, "postgres", self._data, signal.SIGINT, _GRACE_SECONDS
        )

    def _prepare(self, identity: Identity) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self._give_folder_to(tether.NOBODY if identity is Identity.NOBODY else 0)
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster(identity)
        self._forget_dead_postmaster()

    def _give_folder_to(self, owner: int) -> None:
        if owner != 0:
            # The way to its folder, not a look into it: what is secret there has its own mode.
            self.directory.parent.chmod(0o711)
        if self.directory.stat().st_uid == owner:
            return
        for folder, _, files in os.walk(self.directory):
            os.chown(folder, owner, owner)
            for file in files:
                os.chown(Path(folder) / file, owner, owner, follow_symlinks=False)

    def _create_cluster(self, identity: Identity) -> None:
        # Created beside its place and moved there: a start that is killed leaves no half of one.
        unfinished = self.directory / "data.new"
        password_file = self.directory / "superuser-password"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_private(password_file, self._superuser_password)
        if identity is Identity.NOBODY:
            os.chown(password_file, tether.NOBODY, tether.NOBODY)
        version = _major_version(self._bin)
        arguments = [
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--data-checksums",
            # The same order and case of characters on every system, whatever its own locales.
            *(
                ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
                if version >= _BUILTIN_LOCALES_FROM
                else ["--locale=C.UTF-8"]
            ),
        ]
        initdb = Command(
            name="initdb",
            argv=(str(self._bin / "initdb"), *arguments),
            environment=self._environment(),
            identity=identity,
        )
        try:
            done = subprocess.run(
                tied_to_us(initdb),
                env=dict(initdb.environment),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_INITDB_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServerNotReady("initdb", f"took over {_INITDB_SECONDS:g} s") from error
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            reason = f"ended with status {done.returncode}"
            raise ServerNotReady("initdb", reason, (done.stdout + done.stderr).strip())
        unfinished.rename(self._data)

    def _forget_dead_postmaster(self) -> None:
        # PostgreSQL takes its lock file for valid when *any* process has the id in it, which in
        # a container, with its few ids, is likely. We know better: no postgres works here.
        lock = self._data / "postmaster.pid"
        if lock.exists() and not find_leftovers("postgres", self._data):
            lock.unlink()

    def _command(self, identity: Identity) -> Command:
        socket = self._data / f".s.PGSQL.{self.port}"
        settings = {
            **_SETTINGS,
            "port": str(self.port),
            # Double quotes: the setting is a list, and a folder's name may have a comma.
            "unix_socket_directories": f'"{self._data}"' if fits_a_socket(socket) else "",
            "unix_socket_permissions": "0700",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Command(
            name=self.name,
            argv=(str(self._bin / "postgres"), "-D", str(self._data), *options),
            environment=self._environment(),
            directory=self._data,
            log_file=self.log_file,
            stop_signal=signal.SIGINT,
            grace_seconds=_GRACE_SECONDS,
            identity=identity,
        )

    def _environment(self) -> dict[str, str]:
        return {"PATH": f"{self._bin}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.superuser_dsn, timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
            return False  # not listening yet, or replaying its log
        await connection.close()
        return True


def _identity() -> Identity:
    """How to leave root behind, found out by trying."""
    if os.geteuid() != 0:
        return Identity.SAME
    if sys.platform != "linux":
        raise PrivilegesRefused("PostgreSQL refuses to run as root; start as an ordinary user.")
    harmless = (sys.executable, "-I", "-S", "-c", "pass")
    probe = Command(name="probe", argv=harmless, environment={}, identity=Identity.NAMESPACE)
    done = subprocess.run(tied_to_us(probe), env={}, capture_output=True, timeout=30, check=False)
    return Identity.NAMESPACE if done.returncode == 0 else Identity.NOBODY


def _major_version(bin_directory: Path) -> int:
    command = [str(bin_directory / "postgres"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    if found is None:
        raise ServerNotReady("postgres --version", "gave no version", done.stderr.strip())
    version = int(found.group(1))
    if version < _OLDEST:
        raise ServerNotReady(
            "postgres", f"{version} is too old: {_OLDEST} is the oldest that works"
        )
    return version
