"""One connection for a script that every request runs: commands go out together, answers come back.

redis-py takes a connection from its pool for each command, packs and parses it in Python and waits
for the answer before anybody else may use that connection. Here every command of a turn of the
event loop is written at once, and answers are given out in the order of their commands, which is
the order in which the server answers. redis-py still opens the connection: addresses, TLS and
passwords are its business.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

ANSWER_SECONDS: Final = 1.0
"""A server that has not answered for so long is no longer waited for."""

_IDLE_SECONDS: Final = 30.0
"""A connection unused for longer is opened anew: a NAT gateway may have forgotten it."""

Argument = bytes | str | int


class PipedScript:
    """A Lua script, run over one connection. Connects on first use, and again when it must.

    A command whose connection is lost is sent once more, so the script must bear that.

    Args:
        redis: whose pool says how to connect.
        script: the script.
        seconds: how long an answer is waited for, and a connection. One timer watches over all
            that wait: one each would cost more than the command does.
    """

    def __init__(self, redis: Redis, script: str, seconds: float = ANSWER_SECONDS) -> None:
        self._redis = redis
        self._script = script
        self._seconds = seconds
        # The name by which the server keeps it; nothing rests on its strength.
        self._sha = sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[_Wire] | None = None

    async def __call__(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The script's answer.

        Raises:
            RedisError: the server is away, or has an error for an answer.
            TimeoutError: it could not be connected to in time.
        """
        rest = (len(keys), *keys, *arguments)
        answer = await self._answer(("EVALSHA", self._sha, *rest))
        if isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT"):
            answer = await self._answer(("EVAL", self._script, *rest))
        if isinstance(answer, Exception):
            raise ResponseError(str(answer))
        return answer

    async def close(self) -> None:
        """Close the connection. Harmless when repeated."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
            self._connecting = None
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    async def _answer(self, command: tuple[Argument, ...]) -> Any:
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub means a 1-tuple
        wire = self._usable()
        if wire is not None:
            try:
                return await wire.send(packed)
            except RedisConnectionError:
                pass  # the server restarted, it may be: once more, on a new connection
        async with asyncio.timeout(self._seconds):
            return await (await self._connected()).send(packed)

    def _usable(self) -> "_Wire | None":
        wire = self._wire
        if wire is not None and not wire.usable():
            wire.abort()
            wire = self._wire = None
        return wire

    async def _connected(self) -> "_Wire":
        """The connection; those who need it at once have it opened once."""
        wire = self._usable()
        if wire is not None:
            return wire
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.ensure_future(self._open())
        # Whoever gives up does not take the connection from the others.
        return await asyncio.shield(self._connecting)

    async def _open(self) -> "_Wire":
        # redis-py leaves it without annotations.
        connection = self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        self._wire = _Wire(connection, self._seconds)
        return self._wire


class _Wire(asyncio.Protocol):
    """A connection's bytes, taken over from redis-py after its handshake."""

    def __init__(self, connection: Any, seconds: float) -> None:
        # Kept, because they close the transport when they go; and no longer redis-py's to close.
        self._streams = (connection._reader, connection._writer)
        connection._reader = connection._writer = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = self._streams[1].transport
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._to_send: list[bytes] = []
        self._last = self._loop.time()
        self._lost = False
        self._seconds = seconds
        self._watch: asyncio.TimerHandle | None = None
        self._transport.set_protocol(self)

    def usable(self) -> bool:
        """Whether an answer may be expected."""
        if self._lost or self._transport.is_closing():
            return False
        return bool(self._waiting) or self._loop.time() - self._last < _IDLE_SECONDS

    def send(self, packed: bytes) -> "asyncio.Future[Any]":
        """Send a command with all others of this turn of the loop; its answer is awaited."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._lost:
            future.set_exception(RedisConnectionError("The connection is lost."))
            return future
        self._last = self._loop.time()
        self._waiting.append((future, self._last))
        if self._watch is None:
            self._watch = self._loop.call_later(self._seconds, self._look)
        if not self._to_send:
            self._loop.call_soon(self._flush)
        self._to_send.append(packed)
        return future

    def abort(self) -> None:
        """Give the connection up, and tell those who wait."""
        self._transport.abort()
        self.connection_lost(None)

    def close(self) -> None:
        """End the connection in an orderly way."""
        self._transport.close()
        self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not _NOTHING:
            future, _ = self._waiting.popleft()
            if not future.done():  # else whoever asked has given up
                future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(RedisConnectionError("The connection is lost."))

    def _look(self) -> None:
        """Give up a server that has not answered the oldest command in time."""
        self._watch = None
        if not self._waiting:
            return
        left = self._waiting[0][1] + self._seconds - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
            return
        self._transport.abort()
        self._end(RedisTimeoutError("No answer came in time."))

    def _end(self, error: Exception) -> None:
        self._lost = True
        self._to_send.clear()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)

    def _flush(self) -> None:
        if self._to_send:
            packed, self._to_send = b"".join(self._to_send), []
            self._transport.write(packed)


_NOTHING: Final = object()
