"""Valkey, the Redis-protocol server: queue, limits, live nudges.

Everything is in a configuration file that only its owner can read, since any user of the machine
can read a command line.
"""

import asyncio
import signal
from pathlib import Path

from entrypoints.local_stack.child_process import Command
from entrypoints.local_stack.credentials import write_private
from entrypoints.local_stack.ports import HOST
from entrypoints.local_stack.server import BinaryServer, fits_a_socket

_READY_SECONDS = 30.0
_GRACE_SECONDS = 5.0
_SOCKET = "valkey.sock"


class ValkeyServer(BinaryServer):
    """One ``valkey-server`` with its configuration and append-only file in ``directory``."""

    name = "valkey"

    def __init__(
        self, *, binary: Path, directory: Path, log_file: Path, port: int, password: str
    ) -> None:
        self.log_file = log_file
        self.port = port
        self._password = password
        super().__init__(
            binary,
            directory,
            Command(
                name=self.name,
                # Relative: its folder is its working directory, so no path needs quoting.
                argv=(str(binary), "valkey.conf"),
                environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                directory=directory,
                log_file=log_file,
                # It writes the append-only file out, and ends.
                stop_signal=signal.SIGTERM,
                grace_seconds=_GRACE_SECONDS,
            ),
            ready_seconds=_READY_SECONDS,
        )

    @property
    def ports(self) -> dict[str, int]:
        """What listens where."""
        return {"Valkey": self.port}

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
