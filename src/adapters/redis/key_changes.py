"""Changes of keys, told to every process over pub/sub."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.redis.subscriber import Subscriber
from domain.shared.ids import UserId

log: structlog.stdlib.BoundLogger = structlog.get_logger("key_changes")

_CHANNEL = "api-keys"
_PUBLISH_SECONDS = 1.0

_QUIET_SECONDS = 0.3
"""A server is pinged after this long without a word, and counts as lost after as long again: a
revocation must not go unheard for a second, and a peer that vanished sends nothing."""


class RedisKeyChanges:
    """One channel, with a person's id as the message.

    Announcing needs nothing more than the client. Hearing needs :meth:`start` before and
    :meth:`close` after. The subscription has a connection of its own, because it must be
    known within half a second, and not within twenty, that nothing arrives any more.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: list[tuple[Callable[[UserId], None], Callable[[], None]]] = []
        self._subscriber = Subscriber(
            redis, self._received, self._confirmed, quiet_seconds=_QUIET_SECONDS
        )
        self._subscriber.want(_CHANNEL)

    async def start(self) -> None:
        """Begin to keep the subscription. Does not wait for Redis, and works without it."""
        self._subscriber.start()

    async def close(self) -> None:
        """End the subscription. Harmless when repeated."""
        await self._subscriber.close()

    def listen(self, changed: Callable[[UserId], None], missed: Callable[[], None]) -> None:
        """Call ``changed`` for each announcement, ``missed`` when some may have been lost."""
        self._listeners.append((changed, missed))

    @property
    def heard(self) -> bool:
        """Whether the server confirmed the subscription, and has answered since."""
        return self._subscriber.confirmed(_CHANNEL)

    async def announce(self, user_id: UserId) -> None:
        """Tell every process; this one does not wait for the way round."""
        for changed, _ in self._listeners:
            changed(user_id)
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await self._redis.publish(_CHANNEL, user_id.bytes)
        except (RedisError, OSError, TimeoutError) as error:
            log.error("key change not announced", user_id=str(user_id), error=type(error).__name__)

    def _received(self, _: str, message: bytes) -> None:
        try:
            user_id = UserId(UUID(bytes=message))
        except ValueError:
            # Whatever it was to say: nothing that is remembered is trusted after it.
            log.warning("key change not understood")
            self._confirmed(_CHANNEL)
            return
        for changed, _missed in self._listeners:
            changed(user_id)

    def _confirmed(self, _: str) -> None:
        for _changed, missed in self._listeners:
            missed()
