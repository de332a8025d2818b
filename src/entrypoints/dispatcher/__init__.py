"""The dispatcher process: announces due rows and books what has expired, once a second."""

import asyncio
import signal

import structlog

from adapters.observability.logging import configure_logging
from application.billing.expire_credits import ExpireCredits
from application.idempotency.delete_expired_keys import DeleteExpiredKeys
from application.ports.persistence import DatabaseUnavailable
from application.runs.dispatch_runs import DispatchRuns
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
            container.dispatch_runs(),
            container.delete_expired_keys(),
            container.expire_credits(),
            settings.dispatch_seconds,
        )


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
        try:
            async with asyncio.timeout(every):
                await stopping.wait()
        except TimeoutError:
            continue
