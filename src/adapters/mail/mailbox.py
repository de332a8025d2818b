"""The mailbox of a laptop: what would be sent is kept for a while, and shown."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from redis.exceptions import RedisError

from application.ports.mail import MailUndelivered, Message

_KEY: Final = "bharatbuild:mailbox"
_MOST: Final = 500
_KEEP_SECONDS: Final = 7 * 24 * 60 * 60


class RedisMailbox:
    """The ``MailSender`` that sends nothing. Takes a client and does not close it."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    async def send(self, message: Message) -> None:
        """Keep it.

        Raises:
            MailUndelivered: Redis does not answer.
        """
        kept = json.dumps({**asdict(message), "id": str(message.id)})
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.lpush(_KEY, kept)
                pipe.ltrim(_KEY, 0, _MOST - 1)
                pipe.expire(_KEY, _KEEP_SECONDS)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise MailUndelivered(type(error).__name__) from error

    async def messages(self, to: str = "") -> Sequence[Message]:
        """What is kept, the last first, of one recipient if one is named."""
        found = [json.loads(each) for each in await self._redis.lrange(_KEY, 0, -1)]
        return [
            Message(**{**each, "id": UUID(each["id"])}) for each in found if to in ("", each["to"])
        ]
