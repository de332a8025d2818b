"""Connections, below HTTP: how many there can be, over all and of an address, and the end of one
that takes nothing."""

import fcntl
import os
import resource
import socket
import sys
import termios
from collections.abc import Iterator, Sequence, Set
from contextlib import closing, contextmanager
from pathlib import Path

import structlog

from domain.keys.addresses import caller, within
from entrypoints.http.request_metrics import count_connections_cut

log = structlog.get_logger(__name__)

_OWN_FILES = 512
"""Files besides clients' connections: servers, logs, pools."""

_OPEN_FILES = Path("/proc/self/fd")


Peer = tuple[str, int]
"""Who is connected: an address and a port."""


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
        with _socket_of(int(each.name), port) as opened:
            if opened is not None:
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1_000))
                told += 1
    if not told:
        log.warning("unread connections are not given up: no socket listens", port=port)


class QuietConnections:
    """Holds each address to so many connections that ask nothing: those beyond are cut off.

    No server that we run on counts connections by address, and one that asks nothing never comes
    to us. But their sockets are this process's open files, which Linux tells of. A connection is
    quiet when no request or stream of it is under way, nothing has come that is not read, and
    nothing is sent that is not taken. Of an address that has too many, those go that were
    quiet for longest. Proxies are left alone: all who come through one are one peer.
    """

    def __init__(self, port: int, each: int, proxies: Sequence[str]) -> None:
        self._port, self._each, self._proxies = port, each, proxies
        self._quiet: dict[Peer, int] = {}

    def look(self, asking: Set[Peer]) -> int:
        """Cut off what is beyond; how many. ``asking`` are the connections that ask something.

        It may change meanwhile, by another thread.
        """
        if sys.platform != "linux":
            return 0
        # To ask each file takes some 30 µs, and seldom need be: all quiet ones are no more.
        if sum(1 for _ in _OPEN_FILES.iterdir()) - len(asking) <= self._each:
            return 0
        found = {peer: file for file, peer in self._connected(asking)}
        # What was quiet at the last look comes first.
        self._quiet = {
            peer: found[peer] for peer in dict.fromkeys([*self._quiet, *found]) if peer in found
        }
        total = 0
        for address, peers in self._by_address().items():
            cut = sum(self._cut(peer, asking) for peer in peers[: -self._each])
            if cut:
                log.warning("quiet connections cut off", address=address, connections=cut)
                count_connections_cut(cut)
                total += cut
        return total

    def _connected(self, asking: Set[Peer]) -> Iterator[tuple[int, Peer]]:
        for each in _OPEN_FILES.iterdir():
            file = int(each.name)
            with _socket_of(file, self._port) as opened:
                peer = _quiet_peer(opened, asking)
                if peer is not None:
                    yield file, peer

    def _by_address(self) -> dict[str, list[Peer]]:
        hosts = {host for host, _ in self._quiet}
        places = {host: caller(host) for host in hosts if not within(host, self._proxies)}
        found: dict[str, list[Peer]] = {}
        for peer in self._quiet:
            if peer[0] in places:
                found.setdefault(places[peer[0]], []).append(peer)
        return found

    def _cut(self, peer: Peer, asking: Set[Peer]) -> bool:
        # The number may be another connection's by now, and this one may ask something.
        with _socket_of(self._quiet[peer], self._port) as opened:
            if opened is None or _quiet_peer(opened, asking) != peer:
                return False
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:
                return False  # its client was first
            return True


@contextmanager
def _socket_of(file: int, port: int) -> Iterator[socket.socket | None]:
    """The socket at ``port`` that an open file is; None, where it is none, or closed meanwhile."""
    opened = _socket_at(file, port)
    if opened is None:
        yield None
        return
    with closing(opened):
        yield opened


def _socket_at(file: int, port: int) -> socket.socket | None:
    try:
        ours = os.dup(file)
    except OSError:
        return None
    try:
        opened = socket.socket(fileno=ours)
    except OSError:
        os.close(ours)  # which a socket would have done
        return None
    if _is_at(opened, port):
        return opened
    opened.close()
    return None


def _is_at(opened: socket.socket, port: int) -> bool:
    if opened.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return opened.type == socket.SOCK_STREAM and opened.getsockname()[1] == port


def _quiet_peer(opened: socket.socket | None, asking: Set[Peer]) -> Peer | None:
    """Who is connected and asks nothing; None to a socket that only listens, or whose end came."""
    if opened is None:
        return None
    try:
        host, port, *_ = opened.getpeername()
    except OSError:
        return None
    return (host, port) if (host, port) not in asking and _is_quiet(opened) else None


def _is_quiet(opened: socket.socket) -> bool:
    """Whether nothing waits in it, either way (tcp(7): SIOCINQ, SIOCOUTQ)."""
    waiting = (
        fcntl.ioctl(opened, each, b"\0" * 4) for each in (termios.FIONREAD, termios.TIOCOUTQ)
    )
    return not any(int.from_bytes(each, sys.byteorder) for each in waiting)
