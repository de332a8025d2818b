"""A run's live stream over a WebSocket.

Hundreds of sockets may follow what ten events a second tell each of them, so a message costs
little more than its way out: an update is made text once for all sockets of this process, and
a socket sets no timer and takes no lock for it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath
from litestar.types import WebSocketSendEvent

from application.ports.live import StepProgress, TicketsUnavailable
from application.ports.persistence import DatabaseUnavailable
from application.runs.cancellation import stop
from application.runs.follow_run import FollowRun
from application.runs.run_feed import FeedClosed, WatcherTooSlow
from domain.identity.user import NotAuthenticated
from domain.shared.errors import NotFound
from domain.shared.events import RunEvent
from domain.shared.ids import RunId
from entrypoints.http.access import admission_of, public
from entrypoints.http.origins import origin_allowed
from entrypoints.http.schemas import EventView

Updates = AsyncGenerator[RunEvent | StepProgress]

HEARTBEAT_SECONDS = 20.0
SLOW_READER_SECONDS = 10.0
"""A socket that takes nothing for so long is closed and told to resume."""

LOOK_SECONDS = 2.0
"""How often a socket is looked at for these two, which may be late by as much."""

CLOSE_DONE = 1000
CLOSE_TRY_AGAIN = 1013
CLOSE_BAD_REQUEST = 4400
CLOSE_TICKET = 4401
CLOSE_ORIGIN = 4403
CLOSE_NOT_FOUND = 4404
CLOSE_SLOW = 4408
CLOSE_ACCESS_OVER = 4410
CLOSE_RATE_LIMITED = 4429

_HEARTBEAT = '{"type":"heartbeat"}'

MOST_TEXTS = 1024
"""Kept at once by :class:`UpdateTexts`."""


class AccessOver(Exception):
    """Whoever opened the stream may not read on."""


@websocket("/runs/{run_id:str}/stream", guards=[public])
async def stream(socket: WebSocket[Any, Any, Any], run_id: FromPath[str]) -> None:
    """A run's log from ``after`` on, then live, as JSON messages, until the run ends.

    ``?ticket=`` is the permit, ``?after=`` the last number already seen. Closes with 1000
    at the run's end, 1013 when something is away, 4400 for bad parameters, 4401 for the
    ticket, 4403 for the origin, 4404 for an unknown run, 4408 when the reader is too
    slow, 4410 when the session or key it was opened with has ended or the account is off,
    4429 for too many attempts; after 1013 and 4408, resume with a new ticket and ``after``.
    """
    container = socket.app.state.container
    follow: FollowRun = container.follow_run()
    # Accepted first, so that a browser gets to see the close code.
    await socket.accept()
    if (await admission_of(socket.scope, {})).limited is not None:
        await socket.close(CLOSE_RATE_LIMITED, "too many attempts; try again in a minute")
        return
    if not origin_allowed(socket):
        await socket.close(CLOSE_ORIGIN, "origin not allowed")
        return
    try:
        run, after = RunId(UUID(run_id)), int(socket.query_params.get("after", "0"))
        holder = await follow.admit(socket.query_params.get("ticket", ""), run)
    except ValueError:
        await socket.close(CLOSE_BAD_REQUEST, "run id or 'after' does not fit")
        return
    except NotAuthenticated:
        await socket.close(CLOSE_TICKET, "ticket not valid; ask for a new one")
        return
    except TicketsUnavailable:
        await socket.close(CLOSE_TRY_AGAIN, "tickets cannot be checked; try again")
        return
    code, reason = CLOSE_DONE, "the run has ended"
    try:
        over = asyncio.create_task(container.watch_access()(holder))
        try:
            updates = follow(holder.user_id, run, max(0, after))
            await relay(socket, updates, socket.app.state.update_texts, over)
        finally:
            await stop(over)
    except (WebSocketDisconnect, ConnectionError):
        return
    except AccessOver:
        code, reason = CLOSE_ACCESS_OVER, "signed out, revoked or switched off"
    except NotFound:
        code, reason = CLOSE_NOT_FOUND, "no such run"
    except (TimeoutError, WatcherTooSlow):
        code, reason = CLOSE_SLOW, "reading too slowly; resume with 'after'"
    except (DatabaseUnavailable, FeedClosed):
        code, reason = CLOSE_TRY_AGAIN, "the log is away; resume with 'after'"
    await socket.close(code, reason)


@dataclass(slots=True)
class UpdateTexts:
    """Updates as the messages that tell them, each made once for all who are told.

    All who follow a run are handed the very same entry, one after another.
    """

    _made: dict[int, tuple[RunEvent | StepProgress, str]] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """How many are kept."""
        return len(self._made)

    def of(self, update: RunEvent | StepProgress) -> str:
        """The update as JSON."""
        made = self._made.get(id(update))
        # What is kept here is alive, so that no other can have its number.
        if made is not None:
            return made[1]
        if len(self._made) >= MOST_TEXTS:
            self._made.clear()
        text = _encoded(update).decode()
        self._made[id(update)] = update, text
        return text


class Line(Protocol):
    """Of a WebSocket, what is needed once it is open."""

    def send(self, message: WebSocketSendEvent, /) -> Awaitable[None]:
        """Send, and wait until it is taken."""
        ...

    async def receive_data(self, mode: Literal["text"], /) -> object:
        """Wait for what the other side sends, or for its leaving."""
        ...


async def relay(
    socket: Line, updates: Updates, texts: UpdateTexts, over: "asyncio.Task[None]"
) -> None:
    """Send updates as they come, and a heartbeat when none do, until they end.

    Raises:
        AccessOver: ``over`` has ended first.
        WebSocketDisconnect: the reader left.
        TimeoutError: the reader takes nothing.
        Exception: whatever ends the updates early.
    """
    outlet = _Outlet(socket, texts)
    sending = asyncio.create_task(_send_all(outlet, updates))
    looking = asyncio.create_task(_look_after(outlet))
    leaving = asyncio.create_task(_until_left(socket))
    try:
        await asyncio.wait({sending, looking, leaving, over}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            raise WebSocketDisconnect(detail="the reader left")
        for ended in (sending, looking):
            if ended.done():
                ended.result()
        if over.done() and not sending.done():
            over.result()
            raise AccessOver
    finally:
        await stop(sending, looking, leaving)


@dataclass(slots=True)
class _Outlet:
    """A socket's sending side. ``waits_since`` is when it began to send what is not taken yet."""

    socket: Line
    texts: UpdateTexts
    used_at: float = 0.0
    waits_since: float | None = None

    async def send(self, message: str) -> None:
        """Send a message, and wait until it is taken."""
        loop = asyncio.get_running_loop()
        self.waits_since = loop.time()
        event: WebSocketSendEvent = {"type": "websocket.send", "text": message, "bytes": None}
        await self.socket.send(event)
        self.used_at = loop.time()
        self.waits_since = None


async def _send_all(outlet: _Outlet, updates: Updates) -> None:
    async with aclosing(updates):
        async for update in updates:
            await outlet.send(outlet.texts.of(update))


async def _look_after(outlet: _Outlet) -> None:
    """Say that the line is up whenever nothing else has said so for a while.

    Raises:
        TimeoutError: the reader takes nothing.
    """
    loop = asyncio.get_running_loop()
    outlet.used_at = loop.time()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now, since = loop.time(), outlet.waits_since
        if since is not None:
            if now - since >= SLOW_READER_SECONDS:
                raise TimeoutError
        elif now - outlet.used_at >= HEARTBEAT_SECONDS:
            async with asyncio.timeout(SLOW_READER_SECONDS):
                await outlet.send(_HEARTBEAT)


async def _until_left(socket: Line) -> None:
    """Wait until the reader goes away; what it sends is not for us."""
    try:
        while True:
            await socket.receive_data("text")
    except WebSocketDisconnect:
        return


def _encoded(update: RunEvent | StepProgress) -> bytes:
    if isinstance(update, StepProgress):
        return msgspec.json.encode(
            {
                "type": "step.progress",
                "step": update.step,
                "output_tokens": update.output_tokens,
            }
        )
    return msgspec.json.encode(EventView.of(update))
