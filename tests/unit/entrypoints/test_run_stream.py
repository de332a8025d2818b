"""What goes out of a run's socket, and when the socket is given up."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from litestar.exceptions import WebSocketDisconnect

from application.ports.live import StepProgress
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import RunId
from entrypoints.http import run_stream
from entrypoints.http.run_stream import AccessOver, UpdateTexts, relay
from tests.contracts.samples import new_id
from tests.fakes.clock import START

Updates = AsyncGenerator[RunEvent | StepProgress]


def entry(seq: int) -> RunEvent:
    return RunEvent(
        run_id=RunId(new_id()),
        seq=seq,
        type=EventType.STEP_STARTED,
        data={"step": "idea"},
        at=START,
    )


class Socket:
    """A reader that takes what it is sent, until it leaves."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.left = asyncio.Event()

    async def send(self, event: dict[str, Any]) -> None:
        await self.takes.wait()
        assert event["type"] == "websocket.send"
        self.taken.append(event["text"])

    async def receive_data(self, mode: str) -> str:
        await self.left.wait()
        raise WebSocketDisconnect(detail="gone")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundredths of a second where people have seconds."""
    monkeypatch.setattr(run_stream, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(run_stream, "HEARTBEAT_SECONDS", 0.03)
    monkeypatch.setattr(run_stream, "SLOW_READER_SECONDS", 0.05)


async def told(*entries: RunEvent | StepProgress) -> Updates:
    for each in entries:
        yield each


@pytest.fixture
async def lasting_access() -> AsyncIterator["asyncio.Task[None]"]:
    """The watch over an access that does not end."""
    watch = asyncio.create_task(asyncio.sleep(1_000))
    yield watch
    watch.cancel()
    await asyncio.wait({watch})


async def nothing() -> Updates:
    await asyncio.Event().wait()
    yield entry(1)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


async def test_updates_go_out_as_json_in_their_order(lasting_access: "asyncio.Task[None]") -> None:
    socket = Socket()
    await relay(
        socket,
        told(entry(1), StepProgress(step="idea", output_tokens=7), entry(2)),
        UpdateTexts(),
        lasting_access,
    )
    assert [msgspec.json.decode(text) for text in socket.taken] == [
        {
            "seq": 1,
            "type": "step.started",
            "data": {"step": "idea"},
            "at": "2026-11-02T09:00:00Z",
        },
        {"type": "step.progress", "step": "idea", "output_tokens": 7},
        {
            "seq": 2,
            "type": "step.started",
            "data": {"step": "idea"},
            "at": "2026-11-02T09:00:00Z",
        },
    ]


async def test_a_quiet_line_is_said_to_be_up(lasting_access: "asyncio.Task[None]") -> None:
    socket = Socket()
    relaying = asyncio.create_task(relay(socket, nothing(), UpdateTexts(), lasting_access))
    await until(lambda: len(socket.taken) >= 2)
    assert set(socket.taken) == {'{"type":"heartbeat"}'}
    socket.left.set()
    with pytest.raises(WebSocketDisconnect):
        await relaying


@pytest.mark.parametrize("updates", [lambda: told(entry(1)), nothing], ids=["entry", "heartbeat"])
async def test_a_reader_that_takes_nothing_is_given_up(
    updates: Callable[[], Updates], lasting_access: "asyncio.Task[None]"
) -> None:
    socket = Socket()
    socket.takes.clear()
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            await relay(socket, updates(), UpdateTexts(), lasting_access)
    assert not socket.taken


async def test_what_breaks_the_updates_breaks_the_relay(
    lasting_access: "asyncio.Task[None]",
) -> None:
    closed = asyncio.Event()

    async def breaking() -> Updates:
        try:
            yield entry(1)
            raise LookupError("the log is away")
        finally:
            closed.set()

    with pytest.raises(LookupError):
        await relay(Socket(), breaking(), UpdateTexts(), lasting_access)
    assert closed.is_set()


async def test_a_reader_that_leaves_ends_the_updates(lasting_access: "asyncio.Task[None]") -> None:
    closed = asyncio.Event()

    async def lasting() -> AsyncIterator[RunEvent]:
        try:
            yield entry(1)
            await asyncio.Event().wait()
        finally:
            closed.set()

    socket = Socket()
    relaying = asyncio.create_task(relay(socket, lasting(), UpdateTexts(), lasting_access))
    await until(lambda: bool(socket.taken))
    socket.left.set()
    with pytest.raises(WebSocketDisconnect):
        await relaying
    assert closed.is_set()


async def test_an_access_that_ends_ends_the_stream() -> None:
    over = asyncio.create_task(asyncio.sleep(0))
    with pytest.raises(AccessOver):
        await relay(Socket(), nothing(), UpdateTexts(), over)


async def test_a_watch_that_breaks_is_not_taken_for_an_end() -> None:
    async def broken() -> None:
        raise LookupError("the watch broke")

    with pytest.raises(LookupError):
        await relay(Socket(), nothing(), UpdateTexts(), asyncio.create_task(broken()))


def test_an_update_is_made_text_once_for_all_sockets() -> None:
    texts, one = UpdateTexts(), entry(1)
    assert texts.of(one) is texts.of(one)


def test_however_many_updates_there_were_each_gets_its_own_text() -> None:
    texts = UpdateTexts()
    for seq in range(1, 5_000):
        assert msgspec.json.decode(texts.of(entry(seq)))["seq"] == seq
    assert texts.kept <= run_stream.MOST_TEXTS
