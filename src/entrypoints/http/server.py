"""Serving the application: granian, or uvicorn where that is wanted."""

import os

from litestar.types import ASGIApp

from adapters.observability.request_log import request_log
from entrypoints.http.app import create_app
from entrypoints.http.rate_headers import RateHeaders
from entrypoints.http.request_context import RequestContext
from entrypoints.settings import Settings, load

_FACTORY = "entrypoints.http.server:app_from_environment"
_BACKLOG = 1024
_GRACE_SECONDS = 10


def app_from_environment() -> ASGIApp:
    """The application for the settings in the environment; each server process calls it."""
    settings = load(os.environ)
    lines = request_log(settings.log_level, machine=settings.environment == "production")
    return RequestContext(RateHeaders(create_app(settings)), lines)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get ten seconds to finish."""
    if settings.http_server == "uvicorn":
        _uvicorn(settings)
    else:
        _granian(settings)


def _granian(settings: Settings) -> None:
    from granian.constants import Interfaces, Loops
    from granian.server import Server

    Server(
        _FACTORY,
        factory=True,
        address=settings.http_host,
        port=settings.http_port,
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,
        workers=1,
        backlog=_BACKLOG,
        log_enabled=False,
        websockets=True,
        respawn_failed_workers=True,
        workers_kill_timeout=_GRACE_SECONDS,
    ).serve()


def _uvicorn(settings: Settings) -> None:
    import uvicorn

    uvicorn.run(
        _FACTORY,
        factory=True,
        host=settings.http_host,
        port=settings.http_port,
        backlog=_BACKLOG,
        log_config=None,
        access_log=False,
        # Whom to believe about addresses is our setting, and not that whoever is local is.
        proxy_headers=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
