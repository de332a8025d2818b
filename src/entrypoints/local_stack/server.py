"""What the three servers have in common: their shape, and waiting until they answer."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from entrypoints.local_stack.child_process import ChildProcess, Command
from entrypoints.local_stack.errors import PortTaken, ServerNotReady
from entrypoints.local_stack.leftovers import end_leftovers
from entrypoints.local_stack.ports import holder_of, is_free
from entrypoints.local_stack.processes import Supervised

_POLL_SECONDS = 0.02
# The shortest of the systems' limits on a Unix socket's path (macOS: 104 bytes with the NUL).
_SOCKET_PATH_BYTES = 103


class Server(Supervised, Protocol):
    """A supervised server with a folder of its own and a main port on 127.0.0.1."""

    @property
    def port(self) -> int:
        """The port that clients use."""

    @property
    def ports(self) -> dict[str, int]:
        """All ports it listens on, by the name of what listens."""

    @property
    def directory(self) -> Path:
        """Its folder: configuration and data."""

    @property
    def log_file(self) -> Path:
        """Where its output goes."""

    async def end_leftovers(self) -> None:
        """End what an earlier, killed run has left of it, so that its ports are free."""


class BinaryServer(ABC):
    """A server that is one binary in a folder of its own: configured, started, asked, stopped."""

    def __init__(
        self, binary: Path, directory: Path, command: Command, *, ready_seconds: float
    ) -> None:
        self.directory = directory
        self._binary = binary
        self._command = command
        self._process = ChildProcess(command)
        self._ready_seconds = ready_seconds

    @property
    def pid(self) -> int | None:
        """The server's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.alive

    async def start(self) -> None:
        """Write its configuration, start it, and wait until it answers as a client needs it to.

        Raises:
            ServerNotReady: see its log.
        """
        await asyncio.to_thread(self._configure)
        await self._process.start()
        try:
            await wait_until_ready(self._process, self._answers, self._ready_seconds)
        except BaseException:
            await self._process.stop()
            raise

    async def wait(self) -> int:
        """Wait until the process ends."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, with its signal and in its time; then end it."""
        await self._process.stop()

    async def end_leftovers(self) -> None:
        """End a server that a killed run has left behind."""
        signal_, grace = self._command.stop_signal, self._command.grace_seconds
        await asyncio.to_thread(end_leftovers, self._binary.name, self.directory, signal_, grace)

    @abstractmethod
    def _configure(self) -> None:
        """Make its folder and write its configuration."""

    @abstractmethod
    async def _answers(self) -> bool:
        """Whether it does now what clients will ask of it."""


async def wait_until_ready(
    process: ChildProcess, answers: Callable[[], Awaitable[bool]], seconds: float
) -> None:
    """Return as soon as the server answers.

    Raises:
        ServerNotReady: the process ended, or ``seconds`` have passed. It carries the log's end.
    """
    try:
        async with asyncio.timeout(seconds):
            while not await answers():
                if not process.alive:
                    status = await process.wait()
                    raise ServerNotReady(
                        process.name, f"ended with status {status}", process.log_tail()
                    )
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as error:
        raise ServerNotReady(
            process.name, f"did not answer within {seconds:g} s", process.log_tail()
        ) from error


def require_free_ports(server: Server, state_file: Path) -> None:
    """Check, before a first start, that nobody else holds one of the server's ports.

    Raises:
        PortTaken: naming the port, what it is for, and its holder.
    """
    for service, port in server.ports.items():
        if not is_free(port):
            raise PortTaken(port, service, holder_of(port), str(state_file))


def fits_a_socket(path: Path) -> bool:
    """Whether a Unix socket can be bound at this path on every system."""
    return len(str(path).encode()) <= _SOCKET_PATH_BYTES
