"""Rate limits counted on the server, by one script on the server's own time."""

import asyncio
import math
from collections.abc import Callable, Sequence

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.redis.script_pipe import PipedScript
from application.keys.local_rate_limiter import LocalRateLimiter
from application.ports.metrics import LimitMetrics
from application.ports.rate_limiter import Charge, Verdict
from domain.keys.rate_limit import Standing, standing

log: structlog.stdlib.BoundLogger = structlog.get_logger("rate_limiter")

_ASK_AGAIN_SECONDS = 1.0
"""How long nobody is asked again after no answer came: a server that is away would otherwise
cost every request its whole timeout."""

ALONE_SHARE = 0.1
"""What one process grants of every quota while it cannot know what the others grant."""

SERVER_CLOCK = """
local time = redis.call('TIME')
local now, grace = time[1] * 1000 + math.floor(time[2] / 1000), 0
"""
"""The present in milliseconds, and for how much longer than needed a bucket's key lives."""

_CHARGE = """
local stored = redis.call('MGET', unpack(KEYS))
local before, after, at, admitted = {}, {}, {}, 1
for i = 1, #KEYS do
  local quota, window = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  local cost, level, since = tonumber(ARGV[3 * i]), 0, now
  if stored[i] then
    local space = string.find(stored[i], ' ', 1, true)
    level = tonumber(string.sub(stored[i], 1, space - 1))
    since = tonumber(string.sub(stored[i], space + 1))
    if since > now + window then
      since = now
      redis.call('SET', KEYS[i], string.format('%.0f %.0f', level, now), 'PX',
        string.format('%.0f', math.ceil(level / quota) + grace))
    end
  end
  level = math.max(0, level - math.max(0, now - since) * quota)
  before[i], at[i] = level, math.max(now, since)
  after[i] = math.max(0, level + math.min(cost, quota) * window)
  if cost > 0 and after[i] > quota * window then admitted = 0 end
end
if admitted == 0 then return {0, unpack(before)} end
for i = 1, #KEYS do
  if after[i] > 0 then
    local quota = tonumber(ARGV[3 * i - 2])
    local keep = math.ceil(after[i] / quota) + at[i] - now + grace
    redis.call('SET', KEYS[i], string.format('%.0f %.0f', after[i], at[i]), 'PX',
      string.format('%.0f', keep))
  elseif stored[i] then
    redis.call('DEL', KEYS[i])
  end
end
return {1, unpack(after)}
"""
"""The domain's ``drained`` and ``filled``, over every bucket or none. A key lives as long as its
bucket has anything in it: no key is an empty bucket.

A bucket last used more than its window from now was filled while the server's clock was wrong: it
drains from now on. Else whoever was full would stay so until that time comes, and be told less."""


class RedisRateLimiter:
    """Counts for all processes, in one round trip.

    While the server does not answer, this process counts by itself and grants
    :data:`ALONE_SHARE` of every quota; who was refused before stays refused until then.

    Args:
        redis: where the counts are.
        metrics: is told when this process is alone.
        alone: what counts then.
        prefix: begins every key.
        clock: Lua that says what time it is; tests have their own.
        seconds: this process's own time.
    """

    def __init__(
        self,
        redis: Redis,
        metrics: LimitMetrics,
        alone: LocalRateLimiter | None = None,
        prefix: str = "limit:",
        clock: str = SERVER_CLOCK,
        seconds: Callable[[], float] | None = None,
    ) -> None:
        self._script = PipedScript(redis, clock + _CHARGE)
        self._metrics = metrics
        self._alone = alone or LocalRateLimiter()
        self._prefix = prefix
        self._seconds = seconds or (lambda: asyncio.get_running_loop().time())
        self._ask_at = 0.0
        self._away = False
        self._full: dict[str, float] = {}

    async def close(self) -> None:
        """Close its connection. Harmless when repeated."""
        await self._script.close()

    async def charge(self, charges: Sequence[Charge]) -> Verdict:
        """Count a request under every policy, or under none."""
        levels = await self._asked(charges)
        if levels is None:
            return self._by_itself(charges)
        admitted = bool(levels[0])
        verdict = Verdict(
            admitted=admitted,
            standings=tuple(
                standing(charge.policy, level, 1 if admitted else charge.cost)
                for charge, level in zip(charges, levels[1:], strict=True)
            ),
        )
        if not admitted:
            self._remember(charges, verdict)
        return verdict

    async def _asked(self, charges: Sequence[Charge]) -> list[int] | None:
        if self._away and self._seconds() < self._ask_at:
            return None
        if self._away:
            # One request finds out; those beside it do not wait for that.
            self._ask_at = self._seconds() + _ASK_AGAIN_SECONDS
        arguments: list[int] = []
        for charge in charges:
            arguments += (charge.policy.quota, charge.policy.window_ms, charge.cost)
        try:
            levels: list[int] = await self._script(
                [self._prefix + charge.bucket for charge in charges], arguments
            )
        except (RedisError, OSError, TimeoutError) as error:
            if not self._away:
                log.error("rate limits are not shared", error=type(error).__name__)
                self._metrics.alone(True)
            self._away = True
            self._ask_at = self._seconds() + _ASK_AGAIN_SECONDS
            return None
        if self._away:
            log.info("rate limits are shared again")
            self._away = False
            self._metrics.alone(False)
        return levels

    def _remember(self, charges: Sequence[Charge], verdict: Verdict) -> None:
        now = self._seconds()
        for charge, each in zip(charges, verdict.standings, strict=True):
            if each.retry_seconds:
                self._full.pop(charge.bucket, None)
                self._full[charge.bucket] = now + each.retry_seconds
        while len(self._full) > self._alone.max_buckets:
            del self._full[next(iter(self._full))]

    def _by_itself(self, charges: Sequence[Charge]) -> Verdict:
        now = self._seconds()
        shared = [
            Charge(policy=charge.policy.share(ALONE_SHARE), caller=charge.caller, cost=charge.cost)
            for charge in charges
        ]
        full = [self._full.get(charge.bucket, 0.0) - now for charge in charges]
        if max(full, default=0.0) <= 0:
            return self._alone.charged(shared)
        return Verdict(
            admitted=False,
            standings=tuple(
                Standing(
                    policy=charge.policy,
                    remaining=0 if wait > 0 else charge.policy.quota,
                    reset_seconds=max(0, math.ceil(wait)),
                    retry_seconds=max(0, math.ceil(wait)),
                )
                for charge, wait in zip(shared, full, strict=True)
            ),
        )
