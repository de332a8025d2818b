"""Receiving hints: threads that wait, one event loop that works."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
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

from adapters.dramatiq.queue import ACTOR, QUEUE, WEBHOOK_ACTOR, WEBHOOK_QUEUE
from domain.shared.ids import RunId, WebhookEndpointId

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """What is done about each kind of hint.

    ``run`` takes as long as its run; ``webhooks`` only takes note and returns at once.
    """

    run: Callable[[RunId], Awaitable[None]]
    webhooks: Callable[[WebhookEndpointId], None]


_LONGEST_RUN_MS = 6 * 60 * 60 * 1000
"""Only a backstop: a run's own limits end it long before."""

_IDLE_MS = 100
"""How long the consumer sleeps at most while the queue is empty (Dramatiq: 1000)."""

_CLOSE_SECONDS = 20.0

_MORE_THREADS = 1
"""For hints that are taken note of, while every other thread waits for its run. Runs cannot
take it: no more of them are fetched than may be executed at once."""

_NOTE_MS = 10_000


class RunWorker:
    """Takes hints and has each handled on the event loop, ``concurrency`` runs at once.

    ``open_handlers`` is entered on that loop before the first hint and left after the
    last run was handed back, so what it opens belongs to the loop that uses it.
    """

    def __init__(
        self,
        broker: RedisBroker,
        open_handlers: Callable[[], AbstractAsyncContextManager[Handlers]],
        *,
        concurrency: int,
    ) -> None:
        self._life = _HandlerLife(open_handlers)
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
        )(self._life.execute_run)
        dramatiq.actor(
            actor_name=WEBHOOK_ACTOR,
            queue_name=WEBHOOK_QUEUE,
            broker=broker,
            time_limit=_NOTE_MS,
        )(self._life.deliver_webhooks)
        self._worker = dramatiq.Worker(
            broker, worker_threads=concurrency + _MORE_THREADS, worker_timeout=_IDLE_MS
        )
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

    def __init__(self, open_handlers: Callable[[], AbstractAsyncContextManager[Handlers]]) -> None:
        self._open = open_handlers
        self._context: AbstractAsyncContextManager[Handlers] | None = None
        self._handlers: Handlers | None = None
        self._under_way: set[asyncio.Future[None]] = set()
        self.failure: Exception | None = None

    async def execute_run(self, run_id: str) -> None:
        """The actor of runs: one hint."""
        task = asyncio.ensure_future(self._opened.run(RunId(UUID(run_id))))
        self._under_way.add(task)
        try:
            await task
        finally:
            self._under_way.discard(task)

    async def deliver_webhooks(self, endpoint_id: str) -> None:
        """The actor of webhooks: one hint."""
        self._opened.webhooks(WebhookEndpointId(UUID(endpoint_id)))

    @property
    def _opened(self) -> Handlers:
        if self._handlers is None:
            raise RuntimeError("the worker is not open")
        return self._handlers

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
        self._handlers = await self._context.__aenter__()

    async def _leave(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_CLOSE_SECONDS)
        if self._context is not None and self._handlers is not None:
            await self._context.__aexit__(None, None, None)


def _on_loop(work: Awaitable[None]) -> None:
    thread = get_event_loop_thread()
    if thread is None:
        raise RuntimeError("Dramatiq's event loop is not running")
    thread.run_coroutine(work)
