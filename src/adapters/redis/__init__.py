"""What lives in Redis (or Valkey): tickets, the nudges of live progress, the provider's gate,
rate limits' counts, where accounts were signed in to, the news that keys have changed, sign-ins
that are under way elsewhere, and the usage log on its way.

Nothing here is the truth, except what of the usage log is not drained yet. A lost nudge costs a
watcher one poll of the log, a lost ticket one more request, a lost sign-in another click, a lost
gate a burst of calls, lost counts a fresh quota, a lost place a count of one's own, so errors are
answered quickly rather than hidden behind long retries.

Live progress is followed over one connection per process, whatever the number of runs watched,
owned by one supervising task (:class:`Subscriber`). It is a bare connection and not redis-py's
``PubSub``, whose own silent reconnection would hide the very moment at which watchers must read
the log again. News of keys has a second such connection, which finds a silent server sooner.
Subscribing is a matter of comparing what is wanted with what was asked of this
connection, so a new connection and a changed wish are the same case.

A follower is told ``Nudge(seq=0)``, "read the log, whatever you know", whenever its channel's
subscription is confirmed anew: what was published in between is lost to it, the log is not.

RESP2 is spoken: it does all that is needed here, and Valkey has no maintenance notifications,
which redis-py asks for under RESP3.
"""

from adapters.redis.connection import open_redis
from adapters.redis.key_changes import RedisKeyChanges
from adapters.redis.known_places import RedisKnownPlaces
from adapters.redis.live_updates import RedisLiveUpdates
from adapters.redis.one_time_values import RedisOneTimeValues
from adapters.redis.probe import RedisProbe
from adapters.redis.provider_gate import RedisProviderGate
from adapters.redis.rate_limiter import RedisRateLimiter
from adapters.redis.stream_tickets import RedisStreamTickets
from adapters.redis.usage_stream import RedisUsageSink, RedisUsageStream

__all__ = [
    "RedisKeyChanges",
    "RedisKnownPlaces",
    "RedisLiveUpdates",
    "RedisOneTimeValues",
    "RedisProbe",
    "RedisProviderGate",
    "RedisRateLimiter",
    "RedisStreamTickets",
    "RedisUsageSink",
    "RedisUsageStream",
    "open_redis",
]
