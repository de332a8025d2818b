"""The usage log's stream: appended by whoever answers requests, drained by dispatchers."""

import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from adapters.redis.script_pipe import PipedScript
from application.ports.usage_log import TakenRow, UsageStreamAway, UsageStreamFull
from domain.keys.usage_log import WINDOWS, LoggedRequest, Window, window_number
from domain.shared.ids import ApiKeyId, RunId, UserId

log: structlog.stdlib.BoundLogger = structlog.get_logger("usage_stream")

_GROUP: Final = "dispatchers"
_FIELD: Final = b"r"

STALE_SECONDS: Final = 5.0
"""How long an entry may be somebody's, unsettled, before another takes it: a batch takes a tenth
of a second, and whoever is slower than that has it kept twice without effect."""

_FORGET_CONSUMER_SECONDS: Final = 3_600.0
_APPEND_SECONDS: Final = 2.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTES: Final = {window: span // timedelta(minutes=1) for window, span in WINDOWS.items()}

_APPEND: Final = """
local rows = #ARGV - 1 - 2 * (#KEYS - 1)
if redis.call('XLEN', KEYS[1]) + rows > tonumber(ARGV[1]) then return -1 end
local at = 2
for i = 2, #KEYS do
  redis.call('INCRBY', KEYS[i], ARGV[at])
  redis.call('EXPIRE', KEYS[i], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV do redis.call('XADD', KEYS[1], '*', 'r', ARGV[i]) end
return rows
"""
"""The bound; for each counter what to add and how long it lives; the rows. All of it or nothing:
what is not drained is never trimmed."""

_SETTLE: Final = """
local acknowledged = redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))
redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
return acknowledged
"""

_SET_ASIDE: Final = """
for i = 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])
  if #found > 0 then redis.call('XADD', KEYS[2], '*', 'entry', ARGV[i], unpack(found[1][2])) end
end
redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))
return redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
"""

_FORGET: Final = """
local gone = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local about = {}
  for i = 1, #fields, 2 do about[fields[i]] = fields[i + 1] end
  if about['pending'] == 0 and about['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about['name'])
    gone = gone + 1
  end
end
return gone
"""
"""Consumers that hold nothing and have not been heard of: every start of a dispatcher makes one."""


class _Entry(msgspec.Struct, array_like=True):
    """A row as it travels. New fields go to the end, with a default."""

    id: bytes
    user_id: bytes
    key_id: bytes
    at_us: int
    route: str
    status: int
    latency_us: int
    request_id: str
    run_id: bytes | None = None
    requests: int = 1


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode


class RedisUsageSink:
    """Appends in one script, and reads the live figure.

    Args:
        redis: where the stream is.
        bound: how many entries it may hold.
    """

    def __init__(self, redis: Redis, bound: int, prefix: str = "usage:") -> None:
        self._redis = redis
        self._bound = bound
        self._stream = f"{prefix}requests"
        self._prefix = prefix
        self._append = PipedScript(redis, _APPEND, _APPEND_SECONDS)

    async def close(self) -> None:
        """Close its connection. Harmless when repeated."""
        await self._append.close()

    async def append(self, rows: Sequence[LoggedRequest]) -> None:
        """Append all rows and count them, or do neither."""
        if not rows:
            return
        of_minutes: Counter[tuple[ApiKeyId, int]] = Counter()
        for row in rows:
            of_minutes[row.key_id, window_number(Window.MINUTE, row.at)] += row.requests
        counted: Counter[tuple[ApiKeyId, Window, int]] = Counter()
        for (key_id, minute), count in of_minutes.items():
            for window in Window:
                counted[key_id, window, minute // _MINUTES[window]] += count
        arguments: list[bytes | int] = [self._bound]
        for (_, window, _), count in counted.items():
            arguments += (count, 2 * int(WINDOWS[window].total_seconds()))
        keys = [self._stream, *(self._counter(*counter) for counter in counted)]
        try:
            appended = await self._append(keys, [*arguments, *map(_packed, rows)])
        except (RedisError, OSError, TimeoutError) as error:
            raise UsageStreamAway(type(error).__name__) from error
        if appended < 0:
            raise UsageStreamFull(f"The stream holds {self._bound} entries.")

    async def of(self, key_id: ApiKeyId, now: datetime) -> Mapping[Window, int]:
        """Requests in this minute, hour and day."""
        names = [self._counter(key_id, window, window_number(window, now)) for window in Window]
        try:
            counts = await self._redis.mget(names)
        except (RedisError, OSError) as error:
            raise UsageStreamAway(type(error).__name__) from error
        return {window: int(count or 0) for window, count in zip(Window, counts, strict=True)}

    def _counter(self, key_id: ApiKeyId, window: Window, number: int) -> str:
        return f"{self._prefix}live:{key_id}:{window}:{number}"


class RedisUsageStream:
    """One consumer of the stream's group; its name is this object's own.

    Args:
        redis: where the stream is.
        stale_seconds: after how long an entry is taken from who holds it.
    """

    def __init__(
        self, redis: Redis, stale_seconds: float = STALE_SECONDS, prefix: str = "usage:"
    ) -> None:
        self._redis = redis
        self._stale_ms = int(stale_seconds * 1000)
        self._stream = f"{prefix}requests"
        self._aside = f"{prefix}set-aside"
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._settle = redis.register_script(_SETTLE)
        self._set_aside = redis.register_script(_SET_ASIDE)
        self._forget = redis.register_script(_FORGET)

    async def take(self, limit: int) -> Sequence[TakenRow]:
        """What the dead left, or else what is new."""
        try:
            try:
                entries = await self._entries(limit)
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                # The first time, or after the server has lost its data.
                await self._make_group()
                entries = await self._entries(limit)
        except (RedisError, OSError) as error:
            raise UsageStreamAway(type(error).__name__) from error
        return [TakenRow(entry=name.decode(), row=_row(fields)) for name, fields in entries]

    async def settle(self, entries: Sequence[str]) -> None:
        """Acknowledge and delete, at once: the stream's length is what is not settled."""
        if entries:
            await self._ask(self._settle, [self._stream], entries)

    async def set_aside(self, entries: Sequence[str]) -> None:
        """Move them to a stream of their own, which nobody trims."""
        if entries:
            await self._ask(self._set_aside, [self._stream, self._aside], entries)

    async def backlog(self) -> int:
        """The stream's length."""
        try:
            return int(await self._redis.xlen(self._stream))
        except (RedisError, OSError) as error:
            raise UsageStreamAway(type(error).__name__) from error

    async def _entries(self, limit: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
        _, claimed, *_ = await self._redis.xautoclaim(
            self._stream, _GROUP, self._consumer, min_idle_time=self._stale_ms, count=limit
        )
        if claimed:
            log.info("usage entries taken over", count=len(claimed))
            return list(claimed)
        await self._forget(keys=[self._stream], args=[_GROUP, int(_FORGET_CONSUMER_SECONDS * 1000)])
        answer: Any = await self._redis.xreadgroup(
            _GROUP, self._consumer, {self._stream: ">"}, count=limit
        )
        return [entry for _, entries in answer or [] for entry in entries]

    async def _make_group(self) -> None:
        try:
            await self._redis.xgroup_create(self._stream, _GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def _ask(self, script: Any, keys: Sequence[str], entries: Sequence[str]) -> None:
        try:
            await script(keys=keys, args=[_GROUP, *entries])
        except (RedisError, OSError) as error:
            raise UsageStreamAway(type(error).__name__) from error


def _packed(row: LoggedRequest) -> bytes:
    return _encode(
        _Entry(
            row.id.bytes,
            row.user_id.bytes,
            row.key_id.bytes,
            (row.at - _EPOCH) // _MICROSECOND,
            row.route,
            row.status,
            row.latency_us,
            row.request_id,
            None if row.run_id is None else row.run_id.bytes,
            row.requests,
        )
    )


def _row(fields: Mapping[bytes, bytes]) -> LoggedRequest | None:
    try:
        entry = _decode(fields[_FIELD])
        return LoggedRequest(
            id=UUID(bytes=entry.id),
            user_id=UserId(UUID(bytes=entry.user_id)),
            key_id=ApiKeyId(UUID(bytes=entry.key_id)),
            at=_EPOCH + entry.at_us * _MICROSECOND,
            route=entry.route,
            status=entry.status,
            latency_us=entry.latency_us,
            request_id=entry.request_id,
            run_id=None if entry.run_id is None else RunId(UUID(bytes=entry.run_id)),
            requests=entry.requests,
        )
    except (KeyError, ValueError, OverflowError, msgspec.DecodeError):
        return None
