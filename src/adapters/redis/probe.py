"""Redis's health check."""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from application.ports.health import ProbeFailed


class RedisProbe:
    """Asks the server who it is, which it refuses to say while it loads its data.

    Args:
        redis: what is checked.
        timeout_seconds: how long the answer may take.
        name: what the check is called where there are several servers (broker, cache).
    """

    required = True

    def __init__(self, redis: Redis, timeout_seconds: float = 1.0, name: str = "redis") -> None:
        self.name = name
        self._redis = redis
        self._timeout_seconds = timeout_seconds

    async def check(self) -> str:
        """The server's name and version.

        Raises:
            ProbeFailed: it did not answer in time, or refused.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._redis.ping()
                server = await self._redis.info("server")
        except (RedisError, OSError, TimeoutError) as error:
            raise ProbeFailed("Redis does not answer.") from error
        if "valkey_version" in server:
            return f"Valkey {server['valkey_version']}"
        return f"Redis {server['redis_version']}"
