"""The dispatcher process: announces due rows and deletes what is old, once a second."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping

import structlog

from adapters.observability.logging import configure_logging
from application.ports.persistence import DatabaseUnavailable
from entrypoints.container import open_container
from entrypoints.settings import Settings

log = structlog.get_logger(__name__)


def dispatch(settings: Settings) -> None:
    """Announce due runs until SIGTERM or SIGINT. Many may do so at once."""
    configure_logging(settings.log_level, machine=settings.environment == "production")
    asyncio.run(_dispatch(settings))


async def _dispatch(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, stopping.set)
    async with open_container(settings, process="dispatcher") as container:
        log.info("dispatcher open", every=settings.dispatch_seconds)
        await _until(
            stopping,
            {
                "runs announced": container.dispatch_runs(),
                "webhook endpoints announced": container.dispatch_webhooks(),
                "expired idempotency keys deleted": container.delete_expired_keys(),
                "old webhook events deleted": container.forget_webhooks(),
            },
            settings.dispatch_seconds,
        )


async def _until(
    stopping: asyncio.Event, chores: Mapping[str, Callable[[], Awaitable[int]]], every: float
) -> None:
    while not stopping.is_set():
        try:
            for done, chore in chores.items():
                count = await chore()
                if count:
                    log.info(done, count=count)
        except DatabaseUnavailable as error:
            log.warning("cannot look for due rows", error=str(error))
        try:
            async with asyncio.timeout(every):
                await stopping.wait()
        except TimeoutError:
            continue
