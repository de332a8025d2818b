"""Runs: their state, their log, their live stream, and their end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from litestar import Controller, Response, WebSocket, get, post, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED

from application.ports.language_model import ModelProvider
from application.ports.live import StepProgress, TicketsUnavailable
from application.ports.persistence import DatabaseUnavailable
from application.ports.security import Principal
from application.projects.retry_run import RetryRun
from application.runs.cancel_run import CancelRun
from application.runs.cancellation import stop
from application.runs.follow_run import TICKET_SECONDS, FollowRun, IssueStreamTicket
from application.runs.run_feed import FeedClosed, WatcherTooSlow
from application.runs.show_run import ReadEvents, ShowRun
from domain.audit.origin import Origin
from domain.identity.user import NotAuthenticated, Permission
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.events import RunEvent
from domain.shared.ids import RunId
from domain.shared.money import rupees
from entrypoints.http.access import COST, admission_of, public, requires
from entrypoints.http.bodies import MOST_NUMBER
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.origins import origin_allowed
from entrypoints.http.price_schemas import RateView
from entrypoints.http.schemas import (
    EventPageView,
    EventView,
    RetryRequest,
    RunDetailView,
    RunView,
    TaskView,
    TicketView,
)

log = structlog.get_logger(__name__)

MAX_EVENTS = 500
HEARTBEAT_SECONDS = 20.0
SLOW_READER_SECONDS = 10.0
"""A socket that takes nothing for so long is closed and told to resume."""

CLOSE_DONE = 1000
CLOSE_TRY_AGAIN = 1013
CLOSE_BAD_REQUEST = 4400
CLOSE_TICKET = 4401
CLOSE_ORIGIN = 4403
CLOSE_NOT_FOUND = 4404
CLOSE_SLOW = 4408
CLOSE_ACCESS_OVER = 4410
CLOSE_RATE_LIMITED = 4429


class _AccessOver(Exception):
    """Whoever opened the stream may not read on."""


class RunController(Controller):
    """Runs."""

    path = "/runs"
    tags = ("Runs",)

    @get("/{run_id:str}", guards=[requires(Permission.PROJECTS_READ)], summary="Show a run")
    async def show(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        show_run: NamedDependency[ShowRun],
        provider: NamedDependency[ModelProvider],
        rules_provider: NamedDependency[ModelProvider],
    ) -> RunDetailView:
        """The run, its steps, and what they used and cost."""
        account = await show_run(principal.user_id, RunId(run_id))
        tasks = account.tasks
        credits = sum(task.credits for task in tasks)
        answers = rules_provider if account.run.test else provider
        return RunDetailView(
            run=RunView.of(account.run),
            tasks=[TaskView.of(task) for task in tasks],
            tokens_used=sum(task.usage.total for task in tasks),
            cost_nano_usd=sum(task.cost_nano_usd for task in tasks),
            house_nano_usd=sum(task.house_nano_usd for task in tasks),
            house_credits=sum(account.rate.credits_for(task.house_nano_usd) for task in tasks),
            exchange_rate=RateView.of(account.rate),
            credits=credits,
            cost=rupees(credits),
            provider=answers.name,
            offline=answers.offline,
            notice=answers.notice,
        )

    @post(
        "/{run_id:str}/cancel",
        guards=[requires(Permission.PROJECTS_EXECUTE)],
        status_code=HTTP_202_ACCEPTED,
        summary="Cancel a run",
    )
    async def cancel(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        cancel_run: NamedDependency[CancelRun],
        once: NamedDependency[OncePerKey],
    ) -> Response[RunView]:
        """Ask a live run to stop. What is finished is kept."""
        return await once(
            lambda completion: cancel_run(principal.user_id, RunId(run_id), once=completion),
            RunView.of,
        )

    @post(
        "/{run_id:str}/retry",
        guards=[requires(Permission.PROJECTS_EXECUTE)],
        status_code=HTTP_202_ACCEPTED,
        opt={COST: 5},
        summary="Retry a run",
    )
    async def retry(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        retry_run: NamedDependency[RetryRun],
        once: NamedDependency[OncePerKey],
        data: JSONBody[RetryRequest | None] = None,
    ) -> Response[RunView]:
        """Accept a new run in place of one that failed, died or was cancelled.

        It goes on from what is finished.
        """
        return await once(
            lambda completion: retry_run(
                principal.user_id,
                RunId(run_id),
                origin=origin,
                cap_credits=None if data is None else data.cap_credits,
                key=principal.key,
                once=completion,
            ),
            RunView.of,
        )

    @get(
        "/{run_id:str}/events",
        guards=[requires(Permission.PROJECTS_READ)],
        summary="Read a run's log",
    )
    async def events(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        read_events: NamedDependency[ReadEvents],
        after: Annotated[int, QueryParameter(description="Entries above this number.")] = 0,
        limit: Annotated[int, QueryParameter(description="Entries, 1 to 500.")] = 100,
    ) -> EventPageView:
        """Entries of the run's log, in order, without gaps."""
        if not 0 <= after <= MOST_NUMBER:
            raise InvalidValue("after", "Give a number of 0 or more, as an entry has it.")
        if not 1 <= limit <= MAX_EVENTS:
            raise InvalidValue("limit", f"Ask for 1 to {MAX_EVENTS} entries.")
        run, entries = await read_events(principal.user_id, RunId(run_id), after=after, limit=limit)
        return EventPageView(
            items=[EventView.of(entry) for entry in entries],
            last_event=run.event_seq,
            live=run.live,
        )

    @post(
        "/{run_id:str}/stream-ticket",
        guards=[requires(Permission.PROJECTS_READ)],
        summary="Get a stream ticket",
    )
    async def stream_ticket(
        self,
        run_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        issue_stream_ticket: NamedDependency[IssueStreamTicket],
    ) -> TicketView:
        """A single-use permit to open the run's live stream, good for 30 seconds."""
        ticket = await issue_stream_ticket(principal, RunId(run_id))
        return TicketView(
            ticket=ticket,
            expires_in=TICKET_SECONDS,
            stream_url=f"/api/v1/runs/{run_id}/stream",
        )


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
            await _relay(socket, follow(holder.user_id, run, max(0, after)), over)
        finally:
            await stop(over)
    except (WebSocketDisconnect, ConnectionError):
        return
    except _AccessOver:
        code, reason = CLOSE_ACCESS_OVER, "signed out, revoked or switched off"
    except NotFound:
        code, reason = CLOSE_NOT_FOUND, "no such run"
    except (TimeoutError, WatcherTooSlow):
        code, reason = CLOSE_SLOW, "reading too slowly; resume with 'after'"
    except (DatabaseUnavailable, FeedClosed):
        code, reason = CLOSE_TRY_AGAIN, "the log is away; resume with 'after'"
    await socket.close(code, reason)


async def _relay(
    socket: WebSocket[Any, Any, Any],
    updates: AsyncGenerator[RunEvent | StepProgress],
    over: asyncio.Task[None],
) -> None:
    """Send updates as they come, and a heartbeat when none do, until they end.

    Raises:
        _AccessOver: ``over`` has ended first.
        WebSocketDisconnect: the reader left.
        TimeoutError: the reader takes nothing.
        Exception: whatever ends the updates early.
    """
    outlet = _Outlet(socket)
    sending = asyncio.create_task(_send_all(outlet, updates))
    beating = asyncio.create_task(_beat(outlet))
    leaving = asyncio.create_task(_until_left(socket))
    try:
        await asyncio.wait({sending, beating, leaving, over}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            raise WebSocketDisconnect(detail="the reader left")
        for ended in (sending, beating):
            if ended.done():
                ended.result()
        if over.done() and not sending.done():
            over.result()
            raise _AccessOver
    finally:
        await stop(sending, beating, leaving)


@dataclass(slots=True)
class _Outlet:
    """A socket's sending side: one message at a time, each within its time."""

    socket: WebSocket[Any, Any, Any]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    used_at: float = 0.0

    async def send(self, message: str) -> None:
        async with self.turn, asyncio.timeout(SLOW_READER_SECONDS):
            await self.socket.send_text(message)
        self.used_at = asyncio.get_running_loop().time()


async def _send_all(outlet: _Outlet, updates: AsyncGenerator[RunEvent | StepProgress]) -> None:
    async with aclosing(updates):
        async for update in updates:
            await outlet.send(_encoded(update).decode())


async def _beat(outlet: _Outlet) -> None:
    """Say that the line is up whenever nothing else has said so for a while."""
    loop = asyncio.get_running_loop()
    outlet.used_at = loop.time()
    while True:
        quiet_until = outlet.used_at + HEARTBEAT_SECONDS
        if loop.time() < quiet_until:
            await asyncio.sleep(quiet_until - loop.time())
        else:
            await outlet.send('{"type":"heartbeat"}')


async def _until_left(socket: WebSocket[Any, Any, Any]) -> None:
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
