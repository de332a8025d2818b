"""The load generator: HTTP/1.1 on kept connections, each asking again as soon as it is answered.

A process of its own, so that what it costs is known: it prints one line of JSON.
"""

import asyncio
import resource
import sys
import time

import msgspec


class Load(msgspec.Struct):
    """What to ask whom, how many at once, and for how long."""

    urls: list[tuple[str, int]]
    request: str
    connections: int
    seconds: float
    warm_seconds: float = 0.3


class Answers(msgspec.Struct):
    """What came of it. Latencies in milliseconds; ``cpu`` is this process's share of one core."""

    answers: int
    other: int
    per_second: float
    p50: float
    p99: float
    cpu: float


class _Caller(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self.request = request
        self.until = self.counted_from = 0.0
        self.latencies: list[float] = []
        self.other = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def begin(self, counted_from: float, until: float) -> None:
        """Ask, and ask again until then; answers to what was asked from a moment on count."""
        self.counted_from, self.until = counted_from, until
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = buffer.find(b"content-length: ")
        if at < 0 or at > end:
            raise ValueError(f"an answer without a length: {buffer[:200]!r}")
        length = int(buffer[at + 16 : buffer.index(b"\r", at)])
        if len(buffer) < end + 4 + length:
            return
        self._buffer = b""
        now = time.perf_counter()
        if self._sent >= self.counted_from:
            self.latencies.append(now - self._sent)
            self.other += buffer[9:12] != b"200"
        if now < self.until:
            self._ask()
        else:
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))


async def run(load: Load) -> Answers:
    """Put the load on."""
    loop = asyncio.get_running_loop()
    request, callers = load.request.encode(), []
    for number in range(load.connections):
        host, port = load.urls[number % len(load.urls)]
        caller = _Caller(request)
        await loop.create_connection(lambda opened=caller: opened, host, port)
        callers.append(caller)
    began = time.perf_counter()
    counted_from = began + load.warm_seconds
    for caller in callers:
        caller.begin(counted_from, counted_from + load.seconds)
    await asyncio.gather(*(caller.done for caller in callers))
    latencies = sorted(each for caller in callers for each in caller.latencies)
    if not latencies:
        raise SystemExit("nothing was answered in time")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Answers(
        answers=len(latencies),
        other=sum(caller.other for caller in callers),
        per_second=len(latencies) / load.seconds,
        p50=latencies[len(latencies) // 2] * 1_000,
        p99=latencies[len(latencies) * 99 // 100] * 1_000,
        cpu=(usage.ru_utime + usage.ru_stime) / (time.perf_counter() - began),
    )


if __name__ == "__main__":
    answers = asyncio.run(run(msgspec.json.decode(sys.argv[1].encode(), type=Load)))
    print(msgspec.json.encode(answers).decode())
