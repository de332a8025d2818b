"""A Valkey of these tests' own: it is killed, restarted and frozen."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from entrypoints.local_stack.binaries import valkey_server

PASSWORD = "only-for-these-tests"


class PrivateValkey:
    """A server on a loopback port that stays the same through restarts.

    ``durable`` has it write what it is told as the platform's own does, once a second.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._appendonly = "yes" if durable else "no"
        with closing(socket.create_server(("127.0.0.1", 0))) as held:
            self.port: int = held.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server; it answers when this returns."""
        self._process = subprocess.Popen(
            [
                *(valkey_server(os.environ), "--bind", "127.0.0.1", "--port", str(self.port)),
                *("--dir", self._folder, "--save", "", "--appendonly", self._appendonly),
                *("--requirepass", PASSWORD, "--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None, "valkey-server did not start"
                continue
            return

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hold its connections but say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until the coroutine function ``condition`` says yes; fail after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)
