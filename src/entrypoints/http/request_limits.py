"""How long a request may take, and how many there may be at once in this process.

No timer is set and no task is made for a request: all that are under way are looked at once a
second. What each may take depends on what it waits for:

- its caller's body, which must be there after ``http_body_seconds``, or 408 is answered;
- its handler, for which 504 is answered after ``http_handler_seconds``. It is not cut off then,
  perhaps between a commit and what follows from it, but goes on unheard, and is only once it has
  taken half as long again. By then its transaction, if it is in one, is undone;
- its caller's taking of an answer that is streamed, or the next part of that: whatever moves within
  ``http_idle_seconds`` may take as long as it likes. Otherwise the connection is broken, so that
  nobody takes the part for the whole.

A socket has no such limit: :mod:`entrypoints.http.run_stream` looks after its reader.
"""

import asyncio
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, cast

import msgspec
import structlog
from litestar.types import ASGIApp, LifeSpanScope, Message, Receive, Scope, Send

from application.runs.cancellation import stop
from domain.keys.addresses import caller
from domain.shared.errors import DomainError
from entrypoints.http.client_address import client_address
from entrypoints.http.connections import Peer, QuietConnections
from entrypoints.http.problems import MEDIA_TYPE, PROBLEMS, problem_body
from entrypoints.http.request_metrics import count_cut, count_turned_away
from entrypoints.http.run_stream import CLOSE_RATE_LIMITED, CLOSE_TRY_AGAIN
from entrypoints.settings import Settings

log = structlog.get_logger(__name__)

ALIVE: Final = "/health/live"
"""Answered however full the process is: who watches over it must not take it for dead."""

LOOK_SECONDS: Final = 1.0
"""How often requests are looked at; a limit may be overrun by as much."""

_CUT_AGAIN_SECONDS: Final = 5.0
_TELLING_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyTooSlow(DomainError):
    """The body did not arrive in time. Nothing was done; send it again, faster."""

    code = "body_too_slow"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The body did not arrive within {seconds:g} seconds. Nothing was done; send it again."
        )


class BodyCutOff(DomainError):
    """The body ended before its end, or is not framed as HTTP has it. Nothing was done."""

    code = "malformed_json"

    def __init__(self) -> None:
        super().__init__("The body did not arrive whole. Nothing was done; send it again.")


class TookTooLong(DomainError):
    """It is not done in time, and may yet be: look, or repeat it with its `Idempotency-Key`."""

    code = "took_too_long"

    def __init__(self, seconds: float, *, safe: bool) -> None:
        remedy = (
            "Nothing was changed. Ask for less, or try again shortly."
            if safe
            else "It may yet be done: look before you try again, or repeat it with its "
            "Idempotency-Key, which does it once at most."
        )
        super().__init__(f"There is no answer after {seconds:g} seconds. {remedy}")


class Overloaded(DomainError):
    """As many requests as this server takes at once are under way. Try again in a moment."""

    code = "overloaded"

    def __init__(self) -> None:
        super().__init__(
            "As many requests as this server takes at once are under way. Nothing was done; try "
            "again in a moment.",
            retry_after_seconds=_RETRY_SECONDS,
        )


class TooManyAtOnce(DomainError):
    """As many requests as one address may have at once are under way. Wait for their answers."""

    code = "too_many_at_once"

    def __init__(self) -> None:
        super().__init__(
            "As many requests as one address may have at once are under way. Nothing was done; "
            "wait for their answers.",
            retry_after_seconds=_RETRY_SECONDS,
        )


class RequestLimits:
    """Holds requests to their times, and their number to what fits.

    It stands around everything that a request makes us do, and inside of what names it and logs
    it. ``at_first_look`` is called once the server listens, and ``quiet`` looks after connections
    that ask nothing.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        *,
        at_first_look: Callable[[], None] = lambda: None,
        quiet: QuietConnections | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._proxies = settings.proxies
        self._at_first_look = at_first_look
        self._requests = _Places(settings.http_requests, settings.http_address_requests)
        self._sockets = _Places(settings.http_sockets, settings.http_address_sockets)
        self._flights: set[_Flight] = set()
        self._quiet = quiet
        self._asking: set[Peer] = set()

    async def __call__(self, scope: Scope | LifeSpanScope, receive: Receive, send: Send) -> None:
        """Serve one request, socket or lifespan."""
        if scope["type"] == "lifespan":
            looking = [asyncio.create_task(self._keep_looking())]
            if self._quiet is not None:
                looking.append(asyncio.create_task(self._keep_quiet(self._quiet)))
            try:
                # Litestar takes this scope too; its type for applications leaves it out.
                await self._app(cast(Scope, scope), receive, send)
            finally:
                await stop(*looking)
            return
        client = scope.get("client")
        peer = (str(client[0]), int(client[1])) if client else ("", 0)
        self._asking.add(peer)
        try:
            await self._serve(scope, receive, send)
        finally:
            self._asking.discard(peer)

    async def _serve(self, request: Scope, receive: Receive, send: Send) -> None:
        address = client_address(request, self._proxies)
        if ":" in address:
            address = caller(address)
        kind: str = request["type"]
        if kind != "http":
            await self._socket(request, address, receive, send)
            return
        refusal = self._requests.take(address)
        if refusal is not None and request["path"] != ALIVE:
            count_turned_away(refusal.code)
            await _send_problem(request, refusal, send, self._settings.origins)
            return
        flight = _Flight(request, receive, send, self._settings)
        self._flights.add(flight)
        try:
            await self._app(request, flight.receive, flight.send)
        except asyncio.CancelledError:
            if not flight.cut_while_answered_for():
                raise
        finally:
            self._flights.discard(flight)
            if refusal is None:
                self._requests.leave(address)
            if flight.telling is not None:
                await flight.telling

    async def _socket(self, scope: Scope, address: str, receive: Receive, send: Send) -> None:
        refusal = self._sockets.take(address)
        if refusal is None:
            try:
                await self._app(scope, receive, send)
            finally:
                self._sockets.leave(address)
            return
        count_turned_away(refusal.code)
        # Accepted first, so that a browser gets to see the close code.
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        code = CLOSE_TRY_AGAIN if isinstance(refusal, Overloaded) else CLOSE_RATE_LIMITED
        await send({"type": "websocket.close", "code": code, "reason": "too many streams at once"})

    async def _keep_looking(self) -> None:
        looked = False
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if not looked:
                    looked = True
                    self._at_first_look()
                self.look(time.monotonic())
            except Exception as error:
                # One that breaks the look must not end the limits of all the others.
                log.error("requests not looked at", exc_info=error)

    async def _keep_quiet(self, quiet: QuietConnections) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                # It asks the system about every open file.
                await asyncio.to_thread(quiet.look, self._asking)
            except Exception as error:
                log.error("connections not looked at", exc_info=error)

    def look(self, now: float) -> None:
        """Hold every request under way to what it may take."""
        for flight in tuple(self._flights):
            flight.look(now)


class _Places:
    """How many are in, over all and of each address."""

    __slots__ = ("_all", "_by_address", "_each", "_taken")

    def __init__(self, all_: int, each: int) -> None:
        self._all, self._each = all_, each
        self._taken = 0
        self._by_address: dict[str, int] = {}

    def take(self, address: str) -> DomainError | None:
        """Take a place, or say why there is none."""
        here = self._by_address.get(address, 0)
        if here >= self._each:
            return TooManyAtOnce()
        if self._taken >= self._all:
            return Overloaded()
        self._taken += 1
        self._by_address[address] = here + 1
        return None

    def leave(self, address: str) -> None:
        """Give a place back."""
        self._taken -= 1
        here = self._by_address[address] - 1
        if here:
            self._by_address[address] = here
        else:
            del self._by_address[address]


_BODY_UNREAD = frozenset(PROBLEMS[code].status for code in (BodyTooSlow.code, "body_too_large"))


class _Phase(Enum):
    """What a request waits for."""

    HANDLER = auto()
    BODY = auto()
    READER = auto()
    NOBODY = auto()
    """Its caller was told that it takes too long; its handler goes on."""


class _Flight:
    """A request under way: what it waits for, and since when."""

    __slots__ = (
        "_body_read",
        "_cuts",
        "_handling",
        "_in_receive",
        "_phase",
        "_receive",
        "_scope",
        "_send",
        "_settings",
        "_since",
        "_task",
        "telling",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Settings) -> None:
        self._scope, self._receive, self._send, self._settings = scope, receive, send, settings
        self._since = time.monotonic()
        self._phase = _Phase.HANDLER
        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        self._body_read = self._in_receive = False
        self._cuts = 0
        self.telling: asyncio.Task[None] | None = None

    async def receive(self) -> Any:
        """The next part of the request.

        Raises:
            BodyTooSlow: it is not there in time.
            BodyCutOff: its connection ended first, or what came is no body.
        """
        if self._phase is _Phase.HANDLER and not self._body_read:
            self._phase = _Phase.BODY
        if self._phase is not _Phase.BODY:
            return await self._receive()
        message = await self._part_of_body()
        if message["type"] != "http.request" or not message.get("more_body"):
            self._body_read, self._phase, self._since = True, _Phase.HANDLER, time.monotonic()
        # Whoever only listens for an end of the connection has no body to read.
        if message["type"] == "http.disconnect" and self._scope.get("method") not in _SAFE:
            raise BodyCutOff
        return message

    async def _part_of_body(self) -> Any:
        self._in_receive = True
        try:
            if not self._cuts:
                return await self._receive()
        except asyncio.CancelledError:
            if not self._cuts:
                raise
            self._forget_cuts()
        finally:
            self._in_receive = False
        self._body_read, self._phase, self._since = True, _Phase.HANDLER, time.monotonic()
        raise BodyTooSlow(self._settings.http_body_seconds)

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on; nowhere, once the caller has been answered."""
        if self._phase is _Phase.NOBODY:
            return
        if message["type"] == "http.response.start":
            self._phase = _Phase.READER
            if message["status"] in _BODY_UNREAD:
                # What of the body still comes must not be read as the next request, and the server
                # ends the connection over it: whoever has another request is told beforehand.
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            self._since = time.monotonic()
        await self._send(message)
        # The last part of an answer is nobody's to wait for.
        if message.get("more_body"):
            self._since = time.monotonic()

    def look(self, now: float) -> None:
        """Do what is due, if anything is."""
        waited = now - self._since
        settings = self._settings
        if self._cuts:
            if waited >= _CUT_AGAIN_SECONDS:
                self._cut(now)
            return
        match self._phase:
            case _Phase.BODY:
                if waited >= settings.http_body_seconds:
                    self._noted("body")
                    self._cut(now, at_once=self._in_receive)
            case _Phase.HANDLER:
                if waited >= settings.http_handler_seconds:
                    self._noted("handler")
                    self._phase, self._since = _Phase.NOBODY, now
                    self.telling = asyncio.create_task(self._tell())
            case _Phase.NOBODY:
                if waited >= settings.http_handler_seconds / 2:
                    self._noted("unheard")
                    self._cut(now)
            case _Phase.READER:
                if waited >= settings.http_idle_seconds:
                    self._noted("reader")
                    self._cut(now)

    def cut_while_answered_for(self) -> bool:
        """Whether it was ended by us after its caller had an answer; if so, that is forgotten."""
        if not self._cuts or self._phase is not _Phase.NOBODY:
            return False
        self._forget_cuts()
        return True

    def _cut(self, now: float, *, at_once: bool = True) -> None:
        """End what it does; ``at_once``, or when it next asks for its body."""
        self._cuts += 1
        self._since = now
        if at_once and self._task is not None:
            self._task.cancel()

    def _forget_cuts(self) -> None:
        if self._task is not None:
            for _ in range(self._cuts):
                self._task.uncancel()
        self._cuts = 0

    async def _tell(self) -> None:
        safe = str(self._scope.get("method")) in _SAFE
        error = TookTooLong(self._settings.http_handler_seconds, safe=safe)
        try:
            async with asyncio.timeout(_TELLING_SECONDS):
                await _send_problem(self._scope, error, self._send, self._settings.origins)
        except (TimeoutError, RuntimeError, OSError) as failure:
            # There is nobody left to tell, whose connection is gone or stands still.
            log.info("caller not told", error=repr(failure), request_id=_id_of(self._scope))

    def _noted(self, waits_for: str) -> None:
        count_cut(waits_for)
        log.warning(
            "request takes too long",
            waits_for=waits_for,
            path=self._scope["path"],
            request_id=_id_of(self._scope),
        )


async def _send_problem(
    scope: Scope, error: DomainError, send: Send, origins: tuple[str, ...]
) -> None:
    """Answer from outside of the application, as it would."""
    body = problem_body(error.code, error.message, scope["path"], _id_of(scope), error.params)
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    if "retry_after_seconds" in error.params:
        headers.append((b"retry-after", str(error.params["retry_after_seconds"]).encode()))
    origin = dict(scope["headers"]).get(b"origin", b"")
    if origin.decode("latin-1") in origins:
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]
    status = PROBLEMS[error.code].status
    await send({"type": "http.response.start", "status": status, "headers": headers})
    content = msgspec.json.encode(body)
    await send({"type": "http.response.body", "body": content, "more_body": False})


def _id_of(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))
