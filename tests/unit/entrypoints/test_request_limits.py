"""What is done about a request that takes too long, and about one too many."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from application.idempotency.answer_once import LEASE_SECONDS
from entrypoints.http.problems import EXCEPTION_HANDLERS, PROBLEMS
from entrypoints.http.request_limits import ALIVE, BodyCutOff, BodyTooSlow, RequestLimits
from entrypoints.settings import Settings

App = Callable[[Any, Any, Any], Awaitable[None]]

SETTINGS = Settings(
    database_url="",
    database_dispatch_url="",
    redis_url="",
    s3_endpoint="",
    s3_access_key="",
    s3_secret_key="",
    allowed_origins="https://app.example.com",
    http_requests=3,
    http_address_requests=2,
    http_sockets=1,
)
HERE, THERE, ELSEWHERE = "192.0.2.1", "192.0.2.2", "2001:db8::1"


@dataclass
class Call:
    """A request to an application, and what has come of it."""

    limits: RequestLimits
    method: str = "GET"
    path: str = "/thing"
    address: str = HERE
    kind: str = "http"
    parts: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.taken.set()
        self.scope = {
            "type": self.kind,
            "method": self.method,
            "path": self.path,
            "client": (self.address, 1),
            "headers": [(b"origin", b"https://app.example.com")],
            "state": {"request_id": "the-request"},
        }
        self.task = asyncio.create_task(
            self.limits(self.scope, self._receive, self._send)  # type: ignore[arg-type]
        )

    async def _receive(self) -> dict[str, Any]:
        if not self.parts:
            await asyncio.Event().wait()
        return self.parts.pop(0)

    async def _send(self, message: Any) -> None:
        await self.taken.wait()
        self.sent.append(message)

    async def settled(self) -> None:
        """Let everything go on that can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def after(self, seconds: float) -> None:
        """So many seconds pass."""
        await self.settled()
        self.limits.look(time.monotonic() + seconds)
        await self.settled()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def problem(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.sent[1]["body"])
        return found


async def answer(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done", "more_body": False})


def limits(app: App, **changed: Any) -> RequestLimits:
    return RequestLimits(app, msgspec.structs.replace(SETTINGS, **changed))  # type: ignore[arg-type]


async def never(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def reading(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and answers errors as the application does."""
    try:
        while (await receive()).get("more_body"):
            pass
    except BodyTooSlow:
        await send({"type": "http.response.start", "status": 408, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    await asyncio.Event().wait()


async def test_a_body_that_does_not_come_is_an_error_of_its_reader() -> None:
    part = {"type": "http.request", "body": b"a", "more_body": True}
    call = Call(limits(reading), method="POST", parts=[part, part])
    await call.after(SETTINGS.http_body_seconds - 1)
    assert not call.sent
    await call.after(SETTINGS.http_body_seconds)
    await call.task
    assert call.status == 408
    assert (b"connection", b"close") in call.sent[0]["headers"]
    assert call.task.cancelling() == 0


@pytest.mark.parametrize(("status", "closes"), [(413, True), (408, True), (422, False)])
async def test_who_is_refused_before_the_body_s_end_is_told_that_the_connection_closes(
    status: int, closes: bool
) -> None:
    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    call = Call(limits(refusing), method="POST")
    await call.settled()
    assert ((b"connection", b"close") in call.sent[0]["headers"]) is closes


async def test_a_body_that_is_cut_off_is_no_fault_of_ours() -> None:
    refused: list[BodyCutOff] = []

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        try:
            await reading(scope, receive, send)
        except BodyCutOff as error:
            refused.append(error)

    part = {"type": "http.request", "body": b"a", "more_body": True}
    call = Call(limits(reader), method="POST", parts=[part, {"type": "http.disconnect"}])
    await call.task
    (error,) = refused
    assert PROBLEMS[error.code].status == 400


async def test_who_listens_for_the_end_of_a_connection_is_told_of_it() -> None:
    heard = []

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        heard.append(await receive())

    call = Call(limits(listening), method="GET", parts=[{"type": "http.disconnect"}])
    await call.task
    assert heard == [{"type": "http.disconnect"}]


async def test_a_handler_s_time_begins_when_the_body_is_there() -> None:
    end = {"type": "http.request", "body": b"", "more_body": False}
    call = Call(limits(reading), method="POST", parts=[end])
    await call.after(SETTINGS.http_body_seconds + 1)
    assert not call.sent
    await call.after(SETTINGS.http_handler_seconds)
    assert (call.status, call.problem["code"]) == (504, "took_too_long")
    call.task.cancel()


async def test_a_handler_that_takes_too_long_is_answered_for_and_goes_on() -> None:
    go, done = asyncio.Event(), []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        done.append("its work")
        await answer(send)

    call = Call(limits(slow), method="POST")
    await call.after(SETTINGS.http_handler_seconds)
    assert (call.status, call.problem["code"]) == (504, "took_too_long")
    assert "Idempotency-Key" in call.problem["detail"]
    assert call.problem["request_id"] == "the-request"
    assert (b"access-control-allow-origin", b"https://app.example.com") in call.sent[0]["headers"]
    assert not call.task.done()
    go.set()
    await call.task
    assert done == ["its work"]
    assert len(call.sent) == 2  # what the handler answered at last was for nobody


async def test_a_handler_that_goes_on_too_long_is_ended_and_may_clean_up() -> None:
    undone = []

    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            undone.append("its transaction")
            raise

    call = Call(limits(stuck))
    await call.after(SETTINGS.http_handler_seconds)
    assert "Nothing was changed" in call.problem["detail"]
    await call.after(SETTINGS.http_handler_seconds * 1.5 + 1)
    await call.task
    assert undone == ["its transaction"]
    assert len(call.sent) == 2


def test_a_handler_is_ended_before_its_idempotency_key_could_be_another_s() -> None:
    field_ = next(f for f in msgspec.structs.fields(Settings) if f.name == "http_handler_seconds")
    (most,) = [meta.le for meta in field_.type.__metadata__ if meta.le]
    assert most * 1.5 <= LEASE_SECONDS


async def test_what_moves_may_take_as_long_as_it_likes() -> None:
    parts: asyncio.Queue[bytes] = asyncio.Queue()

    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while part := await parts.get():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    call = Call(limits(streaming))
    for _ in range(5):
        parts.put_nowait(b"part")
        await call.after(SETTINGS.http_idle_seconds - 1)
    parts.put_nowait(b"")
    await call.task
    assert len(call.sent) == 7


async def test_who_takes_nothing_has_the_connection_broken_and_not_ended() -> None:
    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
            call.taken.clear()

    call = Call(limits(streaming))
    await call.after(SETTINGS.http_idle_seconds)
    with pytest.raises(asyncio.CancelledError):
        await call.task
    assert all(message.get("more_body", True) for message in call.sent)


async def test_a_cancellation_from_elsewhere_is_passed_on() -> None:
    call = Call(limits(reading), method="POST")
    await call.settled()
    call.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.task


async def test_no_address_has_more_than_its_share_and_all_no_more_than_fit() -> None:
    held = limits(never)
    calls = [Call(held), Call(held), Call(held, address=THERE)]
    await calls[0].settled()
    assert not any(call.sent for call in calls)
    third, fourth = Call(held), Call(held, address=ELSEWHERE)
    await asyncio.gather(third.task, fourth.task)
    assert (third.status, third.problem["code"]) == (429, "too_many_at_once")
    assert (fourth.status, fourth.problem["code"]) == (503, "overloaded")
    for refused in (third, fourth):
        assert dict(refused.sent[0]["headers"])[b"retry-after"] == b"1"
    alive = Call(held, path=ALIVE)
    await alive.settled()
    assert not alive.sent  # it was let in
    for call in (*calls, alive):
        call.task.cancel()
    await asyncio.gather(*(call.task for call in (*calls, alive)), return_exceptions=True)
    again = Call(held)
    await again.settled()
    assert not again.sent
    again.task.cancel()


async def test_a_subscriber_is_one_address_however_many_they_have() -> None:
    held = limits(never)
    calls = [Call(held, address=f"2001:db8::{host}") for host in (1, 2, 3)]
    await calls[2].task
    assert calls[2].problem["code"] == "too_many_at_once"
    for call in calls[:2]:
        call.task.cancel()


async def test_a_stream_too_many_is_told_so_as_a_browser_can_see() -> None:
    held = limits(never, http_address_sockets=1)
    first = Call(held, kind="websocket", parts=[{"type": "websocket.connect"}])
    await first.after(10_000)
    assert not first.sent and not first.task.done()
    closed = []
    for address in (HERE, THERE):
        call = Call(held, kind="websocket", address=address, parts=[{"type": "websocket.connect"}])
        await call.task
        closed.append([message["type"] for message in call.sent] + [call.sent[-1]["code"]])
    assert closed == [
        ["websocket.accept", "websocket.close", 4429],
        ["websocket.accept", "websocket.close", 1013],
    ]
    first.task.cancel()


def test_the_application_answers_a_slow_body_out_of_its_table() -> None:
    assert any(
        issubclass(BodyTooSlow, known) for known in EXCEPTION_HANDLERS if known is not Exception
    )  # type: ignore[arg-type]
