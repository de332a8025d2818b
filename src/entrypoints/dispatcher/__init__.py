"""The dispatcher process: announces due rows and books what has expired, once a second.

What it does about payments and subscriptions itself waits for the gateway, so that has a loop
of its own, and so have webhooks, which nobody's payment may hold up."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping

import structlog
from prometheus_client import start_http_server

from adapters.observability.logging import configure_logging
from application.billing.expire_credits import ExpireCredits
from application.idempotency.delete_expired_keys import DeleteExpiredKeys
from application.ports.persistence import DatabaseUnavailable
from application.runs.dispatch_runs import DispatchRuns
from entrypoints.container import open_container
from entrypoints.settings import Settings

log = structlog.get_logger(__name__)

RETENTION_SECONDS = 600.0
"""How often it is looked for old projects, once there are no more: days do not matter there,
and the look is at a large table."""

SESSIONS_SECONDS = 600.0
"""How often it is looked for sessions that have been over for a month."""


def dispatch(settings: Settings) -> None:
    """Announce due runs until SIGTERM or SIGINT. Many may do so at once."""
    configure_logging(settings.log_level, machine=settings.environment == "production")
    if settings.metrics_port:
        start_http_server(settings.metrics_port)
    asyncio.run(_dispatch(settings))


async def _dispatch(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, stopping.set)
    async with open_container(settings, process="dispatcher") as container:
        log.info("dispatcher open", every=settings.dispatch_seconds)
        payments: dict[str, Callable[[], Awaitable[int]]] = {
            "gateway events acted on": container.process_webhooks(),
            "orders reconciled": container.reconcile_orders(),
            "refunds reconciled": container.reconcile_refunds(),
            "subscriptions advanced": container.advance_subscriptions(),
            "old projects looked at": _seldom(container.keep_retention(), RETENTION_SECONDS),
        }
        webhooks: dict[str, Callable[[], Awaitable[int]]] = {
            "webhook endpoints announced": container.dispatch_webhooks(),
            "old webhook events deleted": container.forget_webhooks(),
        }
        accounts: dict[str, Callable[[], Awaitable[int]]] = {
            "old sessions deleted": _seldom(container.delete_old_sessions(), SESSIONS_SECONDS),
        }
        async with asyncio.TaskGroup() as loops:
            loops.create_task(_look_after(accounts, stopping, settings.dispatch_seconds))
            loops.create_task(
                _until(
                    stopping,
                    container.dispatch_runs(),
                    container.delete_expired_keys(),
                    container.expire_credits(),
                    settings.dispatch_seconds,
                )
            )
            loops.create_task(_look_after(payments, stopping, settings.dispatch_seconds))
            loops.create_task(_look_after(webhooks, stopping, settings.dispatch_seconds))


async def _until(
    stopping: asyncio.Event,
    look: DispatchRuns,
    sweep: DeleteExpiredKeys,
    expire: ExpireCredits,
    every: float,
) -> None:
    while not stopping.is_set():
        try:
            announced = await look()
            if announced:
                log.info("runs announced", count=announced)
            deleted = await sweep()
            if deleted:
                log.info("expired idempotency keys deleted", count=deleted)
            lapsed = await expire()
            if lapsed:
                log.info("credits lapsed", credits=lapsed)
        except DatabaseUnavailable as error:
            log.warning("cannot look for due rows", error=str(error))
        await _pause(stopping, every)


async def _look_after(
    chores: Mapping[str, Callable[[], Awaitable[int]]], stopping: asyncio.Event, every: float
) -> None:
    """Do each chore in turn, at once again while there is more, until asked to stop."""
    while not stopping.is_set():
        found = 0
        for done, chore in chores.items():
            try:
                count = await chore()
            except DatabaseUnavailable as error:
                log.warning("cannot look for due rows", error=str(error))
            except Exception:
                # The others, and the runs, must not wait for whatever this one broke on.
                log.exception("chore broke", chore=done)
            else:
                if count:
                    log.info(done, count=count)
                found += count
        if not found:
            await _pause(stopping, every)


def _seldom(chore: Callable[[], Awaitable[int]], every: float) -> Callable[[], Awaitable[int]]:
    """The chore, left out for a while after it found nothing to do."""
    again_at = 0.0

    async def look() -> int:
        nonlocal again_at
        now = asyncio.get_running_loop().time()
        if now < again_at:
            return 0
        found = await chore()
        if not found:
            again_at = now + every
        return found

    return look


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
