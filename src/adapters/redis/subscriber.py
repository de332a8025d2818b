"""The one pub/sub connection of a process."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

log: structlog.stdlib.BoundLogger = structlog.get_logger("live_updates")

_FIRST_BACKOFF_SECONDS = 0.05
_LONGEST_BACKOFF_SECONDS = 2.0

QUIET_SECONDS = 10.0

_CANCEL_AGAIN_SECONDS = 0.2


class Subscriber:
    """Keeps the wanted channels subscribed through drops, restarts and kills of the connection.

    Args:
        redis: whose pool says how to connect; the connection itself is not of the pool.
        received: called with each message's channel and content.
        confirmed: called each time the server confirms a channel, so after every reconnection.
        quiet_seconds: after this long without a word the server is pinged; after as long again
            without an answer the connection counts as dead. A peer that vanished without a
            packet is found in no other way.
    """

    def __init__(
        self,
        redis: Redis,
        received: Callable[[str, bytes], None],
        confirmed: Callable[[str], None],
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._redis = redis
        self._quiet_seconds = quiet_seconds
        self._received = received
        self._confirmed_again = confirmed
        self._wishes: dict[str, _Wish] = {}
        self._changed = asyncio.Event()
        self._failures = 0  # in a row
        self._connected_at: float | None = None
        self._lost = False
        # Of the present connection: what the server was asked for, and what it has confirmed.
        self._asked: set[str] = set()
        self._confirmed: set[str] = set()
        self._ping_due = False
        self._supervision: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to supervise the connection. Harmless when repeated."""
        if self._supervision is None:
            self._supervision = asyncio.create_task(self._supervise(), name="subscriptions")

    async def close(self) -> None:
        """End the supervision and the connection. Harmless when repeated."""
        supervision, self._supervision = self._supervision, None
        while supervision is not None and not supervision.done():
            supervision.cancel()
            # Again if it was lost: redis-py sends within asyncio.wait_for, which on Python 3.11
            # swallows a cancellation that comes together with the end of what it waits for.
            await asyncio.wait([supervision], timeout=_CANCEL_AGAIN_SECONDS)

    def running(self) -> bool:
        """Whether it was started and not closed."""
        return self._supervision is not None

    def want(self, channel: str) -> None:
        """Add one to those who want this channel."""
        wish = self._wishes.get(channel)
        if wish is None:
            wish = self._wishes[channel] = _Wish()
            if channel in self._confirmed:
                wish.confirmed.set()
            self._changed.set()
        wish.count += 1

    def drop(self, channel: str) -> None:
        """Take one away from those who want this channel; the last one's ends it."""
        wish = self._wishes[channel]
        wish.count -= 1
        if wish.count == 0:
            del self._wishes[channel]
            self._changed.set()

    def confirmed(self, channel: str) -> bool:
        """Whether a wanted channel is subscribed now."""
        wish = self._wishes.get(channel)
        return wish is not None and wish.confirmed.is_set()

    async def confirmation(self, channel: str, timeout_seconds: float) -> bool:
        """Wait until a wanted channel is subscribed; False when that takes longer."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._wishes[channel].confirmed.wait()
        except TimeoutError:
            return False
        return True

    async def _supervise(self) -> None:
        while True:
            try:
                await self._keep_connection()
            # Whatever it was, a process that stops listening would be silent for good; so one
            # that cannot be foreseen is treated like a dropped connection, with its trace.
            except Exception as error:  # noqa: BLE001 (logged and survived, as said above)
                self._note_loss(error)
            longest = min(
                _FIRST_BACKOFF_SECONDS * 2.0 ** min(self._failures, 10), _LONGEST_BACKOFF_SECONDS
            )
            # Full jitter: every process loses a restarted server at the same moment.
            await asyncio.sleep(random.uniform(0, longest))

    async def _keep_connection(self) -> None:
        pool = self._redis.connection_pool
        # redis-py leaves these two without annotations.
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._note_connection()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(connection))
                both.create_task(self._listen(connection))
        finally:
            self._asked.clear()
            self._confirmed.clear()
            for wish in self._wishes.values():
                wish.confirmed.clear()
            await connection.disconnect(nowait=True)

    async def _ask(self, connection: AbstractConnection) -> None:
        # Ends with the connection and not only when cancelled; for the reason, see close().
        while connection.is_connected:
            wanted = self._wishes.keys()
            more, fewer = wanted - self._asked, self._asked - wanted
            ping, self._ping_due = self._ping_due, False
            # The sets change before the sending, which gives others a turn.
            self._asked |= more
            self._asked -= fewer
            self._confirmed -= fewer
            for command in (["SUBSCRIBE", *more], ["UNSUBSCRIBE", *fewer]):
                if len(command) > 1:
                    await self._send(connection, *command)
            if ping:
                await self._send(connection, "PING")
            await self._changed.wait()
            self._changed.clear()

    async def _send(self, connection: AbstractConnection, *command: str) -> None:
        # redis-py would silently connect again, outside of our supervision.
        if connection.is_connected:
            # Its own health check would read the answers that are another task's to read.
            await connection.send_command(*command, check_health=False)

    async def _listen(self, connection: AbstractConnection) -> None:
        pinged = False
        try:
            while True:
                answer = await connection.read_response(
                    timeout=self._quiet_seconds, disconnect_on_error=False
                )
                if answer is None and pinged:
                    raise RedisConnectionError("The server no longer answers.")
                pinged = self._ping_due = answer is None
                if pinged:
                    self._changed.set()
                else:
                    self._take(answer)
        finally:
            await connection.disconnect(nowait=True)
            self._changed.set()

    def _take(self, answer: object) -> None:
        match answer:
            case [b"message", bytes(channel), bytes(message)]:
                self._received(channel.decode(), message)
            case [b"subscribe", bytes(channel), _]:
                self._note_confirmation(channel.decode())
            case _:
                pass  # the answer to UNSUBSCRIBE or to PING

    def _note_confirmation(self, channel: str) -> None:
        wish = self._wishes.get(channel)
        if wish is not None:
            self._confirmed.add(channel)
            wish.confirmed.set()
            self._confirmed_again(channel)

    def _note_connection(self) -> None:
        self._connected_at = asyncio.get_running_loop().time()
        if self._lost:
            self._lost = False
            log.info("live_subscription_restored", channels=len(self._wishes))

    def _note_loss(self, error: Exception) -> None:
        # A connection that lasted ends the row of failures; one that drops at once does not.
        now, since = asyncio.get_running_loop().time(), self._connected_at
        lasted = since is not None and now - since > _LONGEST_BACKOFF_SECONDS
        self._failures, self._connected_at = 1 if lasted else self._failures + 1, None
        causes = _leaves(error)
        if not all(isinstance(cause, RedisError | OSError) for cause in causes):
            log.error("live_subscription_failed", exc_info=error)
        elif not self._lost:
            # Once, and not at each attempt while the server is away.
            reasons = sorted({type(cause).__name__ for cause in causes})
            log.warning("live_subscription_lost", error=", ".join(reasons))
        self._lost = True


@dataclass(slots=True)
class _Wish:
    count: int = 0
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)


def _leaves(error: Exception) -> list[Exception]:
    if isinstance(error, ExceptionGroup):
        return [leaf for member in error.exceptions for leaf in _leaves(member)]
    return [error]
