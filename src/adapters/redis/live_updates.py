"""Live progress over pub/sub."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.redis.inbox import Inbox
from adapters.redis.subscriber import Subscriber
from application.ports.live import Nudge, StepProgress
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import RunId

log: structlog.stdlib.BoundLogger = structlog.get_logger("live_updates")

_PUBLISH_SECONDS = 1.0
_SUBSCRIBE_SECONDS = 1.0

_MOST_BYTES = 16_384
"""A longer entry is left to the log: every watching process would be sent it."""


class RedisLiveUpdates:
    """Publishes to, and follows, a run's watchers, over the channel ``run:{id}``.

    Publishing needs nothing more than the client. Following needs :meth:`start` before and
    :meth:`close` after; where one process only publishes, it need not start.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._subscriber = Subscriber(redis, self._received, self._confirmed)
        self._inboxes: dict[str, set[Inbox]] = {}

    async def start(self) -> None:
        """Begin to keep the subscription. Does not wait for Redis, and works without it."""
        self._subscriber.start()

    async def close(self) -> None:
        """End every follower's iteration and the subscription. Harmless when repeated."""
        await self._subscriber.close()
        for inboxes in self._inboxes.values():
            for inbox in inboxes:
                inbox.end()

    async def publish(self, run_id: RunId, update: Nudge | StepProgress) -> None:
        """Tell the watchers, within a second or not at all; a failure is logged."""
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await self._redis.publish(_channel(run_id), _encoded(update))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("live_update_not_published", run_id=str(run_id), error=type(error).__name__)

    @asynccontextmanager
    async def follow(self, run_id: RunId) -> AsyncIterator[AsyncIterator[Nudge | StepProgress]]:
        """Follow a run's updates from now on: what is published after this has been entered
        arrives, or else a ``Nudge(seq=0)`` does.

        Enters within about a second even without Redis. The iteration ends with :meth:`close`.

        Raises:
            RuntimeError: not started, or closed.
        """
        if not self._subscriber.running():
            raise RuntimeError("Live updates are followed between start() and close().")
        channel, inbox = _channel(run_id), Inbox()
        self._subscriber.want(channel)
        try:
            await self._subscriber.confirmation(channel, _SUBSCRIBE_SECONDS)
            # Only now among the inboxes: its first confirmation is no reason to read again. One
            # that came too late is.
            self._inboxes.setdefault(channel, set()).add(inbox)
            if not self._subscriber.running():
                inbox.end()
            yield inbox
        finally:
            self._subscriber.drop(channel)
            self._forget(channel, inbox)

    def _forget(self, channel: str, inbox: Inbox) -> None:
        inboxes = self._inboxes.get(channel, set())
        inboxes.discard(inbox)
        if not inboxes:
            self._inboxes.pop(channel, None)

    def _received(self, channel: str, message: bytes) -> None:
        try:
            update = _decoded(_run(channel), message)
        except msgspec.DecodeError as error:
            log.warning("live_update_not_understood", channel=channel, error=str(error))
            return
        for inbox in self._inboxes.get(channel, ()):
            inbox.put(update)

    def _confirmed(self, channel: str) -> None:
        for inbox in self._inboxes.get(channel, ()):
            inbox.put(Nudge(seq=0))


class _EntryMessage(msgspec.Struct, frozen=True):
    kind: EventType
    at: datetime
    data: dict[str, Any]


class _NudgeMessage(msgspec.Struct, frozen=True, tag_field="type", tag="nudge"):
    seq: int
    entry: _EntryMessage | None = None


class _StepProgressMessage(msgspec.Struct, frozen=True, tag_field="type", tag="step_progress"):
    step: str
    output_tokens: int


_DECODER = msgspec.json.Decoder(_NudgeMessage | _StepProgressMessage)


def _encoded(update: Nudge | StepProgress) -> bytes:
    if isinstance(update, Nudge):
        entry = None
        if update.entry is not None:
            carried = update.entry
            entry = _EntryMessage(carried.type, carried.at, dict(carried.data))
        message = msgspec.json.encode(_NudgeMessage(update.seq, entry))
        if len(message) > _MOST_BYTES:
            message = msgspec.json.encode(_NudgeMessage(update.seq))
        return message
    return msgspec.json.encode(
        _StepProgressMessage(step=update.step, output_tokens=update.output_tokens)
    )


def _decoded(run_id: RunId, message: bytes) -> Nudge | StepProgress:
    received = _DECODER.decode(message)
    if isinstance(received, _NudgeMessage):
        if received.entry is None:
            return Nudge(seq=received.seq)
        return Nudge.of(
            RunEvent(
                run_id=run_id,
                seq=received.seq,
                type=received.entry.kind,
                data=received.entry.data,
                at=received.entry.at,
            )
        )
    return StepProgress(step=received.step, output_tokens=received.output_tokens)


def _channel(run_id: RunId) -> str:
    return f"run:{run_id}"


def _run(channel: str) -> RunId:
    return RunId(UUID(channel.removeprefix("run:")))
