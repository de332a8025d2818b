"""What a sandbox takes of the host at this moment, all its processes together."""

import mmap
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory in bytes, CPU time in seconds since the start, and tasks: processes and threads.

    CPU time includes that of children that ended and were waited for. It may fall: a child
    that its parent ignores takes its time with it.
    """

    memory_bytes: int
    cpu_seconds: float
    tasks: int


def measure(processes: int, disk: int, memory_limit: int) -> Usage:
    """Measure once.

    Args:
        processes: a descriptor of the sandbox's own ``/proc``.
        disk: a descriptor of its writable tmpfs.
        memory_limit: bytes; a sum above it is counted again, exactly and more slowly.
    """
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
    kernel_bytes = _inodes(disk) * _INODE_BYTES + _sockets(processes) * _SOCKET_BYTES
    memory = pages * mmap.PAGESIZE + kernel_bytes
    if memory > memory_limit:
        # Forked processes share pages, and the quick sum counts those once for each.
        memory = kernel_bytes + sum(_proportional_bytes(processes, name) for name in names)
    # Process 1 is bubblewrap's.
    return Usage(memory, ticks / os.sysconf("SC_CLK_TCK"), tasks - 1)


# The kernel's memory stands in no process's. An inode of tmpfs with its directory entry, which
# the tmpfs's size leaves out:
_INODE_BYTES = 1024
# and the most that a socket keeps of data nobody reads, at the kernel's default buffer size
# (net.core.wmem_default, 208 KiB, with its overhead); the system-call filter holds it there.
_SOCKET_BYTES = 512 * 1024


def _inodes(disk: int) -> int:
    files = os.fstatvfs(disk)
    return files.f_files - files.f_ffree


def _sockets(processes: int) -> int:
    # Counted for the network namespace, so also those in flight that no descriptor names.
    statistics = _read(processes, "1/net/sockstat") or b""
    for line in statistics.splitlines():
        if line.startswith(b"sockets: used "):
            return int(line.split()[2])
    return 0


def _proportional_bytes(processes: int, name: str) -> int:
    rollup = _read(processes, f"{name}/smaps_rollup")
    if rollup:
        for line in rollup.splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    # Not ours to look into: its whole resident size counts.
    statm = _read(processes, f"{name}/statm")
    return int(statm.split()[1]) * mmap.PAGESIZE if statm else 0


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
