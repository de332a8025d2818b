"""How this process connects to Redis."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff
from redis.maint_notifications import MaintNotificationsConfig

_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_POOL_WAIT_SECONDS = 1.0
_IDLE_SECONDS = 30


def open_redis(url: str, max_connections: int = 50) -> Redis:
    """A client of the server at ``url`` (``redis://``, ``rediss://`` or ``unix://``).

    It connects on first use. Answers are bytes. A command is tried three times at most, with
    full jitter in between, so one that is not idempotent must bear being sent twice. A caller
    waits up to a second for a free connection. Close with ``await client.aclose()``.

    Raises:
        ValueError: the URL is of another kind.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=_POOL_WAIT_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        # A connection that idled longer is pinged before it is used: a NAT gateway or a load
        # balancer may have forgotten it.
        health_check_interval=_IDLE_SECONDS,
        retry=Retry(FullJitterBackoff(base=0.02, cap=0.2), retries=2),
        client_name="bharatbuild",
        protocol=2,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return Redis.from_pool(pool)
