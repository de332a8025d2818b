"""Values kept for minutes under random tokens, each taken once."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Generic, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from application.ports.identity_provider import ValuesUnavailable

T = TypeVar("T")

_TOKEN_BYTES: Final = 32
_ANSWER_SECONDS: Final = 3.0


class RedisOneTimeValues(Generic[T]):
    """Dataclasses of one type under keys that expire.

    The server knows only a token's SHA-256: whoever reads its memory or its backup can take
    nothing.

    Args:
        redis: the server.
        kind: what the values are, told apart from others of the server.
        type_: their type, as msgspec writes and reads it.
    """

    def __init__(self, redis: Redis, kind: str, type_: type[T]) -> None:
        self._redis = redis
        self._kind = kind
        self._type = type_

    async def keep(self, value: T, ttl_seconds: int) -> str:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        async with _answered():
            await self._redis.set(self._key(token), msgspec.json.encode(value), ex=ttl_seconds)
        return token

    async def look(self, token: str) -> T | None:
        async with _answered():
            return self._read(await self._redis.get(self._key(token)))

    async def take(self, token: str) -> T | None:
        async with _answered():
            # One command, so that of two takers exactly one gets the value.
            return self._read(await self._redis.getdel(self._key(token)))

    def _read(self, kept: bytes | str | None) -> T | None:
        return None if kept is None else msgspec.json.decode(kept, type=self._type)

    def _key(self, token: str) -> str:
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._kind}:{digest}"


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise ValuesUnavailable("Signing in that way does not work now. Try again.") from error
