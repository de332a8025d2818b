"""What the three servers have in common: their shape, and waiting until they answer."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from entrypoints.local_stack.child_process import ChildProcess
from entrypoints.local_stack.errors import PortTaken, ServerNotReady
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
