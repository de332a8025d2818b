"""The worker process: takes hints, executes runs and delivers webhooks."""

import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import structlog
from prometheus_client import start_http_server

from adapters.dramatiq import Handlers, RunWorker, open_broker
from adapters.observability.logging import configure_logging
from entrypoints.container import open_container
from entrypoints.settings import Settings

log = structlog.get_logger(__name__)


def work(settings: Settings) -> None:
    """Execute runs until SIGTERM or SIGINT, then hand back what is under way."""
    configure_logging(settings.log_level, machine=settings.environment == "production")

    @asynccontextmanager
    async def open_handlers() -> AsyncIterator[Handlers]:
        async with open_container(settings, process="worker") as container:
            # Probed before the first run, so that no run waits for it.
            availability = await container.sandbox().availability()
            log.info(
                "worker open",
                sandbox=availability.isolation or "none",
                reason=availability.reason,
                provider=container.model().provider.name,
            )
            deliver = container.deliver_webhooks()
            try:
                yield Handlers(run=container.execute_run(), webhooks=deliver.hint)
            finally:
                await deliver.close()

    if settings.metrics_port:
        start_http_server(settings.metrics_port)
    worker = RunWorker(
        open_broker(settings.redis_url), open_handlers, concurrency=settings.worker_concurrency
    )
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    worker.start()
    stopping.wait()
    log.info("worker stopping")
    worker.stop()
