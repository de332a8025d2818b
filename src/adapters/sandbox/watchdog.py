"""Looks at a sandbox every 20 ms from outside and kills it past a limit.

A thread of its own: a busy event loop or a full executor must not lengthen a limit.
"""

import contextlib
import mmap
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from application.ports.sandbox import SandboxLimits, SandboxOutcome

INTERVAL_SECONDS = 0.02


class Watchdog(threading.Thread):
    """Guards one sandbox from the launcher's ``ready`` to the death of its last process.

    ``channel`` is the outer end of the launcher's socket; it is closed when the thread ends.
    The thread ends when every process of the sandbox is dead, or when the sandbox could not be
    prepared; then it calls ``ended``, from this thread.
    """

    def __init__(
        self, channel: socket.socket, limits: SandboxLimits, ended: Callable[[], object]
    ) -> None:
        super().__init__(name="sandbox-watchdog", daemon=True)
        self._channel = channel
        self._limits = limits
        self._ended = ended
        self._lock = threading.Lock()
        self._init: int | None = None
        self._killed_for: SandboxOutcome | None = None
        self._kill_wanted = False
        self.started = False
        """True from the moment that the command may have run."""
        self.failure: OSError | None = None
        """Why the sandbox could not be watched and was killed, or None."""
        self.peak_memory_bytes = 0
        self.cpu_seconds = 0.0
        self.duration_seconds = 0.0

    @property
    def killed_for(self) -> SandboxOutcome | None:
        """The limit for which the sandbox was killed, or None."""
        return self._killed_for

    def kill(self, outcome: SandboxOutcome | None = None) -> None:
        """Kill every process inside, from any thread. The first ``outcome`` given stands.

        A sandbox still being prepared is killed as soon as it is ready, before its command
        has had time to matter; to end it earlier, kill bubblewrap.
        """
        with self._lock:
            if self._killed_for is None and not self._kill_wanted:
                self._killed_for = outcome
            self._kill_wanted = True
            if self._init is not None:
                # Gone already is what is wanted.
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._init, signal.SIGKILL)

    def run(self) -> None:
        """The thread's body."""
        try:
            with self._channel, contextlib.ExitStack() as open_handles:
                handles = self._await_ready()
                if handles is None:
                    return
                for handle in handles:
                    open_handles.callback(os.close, handle)
                init, processes, disk = handles
                with self._lock:
                    self.started = True
                    self._init = init
                try:
                    self._guard(init, processes, disk)
                finally:
                    with self._lock:
                        self._init = None
        finally:
            self._ended()

    def _await_ready(self) -> tuple[int, int, int] | None:
        # Nothing comes when the launcher failed or never was: then this reads the end.
        _, handles, _, _ = socket.recv_fds(self._channel, 16, 3, flags=socket.MSG_CMSG_CLOEXEC)
        return (handles[0], handles[1], handles[2]) if len(handles) == 3 else None

    def _guard(self, init: int, processes: int, disk: int) -> None:
        started_at = time.monotonic()
        deadline = started_at + self._limits.wall_seconds
        cpu_before = 0.0
        death = select.poll()
        death.register(init, select.POLLIN)
        if self._kill_wanted:
            self.kill()
        wait = 0.0
        while not death.poll(wait * 1000):
            try:
                usage = _measure(processes, disk, self._limits.memory_bytes)
            except OSError as error:
                # Blind, it could hold nothing: the sandbox ends here.
                self.failure = error
                self.kill()
                death.poll()
                break
            self.peak_memory_bytes = max(self.peak_memory_bytes, usage.memory_bytes)
            # A child that its parent ignores takes its time with it: the sum may fall, the
            # count must not.
            self.cpu_seconds += max(0.0, usage.cpu_seconds - cpu_before)
            cpu_before = usage.cpu_seconds
            breach = self._breach(usage, deadline)
            if breach is not None:
                self.kill(breach)
            wait = max(0.0, min(INTERVAL_SECONDS, deadline - time.monotonic()))
        self.duration_seconds = time.monotonic() - started_at

    def _breach(self, usage: "_Usage", deadline: float) -> SandboxOutcome | None:
        if usage.memory_bytes > self._limits.memory_bytes:
            return SandboxOutcome.OUT_OF_MEMORY
        if usage.tasks > self._limits.processes:
            return SandboxOutcome.OUT_OF_PROCESSES
        if self.cpu_seconds >= self._limits.cpu_seconds:
            return SandboxOutcome.OUT_OF_CPU
        if time.monotonic() >= deadline:
            return SandboxOutcome.TIMED_OUT
        return None


@dataclass(frozen=True, slots=True)
class _Usage:
    memory_bytes: int
    cpu_seconds: float
    tasks: int


_PAGE_BYTES = mmap.PAGESIZE
# An inode of tmpfs with its directory entry: kernel memory that the tmpfs's size leaves out.
_INODE_BYTES = 1024


def _measure(processes: int, disk: int, memory_limit: int) -> _Usage:
    pages = ticks = tasks = 0
    names = [name for name in os.listdir(processes) if name.isdecimal()]
    for name in names:
        stat = _read(processes, f"{name}/stat")
        if stat is None:
            continue
        # The command's name, in parentheses, may hold anything. Field numbers: proc(5).
        fields = stat[stat.rindex(b")") + 2 :].split()
        ticks += sum(map(int, fields[11:15]))
        tasks += int(fields[17])
        pages += int(fields[21])
    files = os.fstatvfs(disk)
    inodes_bytes = (files.f_files - files.f_ffree) * _INODE_BYTES
    memory = pages * _PAGE_BYTES + inodes_bytes
    if memory > memory_limit:
        # Forked processes share pages, and the quick sum counts those once for each.
        memory = inodes_bytes + sum(_proportional_bytes(processes, name) for name in names)
    # Process 1 is bubblewrap's.
    return _Usage(memory, ticks / os.sysconf("SC_CLK_TCK"), tasks - 1)


def _proportional_bytes(processes: int, name: str) -> int:
    rollup = _read(processes, f"{name}/smaps_rollup")
    if rollup:
        for line in rollup.splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    # Not ours to look into: its whole resident size counts.
    statm = _read(processes, f"{name}/statm")
    return int(statm.split()[1]) * _PAGE_BYTES if statm else 0


def _read(directory: int, path: str) -> bytes | None:
    """The file's content; None when the process is gone or closed to us."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    try:
        return os.read(descriptor, 4096)
    except (ProcessLookupError, PermissionError):
        return None
    finally:
        os.close(descriptor)
