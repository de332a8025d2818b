"""The object store against a server that misbehaves exactly as told."""

import asyncio
import hashlib
import re
import secrets
import socket
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from adapters.minio import (
    MinioObjectStore,
    ObjectDamaged,
    ObjectStoreProbe,
    ObjectStoreRefused,
)
from application.ports.health import ProbeFailed
from application.ports.object_store import ObjectNotFound, ObjectStoreUnavailable

DATA = secrets.token_bytes(1_000_000)
KEY = f"owner/{hashlib.sha256(DATA).hexdigest()}"
OTHER_KEY = f"owner/{hashlib.sha256(b'other').hexdigest()}"


class FaultyServer(ThreadingHTTPServer):
    """Serves ``DATA`` under every key, but first what ``faults`` say, one a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults: list[Callable[[_Handler], None]] = []
        self.requests: list[str] = []
        self.ranges: list[str | None] = []
        self.hold = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append(self.command)
        self.server.ranges.append(self.headers["Range"])
        length = int(self.headers["Content-Length"] or 0)
        self.rfile.read(length)
        if self.server.faults:
            self.server.faults.pop(0)(self)
        else:
            self.send_data()

    do_HEAD = do_PUT = do_GET

    def send_data(self, cut_after: int | None = None, data: bytes = DATA) -> None:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")
        body = data[int(match[1]) if match else 0 :]
        self.send_response(206 if self.headers["Range"] else 200)
        self.send_header("Content-Length", str(len(body) if self.command == "GET" else 0))
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Mon, 02 Nov 2026 09:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut_after])
        if cut_after is not None:
            self.close_connection = True

    def send_failure(
        self, status: int, code: str = "", content_type: str = "application/xml"
    ) -> None:
        body = f"<Error><Code>{code}</Code></Error>".encode() if code else b"<html>no</html>"
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def send_data_with_a_pause(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[:300_000])
        self.server.hold.wait(20)
        self.wfile.write(DATA[300_000:])

    def hang(self) -> None:
        self.server.hold.wait(20)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def failing(status: int, code: str = "") -> Callable[[_Handler], None]:
    return lambda handler: handler.send_failure(status, code)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.hold.set()
        server.shutdown()
        serving.join()


@pytest.fixture
async def store(server: FaultyServer) -> MinioObjectStore:
    return make_store(server.server_port)


def make_store(port: int, retry_seconds: float = 5.0) -> MinioObjectStore:
    return MinioObjectStore(
        f"http://127.0.0.1:{port}", "key", "secret", "bucket", retry_seconds=retry_seconds
    )


@pytest.mark.parametrize(
    "fault",
    [
        failing(500, "InternalError"),
        failing(503, "SlowDown"),
        failing(503),
        failing(429, "TooManyRequests"),
        lambda handler: handler.send_failure(502, content_type="text/html"),
        _Handler.hang_up,
        lambda handler: handler.send_data(cut_after=500_000),
    ],
)
async def test_a_passing_fault_is_not_noticed(
    server: FaultyServer, store: MinioObjectStore, fault: Callable[[_Handler], None]
) -> None:
    server.faults = [fault, fault]

    assert await store.get(KEY) == DATA
    assert len(server.requests) == 3


async def test_writing_and_asking_are_tried_again_too(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    server.faults = [failing(503, "SlowDown")]
    await store.put(KEY, DATA, "application/pdf")
    server.faults = [_Handler.hang_up]

    assert await store.exists(KEY)
    assert server.requests == ["PUT", "PUT", "HEAD", "HEAD"]


@pytest.mark.parametrize(
    "code", ["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "NoSuchBucket"]
)
async def test_a_refusal_is_final(server: FaultyServer, store: MinioObjectStore, code: str) -> None:
    server.faults = [failing(404 if code == "NoSuchBucket" else 403, code)]

    with pytest.raises(ObjectStoreRefused, match=code):
        await store.get(KEY)
    assert len(server.requests) == 1


async def test_a_missing_key_is_not_asked_for_again(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    server.faults = [failing(404, "NoSuchKey")]

    with pytest.raises(ObjectNotFound):
        await store.get(KEY)
    assert len(server.requests) == 1


async def test_a_lasting_fault_ends_in_bounded_time(server: FaultyServer) -> None:
    store = make_store(server.server_port, retry_seconds=0.5)
    server.faults = [failing(500, "InternalError")] * 1000
    started = time.monotonic()

    with pytest.raises(ObjectStoreUnavailable):
        await store.get(KEY)

    assert time.monotonic() - started < 2
    assert 2 < len(server.requests) < 100


async def test_a_server_that_is_not_there_is_unavailable_in_bounded_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as held:
        port = held.getsockname()[1]
    store = make_store(port, retry_seconds=0.1)
    started = time.monotonic()

    for call in (store.get(KEY), store.exists(KEY), store.put("k", b"", "text/plain")):
        with pytest.raises(ObjectStoreUnavailable, match="did not answer"):
            await call

    assert time.monotonic() - started < 4


async def test_what_was_damaged_is_not_served(store: MinioObjectStore) -> None:
    with pytest.raises(ObjectDamaged, match=OTHER_KEY):
        await store.get(OTHER_KEY)


async def test_a_damaged_stream_never_looks_whole(store: MinioObjectStore) -> None:
    received = bytearray()
    with pytest.raises(ObjectDamaged):
        async for chunk in store.stream(OTHER_KEY):
            received += chunk

    assert len(received) < len(DATA)


async def test_a_broken_stream_goes_on_where_it_broke(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    server.faults = [
        lambda handler: handler.send_data(cut_after=300_000),
        _Handler.hang_up,
        lambda handler: handler.send_data(cut_after=300_000),
    ]
    chunks = [chunk async for chunk in store.stream(KEY)]

    assert b"".join(chunks) == DATA
    assert max(map(len, chunks)) == 64 * 1024
    # What came in whole blocks before a break is not asked for again.
    assert server.ranges == [None, "bytes=262144-", "bytes=262144-", "bytes=524288-"]


async def test_a_reader_cancelled_in_the_middle_leaves_no_connection(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    server.faults = [_Handler.send_data_with_a_pause]
    async with aclosing(store.stream(KEY)) as chunks:
        await anext(chunks)
        reading = asyncio.ensure_future(_rest(chunks))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    server.hold.set()

    async with asyncio.timeout(5):
        while connections_to(server):
            await asyncio.sleep(0.01)


async def test_a_stream_left_early_leaves_no_connection(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    async with aclosing(store.stream(KEY)) as chunks:
        await anext(chunks)

    assert connections_to(server) == 0


async def test_a_stream_read_to_its_end_leaves_its_connection_for_the_next(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    for _ in range(3):
        await _rest(store.stream(KEY))

    assert connections_to(server) == 1


async def _rest(chunks: AsyncIterator[bytes]) -> None:
    async for _ in chunks:
        pass


def connections_to(server: FaultyServer) -> int:
    """How many connections our side holds open."""
    return sum(
        connection.status == psutil.CONN_ESTABLISHED
        for connection in psutil.Process().net_connections("tcp")
        if connection.raddr and connection.raddr.port == server.server_port
    )


async def test_the_loop_turns_while_the_server_hangs(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    server.faults = [_Handler.hang]
    reading = asyncio.create_task(store.get(KEY))
    while not server.requests:
        await asyncio.sleep(0.01)

    assert not reading.done()

    server.hold.set()
    assert await reading == DATA


async def test_a_stream_holds_little_of_a_large_object(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    large = secrets.token_bytes(20_000_000)
    key = f"owner/{hashlib.sha256(large).hexdigest()}"
    server.faults = [lambda handler: handler.send_data(data=large)]
    tracemalloc.start()
    try:
        await _rest(store.stream(key))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # The server, in this process too, sends views of ``large`` and makes one copy of it.
    assert most - len(large) < 4_000_000


async def test_the_bucket_is_made_when_it_is_missing(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    server.faults = [failing(404, "NoSuchBucket")]

    await store.ensure_bucket()

    assert server.requests == ["HEAD", "PUT"]


async def test_a_bucket_that_another_process_made_meanwhile_is_fine(
    server: FaultyServer, store: MinioObjectStore
) -> None:
    server.faults = [failing(404, "NoSuchBucket"), failing(409, "BucketAlreadyOwnedByYou")]

    await store.ensure_bucket()


@pytest.mark.parametrize(
    "endpoint",
    ["", "127.0.0.1:9000", "ftp://host", "http://", "http://host/path", "http://user:pw@host"],
)
def test_an_endpoint_is_a_plain_url(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        MinioObjectStore(endpoint, "key", "secret", "bucket")


class TestProbe:
    async def test_a_store_that_answers_is_well(self, store: MinioObjectStore) -> None:
        probe = ObjectStoreProbe(store)

        assert (await probe.check(), probe.name, probe.required) == ("S3", "object_store", True)

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (failing(403), "refuses our credentials"),
            (failing(404), "no such bucket"),
            (failing(503), "does not answer"),
            (_Handler.hang_up, "does not answer"),
        ],
    )
    async def test_a_fault_is_reported_at_once(
        self,
        server: FaultyServer,
        store: MinioObjectStore,
        fault: Callable[[_Handler], None],
        said: str,
    ) -> None:
        server.faults = [fault]

        with pytest.raises(ProbeFailed, match=said):
            await ObjectStoreProbe(store).check()
        assert len(server.requests) == 1

    async def test_a_store_that_hangs_fails_the_check_and_holds_one_thread(
        self, server: FaultyServer, store: MinioObjectStore
    ) -> None:
        server.faults = [_Handler.hang] * 5
        probe = ObjectStoreProbe(store, timeout_seconds=0.05)

        for _ in range(5):
            with pytest.raises(ProbeFailed, match="does not answer"):
                await probe.check()

        assert len(server.requests) == 1
