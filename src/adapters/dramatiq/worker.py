"""Receiving hints: threads that wait, one event loop that works."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import dramatiq
import structlog
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import (
    AsyncIO,
    CurrentMessage,
    Middleware,
    ShutdownNotifications,
    TimeLimit,
)

from adapters.dramatiq.queue import ACTOR, QUEUE
from domain.shared.ids import RunId

log = structlog.get_logger(__name__)

Handler = Callable[[RunId], Awaitable[None]]

_LONGEST_RUN_MS = 6 * 60 * 60 * 1000
"""Only a backstop: a run's own limits end it long before."""

_IDLE_MS = 100
"""How long the consumer sleeps at most while the queue is empty (Dramatiq: 1000)."""

_CLOSE_SECONDS = 20.0


class RunWorker:
    """Takes hints and has each handled on the event loop, ``concurrency`` at once.

    ``open_handler`` is entered on that loop before the first hint and left after the
    last run was handed back, so what it opens belongs to the loop that uses it.
    """

    def __init__(
        self,
        broker: RedisBroker,
        open_handler: Callable[[], AbstractAsyncContextManager[Handler]],
        *,
        concurrency: int,
    ) -> None:
        self._life = _HandlerLife(open_handler)
        for middleware in (
            AsyncIO(),
            CurrentMessage(),
            TimeLimit(),
            ShutdownNotifications(notify_shutdown=True),
            self._life,
        ):
            broker.add_middleware(middleware)
        dramatiq.actor(
            actor_name=ACTOR, queue_name=QUEUE, broker=broker, time_limit=_LONGEST_RUN_MS
        )(self._life.handle)
        self._worker = dramatiq.Worker(broker, worker_threads=concurrency, worker_timeout=_IDLE_MS)
        # In-progress messages count: with fewer, threads would idle; with more, hints
        # would wait here while another process has time for them.
        self._worker.queue_prefetch = concurrency

    def start(self) -> None:
        """Open the handler and begin to take hints.

        Raises:
            Exception: whatever opening the handler raised.
        """
        self._worker.start()
        if self._life.failure is not None:
            failure = self._life.failure
            self._worker.stop()
            raise failure

    def stop(self) -> None:
        """Take no more hints, have runs under way handed back, and close the handler."""
        self._worker.stop(timeout=int(_CLOSE_SECONDS * 1000))


class _HandlerLife(Middleware):
    """Opens and closes the handler on Dramatiq's event loop; added after ``AsyncIO``."""

    def __init__(self, open_handler: Callable[[], AbstractAsyncContextManager[Handler]]) -> None:
        self._open = open_handler
        self._context: AbstractAsyncContextManager[Handler] | None = None
        self._handler: Handler | None = None
        self._under_way: set[asyncio.Future[None]] = set()
        self.failure: Exception | None = None

    async def handle(self, run_id: str) -> None:
        """The actor: one hint."""
        if self._handler is None:
            raise RuntimeError("the worker is not open")
        task = asyncio.ensure_future(self._handler(RunId(UUID(run_id))))
        self._under_way.add(task)
        try:
            await task
        finally:
            self._under_way.discard(task)

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Open the handler. Its failure is kept, because Dramatiq logs and drops one."""
        try:
            _on_loop(self._enter())
        except Exception as error:  # noqa: BLE001  # raised again by start()
            self.failure = error

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Wait for runs that are still being handed back, then close the handler."""
        _on_loop(self._leave())

    async def _enter(self) -> None:
        self._context = self._open()
        self._handler = await self._context.__aenter__()

    async def _leave(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_CLOSE_SECONDS)
        if self._context is not None and self._handler is not None:
            await self._context.__aexit__(None, None, None)


def _on_loop(work: Awaitable[None]) -> None:
    thread = get_event_loop_thread()
    if thread is None:
        raise RuntimeError("Dramatiq's event loop is not running")
    thread.run_coroutine(work)
