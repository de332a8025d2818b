"""How many clients there is room for, and what is told to TCP."""

import os
import resource
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from entrypoints.http.connections import QuietConnections, give_up_on_unread, room_for

OWN = 512


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The process's limits of open files, as they are now and as they are set; the last counts."""
    kept: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: kept[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: kept.append(both))
    return kept


@pytest.mark.parametrize(
    ("soft", "hard", "room", "after"),
    [
        (20_000, 20_000, 4_096, 20_000),
        (1_024, 20_000, 4_096, 4_096 + OWN),
        (1_024, resource.RLIM_INFINITY, 4_096, 4_096 + OWN),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 4_096, resource.RLIM_INFINITY),
        # Where the system allows no more, there are fewer connections and no error later on.
        (256, 1_024, 1_024 - OWN, 1_024),
        (256, 256, 1, 256),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(
    limits: list[tuple[int, int]], soft: int, hard: int, room: int, after: int
) -> None:
    limits.append((soft, hard))
    assert room_for(4_096) == room
    assert limits[-1] == (after, hard)


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_whoever_is_accepted_inherits_what_the_listening_socket_was_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        port = server.getsockname()[1]
        give_up_on_unread(port, 12.5)
        assert user_timeout(server) == 12_500
        assert user_timeout(other) == 0
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            with accepted:
                assert user_timeout(accepted) == 12_500
            assert user_timeout(client) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="who is connected is read where Linux tells")
def test_of_an_address_s_quiet_connections_those_beyond_are_cut_off() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=50))
        other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def client(source: str = "127.0.0.2", at: socket.socket = server) -> socket.socket:
            made = socket.create_connection(at.getsockname(), 5, source_address=(source, 0))
            stack.enter_context(made)
            accepted.append(stack.enter_context(at.accept()[0]))
            return made

        accepted: list[socket.socket] = []
        quiet = QuietConnections(server.getsockname()[1], 3, ["127.0.0.4"])
        first, second = client(), client()
        assert quiet.look(set()) == 0
        asking, sending = client(), client()
        sending.sendall(b"GET")
        others = [client("127.0.0.3"), client(at=other)]
        proxied = [client("127.0.0.4") for _ in range(5)]
        later = [client(), client(), client()]
        assert quiet.look({asking.getsockname()}) == 2
        assert [is_over(each) for each in (first, second)] == [True, True]
        assert not any(is_over(each) for each in (asking, sending, *later, *others, *proxied))


@pytest.mark.skipif(sys.platform != "linux", reason="open files are read where Linux tells")
def test_a_look_leaves_no_file_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, (tmp_path / "file").open("w"):
        quiet = QuietConnections(server.getsockname()[1], 1, [])
        before = os.listdir("/proc/self/fd")  # names alone
        give_up_on_unread(server.getsockname()[1], 10)
        for _ in range(3):
            quiet.look(set())
        assert os.listdir("/proc/self/fd") == before


def is_over(of: socket.socket) -> bool:
    """Whether the other side has ended it."""
    of.setblocking(False)
    try:
        return of.recv(1) == b""
    except BlockingIOError:
        return False


def user_timeout(of: socket.socket) -> int:
    """Milliseconds."""
    return of.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
