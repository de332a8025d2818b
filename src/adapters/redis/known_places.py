"""Where accounts were signed in to, for as long as it is remembered."""

import asyncio
import hashlib
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from application.ports.known_places import REMEMBERED

log: structlog.stdlib.BoundLogger = structlog.get_logger("known_places")

_ANSWER_SECONDS: Final = 0.5
"""Signing in goes on without an answer: its place counts as unknown."""


class RedisKnownPlaces:
    """A key that expires for each account and place, under a hash that names neither."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def note(self, account: str, place: str) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._redis.set(_key(account, place), b"", ex=REMEMBERED)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("known place not noted", error=type(error).__name__)

    async def knows(self, account: str, place: str) -> bool:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return bool(await self._redis.exists(_key(account, place)))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("known places not asked", error=type(error).__name__)
            return False


def _key(account: str, place: str) -> str:
    named = f"{place} {account}".encode("utf-8", "surrogatepass")
    return f"known-place:{hashlib.sha256(named).hexdigest()}"
