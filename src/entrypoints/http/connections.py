"""Connections, below HTTP: how many there can be, and the end of one that takes nothing."""

import os
import resource
import socket
from contextlib import closing
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_OWN_FILES = 512
"""Files besides clients' connections: servers, logs, pools."""

_OPEN_FILES = Path("/proc/self/fd")


def room_for(connections: int) -> int:
    """How many clients may be connected: so many, unless the system allows too few open files.

    The soft limit of open files is raised as far as that takes: it is inherited by the processes
    that are started from here on.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    wanted = connections + _OWN_FILES
    if soft != endless and soft < wanted:
        soft = wanted if hard == endless else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == endless or soft >= wanted:
        return connections
    fewer = max(1, soft - _OWN_FILES)
    log.warning("fewer connections than set: the limit of open files is low", connections=fewer)
    return fewer


def give_up_on_unread(port: int, seconds: float) -> None:
    """End connections to ``port`` whose client takes nothing of what it was sent for so long.

    No server that we run on does: they wait for such a client for ever. TCP does
    (``TCP_USER_TIMEOUT``, tcp(7)), where Linux is told to; whoever is accepted inherits it.
    Sockets with nothing to send are left alone, however long they are silent.
    """
    if not hasattr(socket, "TCP_USER_TIMEOUT") or not _OPEN_FILES.is_dir():
        return
    told = 0
    for each in _OPEN_FILES.iterdir():
        try:
            opened = socket.socket(fileno=os.dup(int(each.name)))
        except OSError:
            continue  # no socket, or closed meanwhile
        with closing(opened):
            if _is_at(opened, port):
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1_000))
                told += 1
    if not told:
        log.warning("unread connections are not given up: no socket listens", port=port)


def _is_at(opened: socket.socket, port: int) -> bool:
    if opened.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return opened.type == socket.SOCK_STREAM and opened.getsockname()[1] == port
