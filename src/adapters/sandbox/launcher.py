"""The first program inside the sandbox; its text is given to the interpreter there.

It reads the workspace's files from standard input, sets the limits of a process, tells the
supervisor outside that it is ready, waits for its word, and becomes the command. It imports
only what is quick to import, as it runs before every command.

Arguments: the descriptor of the supervisor's socket; the limits of address space and of file
size (bytes), of CPU (seconds), open files and processes; then the command.

The stream: for each file the length of its path (4 bytes), the path, the length of the content
(8 bytes) and the content, big-endian; a path of length zero ends it.
"""

import _socket
import os
import resource
import signal
import sys
from typing import NoReturn

# Sandboxed work yields to the host's own.
_NICENESS = 10
_NOT_PREPARED = 70
_NOT_FOUND = 127


def main() -> NoReturn:
    """Prepare, announce, and become the command."""
    channel, address_space, file_size, cpu, open_files, processes = map(int, sys.argv[1:7])
    command = sys.argv[7:]
    if os.getpid() != 2 or os.uname().nodename != "sandbox":
        raise OSError("not in the sandbox")
    _receive_files()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_MEMLOCK, 0)
    _limit(resource.RLIMIT_AS, address_space)
    _limit(resource.RLIMIT_FSIZE, file_size)
    _limit(resource.RLIMIT_CPU, cpu)
    _limit(resource.RLIMIT_NOFILE, open_files)
    _limit(resource.RLIMIT_NPROC, processes)
    os.nice(_NICENESS)
    # Short of memory, the kernel shall take this before anything of the host.
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("1000")
    _announce(channel)
    _become(command)


def _receive_files() -> None:
    with open(0, "rb", closefd=False) as stream:
        while length := int.from_bytes(_exactly(stream.read(4), 4), "big"):
            path = os.fsdecode(_exactly(stream.read(length), length))
            size = int.from_bytes(_exactly(stream.read(8), 8), "big")
            parent = os.path.dirname(path)
            if parent:
                os.makedirs(parent, exist_ok=True)
            with open(path, "xb") as file:
                while size:
                    chunk = stream.read(min(size, 65536))
                    if not chunk:
                        raise EOFError("the stream of files broke off")
                    file.write(chunk)
                    size -= len(chunk)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _exactly(read: bytes, length: int) -> bytes:
    if len(read) != length:
        raise EOFError("the stream of files broke off")
    return read


def _limit(kind: int, value: int) -> None:
    # Of process 1 too: it belongs to the same user, whom nothing keeps from writing its memory.
    for process in (1, 0):
        _, hard = resource.prlimit(process, kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(process, kind, (bound, bound))


def _announce(channel: int) -> None:
    # A handle on process 1, whose death is everyone's; the processes; and the writable tmpfs.
    # Handed over as descriptors, they mean the same outside, where their names do not.
    handles = (
        os.pidfd_open(1),
        os.open("/proc", os.O_RDONLY | os.O_DIRECTORY),
        os.open("/sandbox", os.O_RDONLY | os.O_DIRECTORY),
    )
    packed = b"".join(handle.to_bytes(4, sys.byteorder) for handle in handles)
    peer = _socket.socket(fileno=channel)
    peer.sendmsg([b"ready"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])
    if peer.recv(2) != b"go":
        raise EOFError("the supervisor called it off")


def _become(command: list[str]) -> NoReturn:
    os.closerange(3, max(int(name) for name in os.listdir("/proc/self/fd")) + 1)
    # The interpreter ignores these two; the command must not inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, os.fsencode(f"{command[0]}: {error.strerror}\n"))
        os._exit(_NOT_FOUND)


if __name__ == "__main__":
    try:
        main()
    except (OSError, EOFError, ValueError) as error:
        os.write(2, os.fsencode(f"{error}\n"))
        os._exit(_NOT_PREPARED)
