"""Valkey, the Redis-protocol server: queue, limits, live nudges.

Everything is in a configuration file that only its owner can read, since any user of the machine
can read a command line.
"""

import asyncio
import signal
from pathlib import Path

from entrypoints.local_stack.child_process import ChildProcess, Command
from entrypoints.local_stack.credentials import write_private
from entrypoints.local_stack.leftovers import end_leftovers
from entrypoints.local_stack.ports import HOST
from entrypoints.local_stack.server import fits_a_socket, wait_until_ready

_READY_SECONDS = 30.0
_GRACE_SECONDS = 5.0
_SOCKET = "valkey.sock"


class ValkeyServer:
    """One ``valkey-server`` with its configuration and append-only file in ``directory``."""

    name = "valkey"

    def __init__(
        self, *, binary: Path, directory: Path, log_file: Path, port: int, password: str
    ) -> None:
        self.directory = directory
        self.log_file = log_file
        self.port = port
        self._binary = binary
        self._password = password
        self._process = ChildProcess(
            Command(
                name=self.name,
                # Relative: its folder is its working directory, so no path needs quoting.
                argv=(str(binary), "valkey.conf"),
                environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                directory=directory,
                log_file=log_file,
                stop_signal=signal.SIGTERM,
                grace_seconds=_GRACE_SECONDS,
            )
        )

    @property
    def ports(self) -> dict[str, int]:
        """What listens where."""
        return {"Valkey": self.port}

    @property
    def pid(self) -> int | None:
        """The server's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.alive

    async def start(self) -> None:
        """Start and wait until the data is loaded and the password accepted.

        Raises:
            ServerNotReady: see its log.
        """
        await asyncio.to_thread(self._configure)
        await self._process.start()
        try:
            await wait_until_ready(self._process, self._answers, _READY_SECONDS)
        except BaseException:
            await self._process.stop()
            raise

    async def wait(self) -> int:
        """Wait until the process ends."""
        return await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM: it writes the append-only file out and ends."""
        await self._process.stop()

    async def end_leftovers(self) -> None:
        """End a server that a killed run has left behind."""
        await asyncio.to_thread(
            end_leftovers, self._binary.name, self.directory, signal.SIGTERM, _GRACE_SECONDS
        )

    def _configure(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            "protected-mode yes",
            f"requirepass {self._password}",
            "daemonize no",
            "dir ./",
            # The append-only file alone: a snapshot beside it would add nothing, and one that
            # fails makes the server refuse every write (stop-writes-on-bgsave-error).
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            # Queue, limits and usage must not vanish when memory is short: refuse writes instead.
            "maxmemory-policy noeviction",
        ]
        if fits_a_socket(self.directory / _SOCKET):
            lines += [f"unixsocket {_SOCKET}", "unixsocketperm 700"]
        write_private(self.directory / "valkey.conf", "\n".join(lines) + "\n")

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            writer.write(f"AUTH {self._password}\r\nPING\r\n".encode())
            # A server that still loads its data answers -LOADING to PING.
            replies = [await reader.readline(), await reader.readline()]
            return replies == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False
        finally:
            writer.close()
