"""One operating-system process of ours: started tied to us, watched, and ended for certain."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from entrypoints.local_stack import tether

LOG_ROTATION_BYTES = 10 * 1024 * 1024
_LOG_TAIL_LINES = 15


class Identity(StrEnum):
    """As whom a process runs. The values are :mod:`~entrypoints.local_stack.tether`'s."""

    SAME = "same"
    NAMESPACE = "namespace"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run and how to end it.

    ``environment`` is complete: nothing is inherited. Without ``log_file`` the process writes to
    our own standard output. ``stop_signal`` asks for an orderly end, also when we die ourselves;
    after ``grace_seconds`` follows SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    directory: Path | None = None
    log_file: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0
    identity: Identity = Identity.SAME


class ChildProcess:
    """A :class:`Command` that can be started, watched and stopped, any number of times."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._process: asyncio.subprocess.Process | None = None
        self._group: int | None = None

    @property
    def name(self) -> str:
        """What logs and messages call it."""
        return self.command.name

    @property
    def pid(self) -> int | None:
        """The process's id, or None before the first start."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """True from start until the process has ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process; it is running, not necessarily ready, when this returns.

        Raises:
            OSError: the command cannot be executed.
        """
        if self.alive:
            return
        command = self.command
        with _output(command.log_file) as output:
            self._process = await asyncio.create_subprocess_exec(
                *tied_to_us(command),
                env=dict(command.environment),
                cwd=command.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A session of its own keeps Ctrl-C to us alone, so that we choose the order in
                # which things end, and gives it a process group that can be ended as a whole.
                start_new_session=True,
            )
            self._group = self._process.pid

    async def wait(self) -> int:
        """Wait for the end; the exit status, negative for a signal, as in :mod:`subprocess`."""
        if self._process is None:
            return 0
        status = await self._process.wait()
        self._end_group()
        return status

    async def stop(self) -> None:
        """Ask the process to end; after the grace period, end it and its group."""
        if self._process is None or not self.alive:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(self.command.stop_signal)
        try:
            async with asyncio.timeout(self.command.grace_seconds):
                await self._process.wait()
        except TimeoutError:
            self._end_group()
        await self.wait()

    def log_tail(self) -> str:
        """The last lines of the log, for a message to a person."""
        return _tail(self.command.log_file) if self.command.log_file else ""

    def _end_group(self) -> None:
        # What the process has forked (a worker's children) must not outlive it. Once only: later
        # the number may be another group's.
        group, self._group = self._group, None
        if group is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


def tied_to_us(command: Command) -> tuple[str, ...]:
    """The argument vector that also ends the command when this process ends.

    Only Linux can do that. Elsewhere the command is run as it is, and a supervisor that was
    killed leaves it behind, to be found by the next start (see ``leftovers``).
    """
    if sys.platform != "linux":
        return command.argv
    # The signal goes to the leader alone, which ends its own children in its own order.
    knot = (str(int(command.stop_signal)), str(os.getpid()), command.identity.value)
    return (sys.executable, "-I", "-S", tether.__file__, *knot, *command.argv)


@contextmanager
def _output(log_file: Path | None) -> Iterator[int | None]:
    if log_file is None:
        yield None
        return
    log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log_file.exists() and log_file.stat().st_size > LOG_ROTATION_BYTES:
        log_file.replace(log_file.with_name(log_file.name + ".1"))
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _tail(log_file: Path) -> str:
    with suppress(FileNotFoundError), log_file.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
        lines = log.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"Last lines of {log_file}:", *(f"  {line}" for line in lines)])
    return ""
