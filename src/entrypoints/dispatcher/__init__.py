"""The dispatcher process: looks for what is due, once a second.

Each chore has a loop of its own. What waits for the payment gateway or for somebody's endpoint
then holds up nothing else: a payment whose event has come is credited while another chore still
waits for a gateway that does not answer.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping

import structlog
from prometheus_client import start_http_server

from adapters.observability.logging import configure_logging
from application.ports.persistence import DatabaseUnavailable
from entrypoints.container import open_container
from entrypoints.settings import Settings

log = structlog.get_logger(__name__)

RETENTION_SECONDS = 600.0
"""How often it is looked for old projects, once there are no more: days do not matter there,
and the look is at a large table."""

PREPARE_SECONDS = 3_600.0
"""How often it is looked for months of the usage log to make or drop, and for old events."""

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
        chores: dict[str, Callable[[], Awaitable[int]]] = {
            "runs announced": container.dispatch_runs(),
            "expired idempotency keys deleted": container.delete_expired_keys(),
            "credits lapsed": container.expire_credits(),
            "gateway events acted on": container.process_webhooks(),
            "old gateway events deleted": _seldom(
                container.forget_gateway_events(), PREPARE_SECONDS
            ),
            "orders reconciled": container.reconcile_orders(),
            "refunds reconciled": container.reconcile_refunds(),
            "subscriptions advanced": container.advance_subscriptions(),
            "old projects looked at": _seldom(container.keep_retention(), RETENTION_SECONDS),
            "webhook endpoints announced": container.dispatch_webhooks(),
            "old webhook events deleted": container.forget_webhooks(),
            "old sessions and sign-ins deleted": _seldom(
                container.delete_old_sessions(), SESSIONS_SECONDS
            ),
            "people's objects deleted": container.erase_objects(),
            "mail made of notices": container.mail_notices(),
            "mail looked at": container.deliver_mail(),
            "old mail deleted": _seldom(container.forget_mail(), SESSIONS_SECONDS),
            "old months of the usage log dropped": _seldom(
                container.prepare_usage_log(), PREPARE_SECONDS
            ),
            "usage rows drained": container.drain_usage(),
        }
        await _look_after_all(chores, stopping, settings.dispatch_seconds)


async def _look_after_all(
    chores: Mapping[str, Callable[[], Awaitable[int]]], stopping: asyncio.Event, every: float
) -> None:
    async with asyncio.TaskGroup() as loops:
        for done, chore in chores.items():
            loops.create_task(_look_after(done, chore, stopping, every))


async def _look_after(
    done: str, chore: Callable[[], Awaitable[int]], stopping: asyncio.Event, every: float
) -> None:
    """Do a chore, at once again while there is more, until asked to stop."""
    while not stopping.is_set():
        count = 0
        try:
            count = await chore()
        except DatabaseUnavailable as error:
            log.warning("cannot look for due rows", chore=done, error=str(error))
        except Exception:
            # The others must not end with whatever this one broke on.
            log.exception("chore broke", chore=done)
        if count:
            log.info(done, count=count)
        else:
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
