"""One run of a sandbox, from its first process to the death of its last."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from adapters.sandbox.usage import Usage, measure
from application.ports.sandbox import (
    SandboxLimits,
    SandboxOutcome,
    SandboxResult,
    SandboxUnavailable,
)

INTERVAL_SECONDS = 0.02
# Generous: it covers a host that is starved, not a sandbox that works.
PREPARATION_SECONDS = 30.0


class Supervisor:
    """Starts a sandbox, feeds it its files, reads its output, and kills it past a limit.

    It blocks, in a thread of its own, where nothing else can delay it: a busy event loop or a
    full executor must not lengthen a limit. That thread is also what the kernel takes for
    bubblewrap's parent, with which bubblewrap dies.

    Args:
        command: gives the words to start, from the descriptors they may name: the socket to the
            launcher, and one for each of ``contents``.
        contents: what is handed over in descriptors.
        files: the workspace.
        limits: of the run.
    """

    def __init__(
        self,
        command: Callable[[int, Sequence[int]], Sequence[str]],
        contents: Sequence[bytes],
        files: Mapping[str, bytes],
        limits: SandboxLimits,
    ) -> None:
        self._command = command
        self._contents = contents
        self._limits = limits
        self._cancelled = threading.Event()
        self._unsent = _stream(files)
        self._chunk = memoryview(b"")
        self._room = limits.output_bytes
        self._stdout = bytearray()
        self._stderr = bytearray()
        # The launcher's handles on process 1, /proc and the tmpfs; none until it is ready.
        self._handles: tuple[int, int, int] | None = None
        self._outcome = SandboxOutcome.EXITED
        self._killed = False
        self._started_at = self._ended_at = 0.0
        self._cpu_seconds = self._last_cpu_seconds = 0.0
        self._peak_memory_bytes = 0
        self._poll = select.poll()
        self._on_event: dict[int, Callable[[int], None]] = {}

    def cancel(self) -> None:
        """Have every process killed, from any thread; :meth:`run` ends when they are dead."""
        self._cancelled.set()

    def run(self) -> SandboxResult:
        """Run to the end. When it returns or raises, every process is dead.

        Raises:
            SandboxUnavailable: the sandbox could not be prepared, or was cancelled before; the
                command was not run.
            OSError: the host failed (say, for want of descriptors); what ran was killed.
        """
        with contextlib.ExitStack() as resources:
            process, channel = self._start(resources)
            try:
                self._attend(process, channel, resources)
            finally:
                # Only an error of our own leaves the sandbox alive until here.
                self._kill()
                channel.close()
                for stream in (process.stdin, process.stdout, process.stderr):
                    if stream is not None:
                        stream.close()
                process.wait()
        if self._handles is None:
            reason = self._stderr.decode(errors="replace").strip() or "no reason was given"
            raise SandboxUnavailable(f"the sandbox could not be prepared: {reason}")
        return self._result(process.returncode)

    def _start(
        self, resources: contextlib.ExitStack
    ) -> tuple[subprocess.Popen[bytes], socket.socket]:
        channel, inside = socket.socketpair()
        resources.callback(channel.close)
        with inside, contextlib.ExitStack() as inherited:
            contents = [_in_memory(inherited, content) for content in self._contents]
            process = subprocess.Popen(
                self._command(inside.fileno(), contents),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                # Bubblewrap's own environment would stand in /proc/1/environ inside.
                env={},
                cwd="/",
                pass_fds=(inside.fileno(), *contents),
                start_new_session=True,
            )
        return process, channel

    def _attend(
        self,
        process: subprocess.Popen[bytes],
        channel: socket.socket,
        resources: contextlib.ExitStack,
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        stdin = process.stdin
        os.set_blocking(stdin.fileno(), False)
        self._watch(stdin.fileno(), select.POLLOUT, lambda fd: self._send(fd, stdin.close))
        self._watch(process.stdout.fileno(), select.POLLIN, lambda fd: self._keep(fd, self._stdout))
        self._watch(process.stderr.fileno(), select.POLLIN, lambda fd: self._keep(fd, self._stderr))
        self._watch(channel.fileno(), select.POLLIN, lambda _: self._begin(channel, resources))

        give_up_at = time.monotonic() + PREPARATION_SECONDS
        look_at = 0.0
        # What is still watched is alive: process 1, or a holder of a pipe or of the socket.
        while self._on_event:
            for descriptor, _ in self._poll.poll(INTERVAL_SECONDS * 1000):
                self._on_event[descriptor](descriptor)
            now = time.monotonic()
            if self._handles is None:
                if now >= give_up_at:
                    # Bubblewrap and its children, until they have made their own session.
                    os.killpg(process.pid, signal.SIGKILL)
                    self._stderr += f"not ready in {PREPARATION_SECONDS:.0f} s".encode()
                    return
            elif self._cancelled.is_set():
                self._kill()
            elif now >= look_at or now >= self._started_at + self._limits.wall_seconds:
                self._look()
                look_at = time.monotonic() + INTERVAL_SECONDS

    def _watch(self, descriptor: int, events: int, on_event: Callable[[int], None]) -> None:
        self._on_event[descriptor] = on_event
        self._poll.register(descriptor, events)

    def _unwatch(self, descriptor: int) -> None:
        del self._on_event[descriptor]
        self._poll.unregister(descriptor)

    def _send(self, stdin: int, close: Callable[[], None]) -> None:
        """Send some more of the workspace."""
        try:
            if not self._chunk:
                self._chunk = next(self._unsent)
            self._chunk = self._chunk[os.write(stdin, self._chunk) :]
        except (StopIteration, BrokenPipeError):
            # Sent; or the sandbox died, and why is on its stderr.
            self._unwatch(stdin)
            close()

    def _keep(self, stream: int, kept: bytearray) -> None:
        """Keep some more of the output, while there is room."""
        chunk = os.read(stream, 65536)
        if not chunk:
            self._unwatch(stream)
            return
        kept += chunk[: self._room]
        if len(chunk) > self._room:
            self._kill(SandboxOutcome.OUTPUT_LIMIT)
        self._room = max(0, self._room - len(chunk))

    def _begin(self, channel: socket.socket, resources: contextlib.ExitStack) -> None:
        """Take the launcher's handles and let it become the command."""
        # Nothing comes when the launcher failed or never was: then this reads the end.
        _, handles, _, _ = socket.recv_fds(channel, 16, 3, flags=socket.MSG_CMSG_CLOEXEC)
        self._unwatch(channel.fileno())
        for handle in handles:
            resources.callback(os.close, handle)
        if len(handles) == 3 and not self._cancelled.is_set():
            self._handles = (handles[0], handles[1], handles[2])
            self._watch(handles[0], select.POLLIN, self._end)
            self._started_at = time.monotonic()
            channel.sendall(b"go")
        # Without a "go", its end tells the launcher to give up.
        channel.close()

    def _end(self, init: int) -> None:
        # The kernel ends process 1 of a namespace after all the others.
        self._ended_at = time.monotonic()
        self._unwatch(init)

    def _look(self) -> None:
        """Measure, and kill what is past a limit."""
        if self._handles is None or self._ended_at:
            return
        usage = measure(self._handles[1], self._handles[2], self._limits.memory_bytes)
        self._peak_memory_bytes = max(self._peak_memory_bytes, usage.memory_bytes)
        # The sum may fall; the account must not.
        self._cpu_seconds += max(0.0, usage.cpu_seconds - self._last_cpu_seconds)
        self._last_cpu_seconds = usage.cpu_seconds
        breach = self._breach(usage)
        if breach is not None:
            self._kill(breach)

    def _breach(self, usage: Usage) -> SandboxOutcome | None:
        if usage.memory_bytes > self._limits.memory_bytes:
            return SandboxOutcome.OUT_OF_MEMORY
        if usage.tasks > self._limits.processes:
            return SandboxOutcome.OUT_OF_PROCESSES
        if self._cpu_seconds >= self._limits.cpu_seconds:
            return SandboxOutcome.OUT_OF_CPU
        if time.monotonic() >= self._started_at + self._limits.wall_seconds:
            return SandboxOutcome.TIMED_OUT
        return None

    def _kill(self, outcome: SandboxOutcome | None = None) -> None:
        """Kill every process. The first reason given stands."""
        if outcome is not None and not self._killed:
            self._outcome = outcome
        if self._handles is not None and not self._killed:
            self._killed = True
            # Gone already is what is wanted.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handles[0], signal.SIGKILL)

    def _result(self, status: int) -> SandboxResult:
        outcome = self._outcome
        if status == 128 + signal.SIGKILL and self._cpu_seconds >= self._limits.cpu_seconds:
            # RLIMIT_CPU was quicker than a look.
            outcome = SandboxOutcome.OUT_OF_CPU
        return SandboxResult(
            outcome=outcome,
            exit_code=status if outcome is SandboxOutcome.EXITED else None,
            stdout=self._stdout.decode(errors="replace"),
            stderr=self._stderr.decode(errors="replace"),
            duration_ms=max(1, round((self._ended_at - self._started_at) * 1000)),
            peak_memory_bytes=self._peak_memory_bytes,
        )


def _in_memory(inherited: contextlib.ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("sandbox")
    inherited.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _stream(files: Mapping[str, bytes]) -> Iterator[memoryview]:
    """The workspace in the launcher's format, without another copy of it."""
    for name, content in files.items():
        path = name.encode()
        yield memoryview(len(path).to_bytes(4, "big") + path + len(content).to_bytes(8, "big"))
        if content:
            yield memoryview(content)
    yield memoryview(bytes(4))
