"""Sending hints."""

import asyncio

import redis
import structlog
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError

from domain.shared.ids import RunId, WebhookEndpointId

log = structlog.get_logger(__name__)

QUEUE = "runs"
ACTOR = "execute_run"
WEBHOOK_QUEUE = "webhooks"
WEBHOOK_ACTOR = "deliver_webhooks"

_HEARTBEAT_MS = 5_000
"""After this silence a worker process counts as gone, and its messages go back."""

_ALWAYS = 100_000
"""Dramatiq's chance, in a million, that a command also does maintenance: one in ten. By
default it is one in a thousand, and messages of a killed process then wait minutes."""


HINT_SECONDS = 1.0
"""How long a server is waited for by whoever sends a hint. What is due is in the database, and the
request that it was sent for waits all that time, in one of a process's few threads."""

_WORK_SECONDS = 10.0


def open_broker(redis_url: str, answer_seconds: float = _WORK_SECONDS) -> RedisBroker:
    """A broker without middleware, for sending; a worker adds its own. Connects lazily."""
    client = redis.Redis.from_url(
        redis_url, socket_connect_timeout=1.0, socket_timeout=answer_seconds, protocol=2
    )
    return RedisBroker(  # type: ignore[no-untyped-call]  # Dramatiq leaves it untyped
        client=client,
        middleware=[],
        heartbeat_timeout=_HEARTBEAT_MS,
        maintenance_chance=_ALWAYS,
    )


class DramatiqJobQueue:
    """The ``JobQueue`` over a broker."""

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker
        for queue in (QUEUE, WEBHOOK_QUEUE):
            self._broker.declare_queue(queue)

    async def announce_run(self, run_id: RunId) -> None:
        """Send the hint; when it cannot be sent, say so in the log and go on."""
        await self._send(QUEUE, ACTOR, run_id=str(run_id))

    async def announce_webhooks(self, endpoint_id: WebhookEndpointId) -> None:
        """Send the hint; when it cannot be sent, say so in the log and go on."""
        await self._send(WEBHOOK_QUEUE, WEBHOOK_ACTOR, endpoint_id=str(endpoint_id))

    async def _send(self, queue: str, actor: str, **about: str) -> None:
        message: Message[None] = Message(
            queue_name=queue, actor_name=actor, args=tuple(about.values()), kwargs={}, options={}
        )
        try:
            await asyncio.to_thread(self._broker.enqueue, message)
        except (redis.RedisError, BrokerConnectionError, OSError) as error:
            log.warning("hint not sent", error=type(error).__name__, **about)
