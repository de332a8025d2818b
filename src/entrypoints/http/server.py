"""Serving the application: granian, or uvicorn where that is wanted."""

import os

from litestar.types import ASGIApp

from adapters.observability.request_log import request_log
from entrypoints.http.app import create_app
from entrypoints.http.connections import QuietConnections, give_up_on_unread, room_for
from entrypoints.http.rate_headers import RateHeaders
from entrypoints.http.request_context import RequestContext
from entrypoints.http.request_limits import RequestLimits
from entrypoints.settings import Settings, load

_FACTORY = "entrypoints.http.server:app_from_environment"
_BACKLOG = 1024
"""Connections that wait to be accepted."""
_GRACE_SECONDS = 10
HEAD_BYTES = 64 * 1024
"""How long a head may be."""


def app_from_environment() -> ASGIApp:
    """The application for the settings in the environment; each server process calls it."""
    settings = load(os.environ)
    lines = request_log(settings.log_level, machine=settings.environment == "production")
    limited = RequestLimits(
        RateHeaders(create_app(settings)),
        settings,
        at_first_look=lambda: give_up_on_unread(settings.http_port, settings.http_idle_seconds),
        quiet=QuietConnections(
            settings.http_port, settings.http_address_connections, settings.proxies
        ),
    )
    return RequestContext(limited, lines, hsts_seconds=settings.http_hsts_seconds)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get ten seconds to finish."""
    if settings.http_server == "uvicorn":
        _uvicorn(settings)
    else:
        _granian(settings)


def _granian(settings: Settings) -> None:
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings
    from granian.server import Server

    Server(
        _FACTORY,
        factory=True,
        address=settings.http_host,
        port=settings.http_port,
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,
        workers=1,
        # While it looks whether a connection begins as HTTP/2 does, granian waits for ever.
        http=HTTPModes.http1,
        backlog=_BACKLOG,
        # Further connections wait unaccepted, until others end.
        backpressure=room_for(settings.http_connections),
        http1_settings=HTTP1Settings(
            # Also how long a connection may be idle, before its first request and between two.
            header_read_timeout=int(settings.http_head_seconds * 1_000),
            keep_alive=True,
            max_buffer_size=HEAD_BYTES,
            pipeline_flush=False,
        ),
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
        # Further connections are answered 503. It sets no time to a head.
        limit_concurrency=room_for(settings.http_connections),
        log_config=None,
        access_log=False,
        # Whom to believe about addresses is our setting, and not that whoever is local is.
        proxy_headers=False,
        ws="websockets-sansio",
        timeout_keep_alive=max(1, int(settings.http_head_seconds)),
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
