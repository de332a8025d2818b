"""Servers that outlived a killed supervisor: found by what they are, and ended.

A process id in a file proves nothing, for ids are given out again. A process is ours when it
runs the server's binary with that server's own folder as its working directory, which no other
program does; psutil then holds on to the process by id *and* start time.
"""

import signal
from contextlib import suppress
from pathlib import Path

import psutil
import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("local_stack")


def find_leftovers(executable: str, directory: Path) -> list[psutil.Process]:
    """The processes that run ``executable`` (a bare name) in ``directory``."""
    folder = str(directory.resolve())
    found = []
    for process in psutil.process_iter():
        try:
            # The name is cut and can be set by the process: the executable's path decides.
            name = Path(process.exe()).name.removesuffix(" (deleted)")
            if name == executable and process.cwd() == folder:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue  # ended meanwhile, or somebody else's
    return found


def end_leftovers(
    executable: str, directory: Path, stop_signal: signal.Signals, grace_seconds: float
) -> int:
    """End what :func:`find_leftovers` finds, orderly if it can; how many there were.

    A supervisor's death already asks its servers to end, so most often this only waits.
    """
    processes = find_leftovers(executable, directory)
    for process in processes:
        log.warning("leftover_server_ends", executable=executable, pid=process.pid)
    # Only a leader understands the signal: to PostgreSQL's checkpointer, say, it means something
    # else. Without one, its children notice that by themselves and end.
    leaders = [process for process in processes if not _is_child_of(process, processes)]
    if len(leaders) == 1:
        _send(leaders[0], stop_signal)
    _, alive = psutil.wait_procs(processes, timeout=grace_seconds)
    for process in alive:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)
    return len(processes)


def _is_child_of(process: psutil.Process, others: list[psutil.Process]) -> bool:
    try:
        return process.ppid() in {other.pid for other in others}
    except psutil.NoSuchProcess:
        return True  # ended meanwhile: nothing to send it


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
