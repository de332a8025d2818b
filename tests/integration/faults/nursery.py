"""Our processes, by the dozen: forked from one that has done the importing.

A case needs two workers and a start costs three seconds of imports, so they come from here.
Run as a module: it reads one JSON line per process to start (``argv`` of the console command,
``environment``, ``log``, and ``skew``, seconds by which the process's clock is wrong), and
writes ``started PID``, and ``ended PID STATUS`` for each that has ended.
"""

import asyncio
import ctypes
import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

_PR_SET_PDEATHSIG = 1


class Forked:
    """A process of the nursery; the stage treats it as it treats a ``ChildProcess``."""

    def __init__(self, name: str, pid: int, log_file: Path) -> None:
        self.name = name
        self.pid = pid
        self.log_file = log_file
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def alive(self) -> bool:
        """True until it has ended."""
        return not self._status.done()

    async def wait(self) -> int:
        """The exit status, negative for a signal."""
        return await asyncio.shield(self._status)

    def ended(self, status: int) -> None:
        """Note the end."""
        self._status.set_result(status)


class Nursery:
    """The starting end. All that it started ends with it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._started: asyncio.Queue[int | None] = asyncio.Queue()
        self._next = ("", Path())
        self._children: dict[int, Forked] = {}

    async def open(self, environment: Mapping[str, str]) -> None:
        """Start it; the imports go on in the background."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.faults.nursery",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=dict(environment),
        )
        self._reading = asyncio.ensure_future(self._read())

    async def close(self) -> None:
        """End it and everything it started."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def start(
        self, name: str, environment: Mapping[str, str], log: Path, *, skew: float = 0
    ) -> Forked:
        """Start one of our processes by its command's name."""
        assert self._process is not None and self._process.stdin is not None
        wanted = {"argv": [name], "environment": environment, "log": str(log), "skew": skew}
        async with self._starting:
            self._next = (name, log)
            self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
            await self._process.stdin.drain()
            pid = await self._started.get()
            if pid is None:
                raise RuntimeError("the nursery has ended; its standard error says why")
            return self._children[pid]

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            what, pid, *status = line.split()
            if what == b"started":
                name, log = self._next
                self._children[int(pid)] = Forked(name, int(pid), log)
                self._started.put_nowait(int(pid))
            else:
                self._children.pop(int(pid)).ended(int(status[0]))
        self._started.put_nowait(None)
        for child in self._children.values():
            child.ended(-signal.SIGKILL)


def serve() -> None:
    """Fork what is asked for until nobody can ask any more."""
    for module in ("adapters.claude", "entrypoints.worker", "entrypoints.dispatcher"):
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, _reap)
    for line in sys.stdin:
        wanted = json.loads(line)
        # Held back, so that an end is never told before its start.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _become(wanted)
        _tell(f"started {pid}")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _become(wanted: Mapping[str, Any]) -> None:
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, target)
        os.environ.clear()
        os.environ.update(wanted["environment"])
        if wanted["skew"]:
            _skew(timedelta(seconds=wanted["skew"]))
        from entrypoints.cli.main import main

        main(args=wanted["argv"], standalone_mode=False)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def _skew(by: timedelta) -> None:
    from adapters.system import SystemClock

    SystemClock.now = lambda self: datetime.now(UTC) + by  # type: ignore[method-assign]


def _reap(_signal: int, _frame: FrameType | None) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


def _tell(line: str) -> None:
    os.write(sys.__stdout__.fileno(), f"{line}\n".encode())  # type: ignore[union-attr]


if __name__ == "__main__":
    serve()
