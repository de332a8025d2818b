"""A real HTTP server that speaks Claude's Messages API, and misbehaves on demand.

In a test, in the test's own event loop::

    async with MessagesServer() as server:
        server.script(rate_limited(retry_after="3"), Turn(text="{}"))
        ...  # calls go to server.url
        assert server.calls[0].body["model"] == "claude-sonnet-5-5"

A call takes the next turn of the script; without one it is answered by ``answers``. As a
process of its own, where every call takes a given time::

    python -m tests.servers.messages_api --port 8321 --delay 1.0 --answers offline
"""

import argparse
import asyncio
import json
import signal
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tests.servers.answers import Answers, from_offline_model, from_schema
from tests.servers.messages_rules import PromptCache, violation

MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one call is answered with.

    ``text`` None asks the server's ``answers``; an empty ``stop_reason`` ends the stream
    without saying one. Counts in ``…_after`` are text deltas
    sent before the fault. Delays are seconds: before the first byte, after
    ``message_start``, and before each delta. ``usage`` overrides the counted buckets.
    """

    text: str | None = None
    stop_reason: str = "end_turn"
    stop_details: Mapping[str, Any] | None = None
    thinking: str = ""
    as_tool_input: bool = False
    usage: Mapping[str, Any] | None = None
    status: int = 200
    error_type: str = ""
    message: str = ""
    details: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_first_byte: float = 0.0
    delay: float = 0.0
    delay_between: float = 0.0
    piece: int = 400
    cut_after: int | None = None
    cut_before_stop: bool = False
    malformed_after: int | None = None
    error_after: int | None = None
    hang_after: int | None = None


def failing(status: int, error_type: str, message: str = "no", **headers: str) -> Turn:
    """An error instead of an answer; header names with ``_`` for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Turn(status=status, error_type=error_type, message=message, headers=named)


def rate_limited(**headers: str) -> Turn:
    """429, with the headers given, e.g. ``retry_after="3"``."""
    return failing(429, "rate_limit_error", "This request would exceed the rate limit.", **headers)


def overloaded() -> Turn:
    """529."""
    return failing(529, "overloaded_error", "Overloaded")


def too_long() -> Turn:
    """400, for the only reason that a shorter prompt would mend."""
    return failing(
        400, "invalid_request_error", "prompt is too long: 1203000 tokens > 1000000 maximum"
    )


@dataclass(kw_only=True)
class Call:
    """One request as it came, how many text deltas it was sent, and when its client went away."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    said: int = 0
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> str:
        """The API key, in whichever of its two headers it came."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or bearer


class MessagesServer:
    """Serves on a free port of 127.0.0.1 while it is entered.

    Args:
        answers: the texts of calls without a scripted turn.
        default: the turn such calls take, e.g. with a delay.
        api_key: the only key accepted; any when None.
        port: the port; a free one when 0.
    """

    def __init__(
        self,
        answers: Answers = from_schema,
        *,
        default: Turn = Turn(),
        api_key: str | None = None,
        port: int = 0,
    ) -> None:
        self.calls: list[Call] = []
        self._answers = answers
        self._default = default
        self._api_key = api_key
        self._port = port
        self._turns: deque[Turn] = deque()
        self._arrived: asyncio.Queue[Call] = asyncio.Queue()
        self._cache = PromptCache()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens; there is none before it is entered."""
        return f"http://127.0.0.1:{self._port}"

    def script(self, *turns: Turn) -> Self:
        """Answer the next calls with ``turns``, in the order in which the calls come."""
        self._turns.extend(turns)
        return self

    def forget_script(self) -> None:
        """Drop the turns that no call has taken."""
        self._turns.clear()

    async def next_call(self) -> Call:
        """The next call that this has not returned yet, when it has come."""
        return await asyncio.wait_for(self._arrived.get(), 5)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self._port, limit=2**26
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        watching: asyncio.Task[None] | None = None
        try:
            method, call = await _read_request(reader)
            watching = asyncio.ensure_future(_watch(reader, call))
            await self._route(method, call, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            if watching is not None:
                watching.cancel()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _route(self, method: str, call: Call, writer: asyncio.StreamWriter) -> None:
        wire = _Wire(writer, call)
        key = call.key
        if self._api_key is not None and key != self._api_key:
            # A careless proxy quotes the key; clients must not pass that on.
            await wire.error(failing(401, "authentication_error", f"invalid x-api-key: {key}"))
        elif method == "GET" and call.path.startswith("/v1/models"):
            await self._models(call.path.removeprefix("/v1/models").strip("/"), wire)
        elif method == "POST" and call.path == "/v1/messages":
            self.calls.append(call)
            self._arrived.put_nowait(call)
            await self._message(call, wire)
        else:
            await wire.error(failing(404, "not_found_error", call.path))

    async def _models(self, model: str, wire: "_Wire") -> None:
        turn = self._turns.popleft() if self._turns else self._default
        if turn.status != 200:
            await wire.error(turn)
        elif model and model not in MODELS:
            await wire.error(failing(404, "not_found_error", f"model: {model}"))
        else:
            shown = [_model(name) for name in MODELS if model in ("", name)]
            await wire.json(200, shown[0] if model else {"data": shown, "has_more": False})

    async def _message(self, call: Call, wire: "_Wire") -> None:
        turn = self._turns.popleft() if self._turns else self._default
        await wire.pause(turn.delay_first_byte)
        refused = violation(call.body)
        if turn.status != 200:
            await wire.error(turn)
        elif refused:
            await wire.error(failing(400, "invalid_request_error", refused))
        else:
            text = turn.text
            if text is None:
                made = self._answers(call.body)
                text = await made if isinstance(made, Awaitable) else made
            await self._stream(call, replace(turn, text=text), wire)

    async def _stream(self, call: Call, turn: Turn, wire: "_Wire") -> None:
        buckets, entries = self._cache.count(call.body)
        written = buckets["cache_creation_input_tokens"]
        usage = {
            **buckets,
            "cache_creation": {
                "ephemeral_5m_input_tokens": written,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": 1,
            **(turn.usage or {}),
        }
        await wire.open_stream(turn.headers)
        self._cache.keep(entries)
        await wire.event("message_start", message=_message_start(call.body["model"], usage))
        await wire.event("ping")
        await wire.pause(turn.delay)
        index = 0
        if turn.thinking:
            await wire.thinking(turn.thinking)
            index = 1
        whole = await wire.text(turn, index)
        if not whole:
            return
        output = (len(turn.text or "") + len(turn.thinking)) // 4 + 1
        final = {"output_tokens": (turn.usage or {}).get("output_tokens", output)}
        delta = {
            "stop_reason": turn.stop_reason,
            "stop_sequence": None,
            "stop_details": turn.stop_details,
        }
        if not turn.stop_reason:
            await wire.close_stream()
            return
        await wire.event("message_delta", delta=delta, usage=final)
        if turn.cut_before_stop:
            wire.cut()
            return
        await wire.event("message_stop")
        await wire.close_stream()


class _Wire:
    """Writes one response, byte for byte as it should go wrong."""

    def __init__(self, writer: asyncio.StreamWriter, call: Call) -> None:
        self._writer = writer
        self._call = call

    async def json(self, status: int, body: object, headers: Mapping[str, str] = {}) -> None:
        payload = json.dumps(body).encode()
        self._head(status, {"content-type": "application/json", **headers}, len(payload))
        self._writer.write(payload)
        await self._writer.drain()

    async def error(self, turn: Turn) -> None:
        error = {"type": turn.error_type, "message": turn.message, "details": turn.details}
        await self.json(turn.status, {"type": "error", "error": error}, turn.headers)

    async def open_stream(self, headers: Mapping[str, str]) -> None:
        self._head(200, {"content-type": "text/event-stream", **headers}, None)
        await self._writer.drain()

    async def event(self, kind: str, **data: object) -> None:
        await self.chunk(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n")

    async def thinking(self, thought: str) -> None:
        block = {"type": "thinking", "thinking": "", "signature": ""}
        await self.event("content_block_start", index=0, content_block=block)
        delta = {"type": "thinking_delta", "thinking": thought}
        await self.event("content_block_delta", index=0, delta=delta)
        signature = {"type": "signature_delta", "signature": "c2lnbmVk"}
        await self.event("content_block_delta", index=0, delta=signature)
        await self.event("content_block_stop", index=0)

    async def text(self, turn: Turn, index: int) -> bool:
        """Send the answer's deltas; False when a scripted fault ended it."""
        block: dict[str, object] = {"type": "text", "text": ""}
        kind, name = "text_delta", "text"
        if turn.as_tool_input:
            block = {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": {}}
            kind, name = "input_json_delta", "partial_json"
        await self.event("content_block_start", index=index, content_block=block)
        text = turn.text or ""
        pieces = [text[at : at + turn.piece] for at in range(0, len(text), turn.piece)]
        for number, piece in enumerate([*pieces, None]):
            if await self._fault(turn, number):
                return False
            if piece is not None:
                await self.pause(turn.delay_between)
                delta = {"type": kind, name: piece}
                await self.event("content_block_delta", index=index, delta=delta)
                self._call.said += 1
        await self.event("content_block_stop", index=index)
        return True

    async def _fault(self, turn: Turn, number: int) -> bool:
        if number == turn.cut_after:
            self.cut()
        elif number == turn.malformed_after:
            await self.chunk('event: content_block_delta\ndata: {"type": "content_bl\n\n')
            await self.close_stream()
        elif number == turn.error_after:
            error = {"type": turn.error_type, "message": turn.message}
            await self.event("error", error=error)
            await self.close_stream()
        elif number == turn.hang_after:
            await self._call.disconnected.wait()
        else:
            return False
        return True

    async def pause(self, seconds: float) -> None:
        if seconds:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._call.disconnected.wait(), seconds)

    async def chunk(self, text: str) -> None:
        payload = text.encode()
        self._writer.write(b"%x\r\n%b\r\n" % (len(payload), payload))
        await self._writer.drain()

    async def close_stream(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def cut(self) -> None:
        """Reset the connection, in the middle of a chunked body."""
        self._writer.transport.abort()

    def _head(self, status: int, headers: Mapping[str, str], length: int | None) -> None:
        framing = (
            {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
        )
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}"]
        every = {"request-id": "req_test", "connection": "close", **framing, **headers}
        lines += [f"{name}: {value}" for name, value in every.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())


_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, Call]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request_line, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = request_line.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines)
    headers = {name.lower(): value.strip() for name, value in pairs}
    payload = await reader.readexactly(int(headers.get("content-length", "0")))
    body = json.loads(payload) if payload else {}
    return method, Call(path=target.split("?", 1)[0], headers=headers, body=body)


async def _watch(reader: asyncio.StreamReader, call: Call) -> None:
    with suppress(ConnectionError):
        await reader.read()
    call.disconnected.set()


def _message_start(model: str, usage: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_test",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": dict(usage),
    }


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "2026-09-28T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    }


@contextmanager
def serving_in_thread(make: Callable[[], MessagesServer] = MessagesServer) -> Iterator[str]:
    """Serve from a thread with a loop of its own, for tests that block theirs; gives the URL."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    server = make()
    stop = asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait(5)
    try:
        yield server.url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


async def _run(options: argparse.Namespace) -> None:
    answers = {"schema": lambda: from_schema, "offline": from_offline_model}[options.answers]()
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    server = MessagesServer(answers, default=Turn(delay=options.delay), port=options.port)
    async with server:
        print(f"listening on {server.url}", flush=True)
        await stop.wait()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds each answer takes")
    parser.add_argument("--answers", choices=("schema", "offline"), default="schema")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
