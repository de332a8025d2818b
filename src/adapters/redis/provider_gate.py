"""The provider's gate, shared by every process, as two scripts on the server's own time."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from application.ports.provider_gate import Circuit, CircuitState, Refusal, RefusalReason
from application.runs.circuit_policy import AWAY_SHARE, CircuitRule, Pace
from application.runs.local_gate import LocalProviderGate

log: structlog.stdlib.BoundLogger = structlog.get_logger("provider_gate")

_ANSWER_SECONDS = 1.5

_KEEP_SECONDS = 3_600
"""Longer than any circuit stays open and any bucket takes to fill: no key means all is well."""

SERVER_CLOCK = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""
"""The present in seconds."""

_LEVELS = """
local key, keep = KEYS[1], tonumber(ARGV[1])
local state = {}
local fields = {'failures', 'opened', 'until', 'probe', 'requests', 'tokens', 'at'}
local values = redis.call('HMGET', key, unpack(fields))
for i, field in ipairs(fields) do state[field] = tonumber(values[i]) end
local function put(field, value)
  redis.call('HSET', key, field, string.format('%.6f', value))
end
local function level(field, per_minute)
  local elapsed = math.max(now - (state.at or now), 0)
  return math.min(per_minute, (state[field] or per_minute) + elapsed * per_minute / 60)
end
"""

_ADMIT = (
    _LEVELS
    + """
local rpm, tpm, amount = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local probe_seconds, open_seconds = tonumber(ARGV[5]), tonumber(ARGV[6])
if state['until'] then
  local shut = state['until'] - now
  if shut <= 0 then shut = math.min((state.probe or 0) - now, open_seconds) end
  if shut > 0 then return {'model_circuit_open', string.format('%.6f', shut)} end
end
local requests, tokens, wait = level('requests', rpm), level('tokens', tpm), 0
if rpm > 0 then wait = math.max(wait, (1 - requests) * 60 / rpm) end
if tpm > 0 then wait = math.max(wait, (math.min(amount, tpm) - tokens) * 60 / tpm) end
if wait > 0 then return {'model_over_rate', string.format('%.6f', wait)} end
if rpm > 0 then put('requests', requests - 1) end
if tpm > 0 then put('tokens', tokens - amount) end
put('at', now)
if state['until'] then put('probe', now + probe_seconds) end
redis.call('EXPIRE', key, keep)
return {'', '0'}
"""
)

_REPORT = (
    _LEVELS
    + """
local tpm, beyond, failed = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local most, open_seconds, cap = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local retry_after = tonumber(ARGV[8])
if tpm > 0 then put('tokens', (state.tokens or tpm) - beyond) end
if not state.at then put('at', now) end
redis.call('EXPIRE', key, keep)
if not failed then
  redis.call('HDEL', key, 'failures', 'opened', 'until', 'probe')
  return '0'
end
if state['until'] and now < state['until'] then
  return string.format('%.6f', state['until'] - now)
end
local failures = (state.failures or 0) + 1
put('failures', failures)
if not state['until'] and failures < most then return '0' end
local opened = (state.opened or 0) + 1
local seconds = math.max(retry_after, math.min(cap, open_seconds * 2 ^ math.min(opened - 1, 20)))
put('opened', opened)
put('until', now + seconds)
redis.call('HDEL', key, 'probe')
redis.call('EXPIRE', key, math.max(keep, math.ceil(2 * seconds)))
return string.format('%.6f', seconds)
"""
)

_LOOK = """
local open_until = tonumber(redis.call('HGET', KEYS[1], 'until') or '')
if not open_until then return '' end
return string.format('%.6f', open_until - now)
"""


class RedisProviderGate:
    """One provider's rate and circuit under one key.

    While Redis does not answer, this process keeps a circuit of its own and takes
    :data:`AWAY_SHARE` of the pace.
    """

    def __init__(
        self,
        redis: Redis,
        provider: str,
        rule: CircuitRule,
        pace: Pace,
        *,
        clock: str = SERVER_CLOCK,
    ) -> None:
        self._key = f"provider:{provider.casefold().replace(' ', '-')}"
        self._rule = rule
        self._pace = pace
        self._admit = redis.register_script(clock + _ADMIT)
        self._report = redis.register_script(clock + _REPORT)
        self._look = redis.register_script(clock + _LOOK)
        self._alone = LocalProviderGate(rule, _share(pace))

    async def admit(self, tokens: int) -> Refusal | None:
        """Ask to make a call of about that many tokens; None is leave to make it."""
        answer = await self._asked(
            self._admit,
            self._pace.requests_per_minute,
            self._pace.tokens_per_minute,
            tokens,
            self._rule.probe_seconds,
            self._rule.open_seconds,
        )
        if answer is None:
            return await self._alone.admit(tokens)
        reason, seconds = answer
        if not reason:
            return None
        return Refusal(reason=RefusalReason(reason.decode()), seconds=float(seconds))

    async def answered(self, tokens_beyond: int) -> None:
        """The provider answered: the circuit closes."""
        if await self._reported(tokens_beyond, failed=False, retry_after=None) is None:
            await self._alone.answered(tokens_beyond)

    async def failed(self, tokens_beyond: int, *, retry_after: float | None) -> float:
        """The provider failed; returns for how long no call passes now."""
        seconds = await self._reported(tokens_beyond, failed=True, retry_after=retry_after)
        if seconds is None:
            return await self._alone.failed(tokens_beyond, retry_after=retry_after)
        return seconds

    async def circuit(self) -> Circuit:
        """The circuit as it is."""
        answer = await self._asked(self._look)
        if answer is None:
            return await self._alone.circuit()
        if not answer:
            return Circuit(state=CircuitState.CLOSED)
        seconds = float(answer)
        if seconds > 0:
            return Circuit(state=CircuitState.OPEN, seconds=seconds)
        return Circuit(state=CircuitState.HALF_OPEN)

    async def _reported(
        self, tokens_beyond: int, *, failed: bool, retry_after: float | None
    ) -> float | None:
        answer = await self._asked(
            self._report,
            self._pace.tokens_per_minute,
            tokens_beyond,
            int(failed),
            self._rule.failures,
            self._rule.open_seconds,
            self._rule.cap_seconds,
            retry_after or 0.0,
        )
        return None if answer is None else float(answer)

    async def _asked(self, script: Any, *arguments: float) -> Any:
        """What the script says, or None when the server does not answer."""
        given: Sequence[float] = (_KEEP_SECONDS, *arguments)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await script(keys=[self._key], args=given)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("provider gate is not shared", error=type(error).__name__)
            return None


def _share(pace: Pace) -> Pace:
    def of(limit: int) -> int:
        return max(1, int(limit * AWAY_SHARE)) if limit else 0

    return Pace(
        requests_per_minute=of(pace.requests_per_minute),
        tokens_per_minute=of(pace.tokens_per_minute),
    )
