"""Loopback ports: choosing free ones that stay free, and naming who holds a taken one."""

import errno
import random
import socket
from collections.abc import Collection

import psutil

from entrypoints.local_stack.errors import LocalStackError

HOST = "127.0.0.1"
# Below every system's range for outgoing connections (Linux from 32768, macOS from 49152): such
# a connection could otherwise take a remembered port while the stack is down.
_RANGE = range(20_000, 32_000)


def choose_free_port(taken: Collection[int] = ()) -> int:
    """A port nobody holds now, outside ``taken``.

    Raises:
        LocalStackError: none of many tries was free.
    """
    for port in random.sample(_RANGE, k=500):
        if port not in taken and is_free(port):
            return port
    raise LocalStackError(f"No free port on {HOST} between {_RANGE.start} and {_RANGE.stop}.")


def is_free(port: int) -> bool:
    """True when a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an ended one, still in TIME_WAIT, do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def holder_of(port: int) -> str:
    """Who listens on the port, for a message: ``nginx (pid 12)`` where the system tells us."""
    unknown = "another process"
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return unknown
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if listens and connection.pid is not None:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                return unknown
    return unknown
