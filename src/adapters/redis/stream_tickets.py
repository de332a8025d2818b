"""Single-use tickets that open a run's stream."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from application.ports.live import StreamHolder, TicketsUnavailable
from domain.shared.ids import ApiKeyId, RunId, SessionId, UserId

_TICKET_BYTES = 32  # 256 bits: cannot be guessed within any lifetime
_MAX_TICKET_LENGTH = 128
_ANSWER_SECONDS = 3.0


class RedisStreamTickets:
    """Tickets as keys that expire. The server knows only a ticket's SHA-256, so whoever reads
    its memory or its backup can open nothing."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def issue(self, holder: StreamHolder, run_id: RunId, ttl_seconds: int) -> str:
        """Make a ticket for that person and run, good once within ``ttl_seconds``.

        Raises:
            ValueError: ``ttl_seconds`` is not positive.
            TicketsUnavailable: Redis did not answer.
        """
        if ttl_seconds <= 0:
            raise ValueError("A ticket must live for at least a second.")
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        bearer = msgspec.json.encode(
            _Bearer(user=holder.user_id, run=run_id, session=holder.session_id, key=holder.key_id)
        )
        async with _answered():
            await self._redis.set(_key(ticket), bearer, ex=ttl_seconds)
        return ticket

    async def redeem(self, ticket: str, run_id: RunId) -> StreamHolder | None:
        """Use a ticket up; None when it is unknown, used, too old, or another run's.

        A ticket shown for another run is used up too: its holder is confused or probing. If the
        connection breaks after Redis took the ticket, it is lost; it is never honoured twice.

        Raises:
            TicketsUnavailable: Redis did not answer.
        """
        if len(ticket) > _MAX_TICKET_LENGTH:
            return None
        async with _answered():
            # One command, so that of two redemptions exactly one gets the value.
            stored = await self._redis.getdel(_key(ticket))
        if stored is None:
            return None
        bearer = msgspec.json.decode(stored, type=_Bearer)
        if bearer.run != run_id:
            return None
        return StreamHolder(
            user_id=UserId(bearer.user),
            session_id=None if bearer.session is None else SessionId(bearer.session),
            key_id=None if bearer.key is None else ApiKeyId(bearer.key),
        )


class _Bearer(msgspec.Struct, frozen=True):
    user: UUID
    run: UUID
    session: UUID | None = None
    key: UUID | None = None


def _key(ticket: str) -> str:
    digest = hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
    return f"stream-ticket:{digest}"


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise TicketsUnavailable("The ticket store did not answer; try again.") from error
