"""Hundreds of sockets that follow runs, in a process of their own that does next to nothing else.

Reads one line of JSON (``url``, ``token``, ``runs``, ``sockets``), opens the sockets, each
with a ticket of its own, and says ``open``; on the next line it stops, writes every entry
that came as a record of :data:`RECORD` to ``out``, and says what it saw.

A full WebSocket client would take more of the processor than the server does. This one
reads frame headers and the number at the beginning of each entry.
"""

import asyncio
import base64
import os
import struct
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

RECORD = struct.Struct("<HHId")
"""Socket, run (its place in ``runs``), number of the entry, and when it came (Unix time)."""

_OPENING_AT_ONCE = 16
_SEQ = b'{"seq":'


class Order(msgspec.Struct):
    """What to do."""

    url: str
    token: str
    runs: list[str]
    sockets: int
    out: str


class Seen(msgspec.Struct):
    """What came: how many sockets missed, repeated or lost anything, and how many closed."""

    entries: int
    gaps: int
    closed: dict[str, int]
    cpu_seconds: float


class Watcher(asyncio.Protocol):
    """One socket."""

    def __init__(self, number: int, run: int, records: bytearray, opened: asyncio.Event) -> None:
        self._number, self._run, self._records = number, run, records
        self._opened = opened
        self._buffer = b""
        self.last = 0
        self.gap = False
        self.closed = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back, for answers to pings; the request is sent by who opened us."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what came apart into frames."""
        now = time.time()
        buffer = self._buffer + data
        if not self._opened.is_set():
            head, end, buffer = buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.closed = head.split(b"\r\n")[0].decode()
            self._opened.set()
        at = 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                start += 2
                if len(buffer) < start:
                    break
                size = int.from_bytes(buffer[at + 2 : at + 4], "big")
            if len(buffer) < start + size:
                break
            self._frame(buffer[at] & 15, buffer[start : start + size], now)
            at = start + size
        self._buffer = buffer[at:]

    def connection_lost(self, error: Exception | None) -> None:
        """Note an end that nobody announced."""
        self.closed = self.closed or "lost"
        self._opened.set()

    def _frame(self, kind: int, payload: bytes, now: float) -> None:
        if kind == 9:
            # A pong under a mask of zeros (RFC 6455 §5.5.3); a control frame is short.
            self._transport.write(bytes((0x8A, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
        elif kind == 8:
            self.closed = str(int.from_bytes(payload[:2], "big"))
        elif payload.startswith(_SEQ):
            seq = int(payload[len(_SEQ) : payload.index(b",")])
            self.gap |= seq != self.last + 1
            self.last = seq
            self._records += RECORD.pack(self._number, self._run, seq, now)


async def main() -> None:
    """Serve one order."""
    loop = asyncio.get_running_loop()
    line = await loop.run_in_executor(None, sys.stdin.readline)
    order = msgspec.json.decode(line, type=Order)
    records = bytearray()
    gate = asyncio.Semaphore(_OPENING_AT_ONCE)
    async with httpx.AsyncClient(
        base_url=order.url,
        headers={"Authorization": f"Bearer {order.token}"},
        timeout=60,
        trust_env=False,
    ) as client:

        async def opened(number: int) -> Watcher:
            async with gate:
                return await _open(client, order, number, records)

        watchers = await asyncio.gather(*(opened(number) for number in range(order.sockets)))
    print("open", flush=True)
    before = time.process_time()
    await loop.run_in_executor(None, sys.stdin.readline)
    spent = time.process_time() - before
    closed: dict[str, int] = {}
    for watcher in watchers:
        if watcher.closed:
            closed[watcher.closed] = closed.get(watcher.closed, 0) + 1
    await asyncio.to_thread(Path(order.out).write_bytes, records)
    seen = Seen(
        entries=len(records) // RECORD.size,
        gaps=sum(watcher.gap for watcher in watchers),
        closed=closed,
        cpu_seconds=spent,
    )
    print(msgspec.json.encode(seen).decode(), flush=True)


async def _open(
    client: httpx.AsyncClient, order: Order, number: int, records: bytearray
) -> Watcher:
    place = number % len(order.runs)
    run = order.runs[place]
    answer = await client.post(f"/api/v1/runs/{run}/stream-ticket")
    answer.raise_for_status()
    address = urlsplit(order.url)
    opened = asyncio.Event()
    transport, watcher = await asyncio.get_running_loop().create_connection(
        lambda: Watcher(number, place, records, opened), address.hostname, address.port
    )
    key = base64.b64encode(os.urandom(16)).decode()
    transport.write(
        f"GET /api/v1/runs/{run}/stream?ticket={answer.json()['ticket']} HTTP/1.1\r\n"
        f"Host: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await opened.wait()
    return watcher


if __name__ == "__main__":
    asyncio.run(main())
