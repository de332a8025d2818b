"""Where the simulated gateway keeps what it knows: small documents, changed one at a time."""

from typing import Any, Protocol

from redis.exceptions import RedisError

from application.ports.payment_gateway import GatewayUnavailable

_PREFIX = "bharatbuild:gateway:"
_KEEP_SECONDS = 400 * 24 * 60 * 60
"""Longer than a year of renewals."""

_SWAP = """
local now = redis.call('GET', KEYS[1])
if (now or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class GatewayStore(Protocol):
    """Documents by name."""

    async def get(self, name: str) -> bytes:
        """The document; empty when there is none."""
        ...

    async def swap(self, name: str, before: bytes, after: bytes) -> bool:
        """Write it if it still is ``before``; whether it was."""
        ...


class RedisGatewayStore:
    """The ``GatewayStore`` in Redis. Takes a client and does not close it."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._swap = redis.register_script(_SWAP)

    async def get(self, name: str) -> bytes:
        try:
            return bytes(await self._redis.get(_PREFIX + name) or b"")
        except RedisError as error:
            raise GatewayUnavailable(type(error).__name__) from error

    async def swap(self, name: str, before: bytes, after: bytes) -> bool:
        try:
            swapped = await self._swap(keys=[_PREFIX + name], args=[before, after, _KEEP_SECONDS])
        except RedisError as error:
            raise GatewayUnavailable(type(error).__name__) from error
        return bool(swapped)
