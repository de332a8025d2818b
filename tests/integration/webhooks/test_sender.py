"""The sender over real sockets, to receivers that mean it harm."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adapters.webhooks import SocketWebhookSender
from application.ports.webhooks import WebhookAnswer, WebhookRequest
from domain.webhooks.destination import is_address, is_public
from entrypoints.local_stack.ports import choose_free_port
from tests.contracts.webhook_sender_contract import (
    BODY,
    SIGNED,
    Answering,
    Heard,
    WebhookSenderContract,
)
from tests.integration.webhooks.receiver import (
    Behaviour,
    Received,
    Receiver,
    answering,
    certificate,
    receiver,
)

DEADLINE = 1.0
SLACK = 15.0
"""Seconds past the deadline that a busy machine may take."""

PUBLIC = "127.0.0.2"
"""Stands for a public address in these tests; every other one is inside."""


class Names:
    """A name server under a test's control: each look gets the next answer, the last for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.looks = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        answer = self.answers[min(self.looks, len(self.answers) - 1)]
        self.looks += 1
        if not answer:
            raise OSError("no such host")
        return answer


def sender_of(names: Names | None = None, **more: object) -> SocketWebhookSender:
    """A sender for which ``PUBLIC`` alone is public."""
    options: dict[str, object] = {"deadline_seconds": DEADLINE, "body_seconds": 0.3, **more}
    return SocketWebhookSender(
        lambda address: address == PUBLIC,
        resolve=names or Names([PUBLIC]),
        **options,  # type: ignore[arg-type]  # checked by use
    )


async def post(
    sender: SocketWebhookSender, port: int, *, scheme: str = "http", host: str = "hooks.example.com"
) -> WebhookAnswer:
    url = f"{scheme}://{host}:{port}/in?a=1"
    return await sender.send(WebhookRequest(url=url, headers=SIGNED, body=BODY))


class TestSocketWebhookSender(WebhookSenderContract):
    """The contract, over sockets."""

    @pytest.fixture
    async def hooks(self) -> AsyncIterator[tuple[Receiver, list[Behaviour]]]:
        behaviours: list[Behaviour] = []

        async def behave(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await behaviours[-1](request, reader, writer)

        async with receiver(behave) as opened:
            yield opened, behaviours

    @pytest.fixture
    def sender(self) -> SocketWebhookSender:
        return SocketWebhookSender(is_address)

    @pytest.fixture
    def answering(self, hooks: tuple[Receiver, list[Behaviour]]) -> Answering:
        opened, behaviours = hooks

        def chosen(status: int, body: bytes, headers: dict[str, str]) -> str:
            behaviours.append(answering(f"{status} As Asked", body, **headers))
            return f"http://127.0.0.1:{opened.port}/in"

        return chosen

    @pytest.fixture
    def heard(self, hooks: tuple[Receiver, list[Behaviour]]) -> Heard:
        def received() -> list[WebhookRequest]:
            return [
                WebhookRequest(
                    url=f"http://{request.headers['host']}{request.line.split()[1]}",
                    headers={name: request.headers[name] for name in SIGNED},
                    body=request.body,
                )
                for request in hooks[0].requests
            ]

        return received

    @pytest.fixture
    def nowhere(self) -> str:
        return f"http://127.0.0.1:{choose_free_port()}/in"


async def test_the_judged_address_is_connected_to_under_the_hosts_own_name() -> None:
    names = Names([PUBLIC])
    async with receiver(answering(), host=PUBLIC) as here:
        answer = await post(sender_of(names), here.port)
    assert (answer.status, answer.address) == (200, PUBLIC)
    (request,) = here.requests
    assert request.line == "POST /in?a=1 HTTP/1.1"
    assert request.headers["host"] == f"hooks.example.com:{here.port}"
    assert request.headers["content-type"] == "application/json"
    assert names.looks == 1


async def test_a_name_that_turns_inward_after_it_was_judged_gains_nothing() -> None:
    names = Names([PUBLIC], ["127.0.0.1"])
    async with AsyncExitStack() as stack:
        outside = await stack.enter_async_context(receiver(answering(), host=PUBLIC))
        inside = await stack.enter_async_context(
            receiver(answering(), host="127.0.0.1", port=outside.port)
        )
        sender = sender_of(names)
        assert (await post(sender, outside.port)).status == 200
        assert names.looks == 1
        assert (await post(sender, outside.port)).error == "address_refused"
        assert (len(outside.requests), inside.connections) == (1, 0)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["::1"]])
async def test_a_name_with_an_address_inside_is_refused_unconnected(addresses: list[str]) -> None:
    async with receiver(answering(), host="127.0.0.1") as here:
        answer = await post(sender_of(Names(addresses)), here.port)
    assert (answer.error, answer.address, here.connections) == ("address_refused", "", 0)
    assert "127" not in answer.excerpt


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "0"]
)
async def test_no_spelling_of_the_loopback_address_passes_the_real_policy(host: str) -> None:
    async with receiver(answering(), host="127.0.0.1") as here:
        answer = await post(SocketWebhookSender(is_public), here.port, host=host)
    assert answer.error in ("address_refused", "dns")
    assert here.connections == 0


async def test_a_redirect_to_the_inside_is_not_followed() -> None:
    async with receiver(answering(), host="127.0.0.1") as inside:
        where = f"http://127.0.0.1:{inside.port}/"
        async with receiver(answering("302 Found", location=where), host=PUBLIC) as here:
            answer = await post(sender_of(), here.port)
    assert (answer.status, inside.connections) == (302, 0)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver(answering("418 Proxy")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with receiver(answering(), host=PUBLIC) as here:
            assert (await post(sender_of(), here.port)).status == 200
    assert proxy.connections == 0


async def _never(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def _drips_its_head(
    _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 6000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def _goes_on_for_ever(
    _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize("behave", [_never, _drips_its_head])
async def test_who_does_not_answer_in_time_has_not_answered(behave: Behaviour) -> None:
    async with receiver(behave, host=PUBLIC) as here:
        began = time.monotonic()
        answer = await post(sender_of(), here.port)
    assert (answer.error, answer.status) == ("timeout", None)
    assert time.monotonic() - began < DEADLINE + SLACK


async def test_interim_answers_without_end_are_cut_off() -> None:
    async with receiver(_goes_on_for_ever, host=PUBLIC) as here:
        began = time.monotonic()
        answer = await post(sender_of(), here.port)
    assert answer.error in ("protocol", "timeout")
    assert time.monotonic() - began < DEADLINE + SLACK


async def _long_head(
    _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n" + b"x-long: " + b"a" * 2_000_000 + b"\r\n\r\n")


async def _nonsense(
    _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


async def _closes(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    return


@pytest.mark.parametrize("behave", [_long_head, _nonsense, _closes])
async def test_what_is_no_answer_is_none(behave: Behaviour) -> None:
    async with receiver(behave, host=PUBLIC) as here:
        answer = await post(sender_of(), here.port)
    assert answer.status is None
    assert answer.error in ("protocol", "connect")


async def _huge_body(
    _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
    while True:
        writer.write(b"\x00\xff" * 32_768)
        await writer.drain()


async def _slow_body(
    _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\na\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _cut_body(
    _: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")


@pytest.mark.parametrize("behave", [_huge_body, _slow_body, _cut_body])
async def test_once_the_status_is_there_the_body_decides_nothing(behave: Behaviour) -> None:
    async with receiver(behave, host=PUBLIC) as here:
        began = time.monotonic()
        answer = await post(sender_of(), here.port)
    assert answer.status in (200, 202)
    assert len(answer.excerpt) <= 1000
    assert time.monotonic() - began < DEADLINE + SLACK


async def test_a_failure_of_theirs_is_told_with_the_beginning_of_its_words() -> None:
    async with receiver(answering("500 Broken", b"boom" * 5000), host=PUBLIC) as here:
        answer = await post(sender_of(), here.port)
    assert (answer.status, answer.excerpt) == (500, ("boom" * 5000)[:1000])


async def test_tls_is_verified_under_the_hosts_name(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "hooks.example.com")
    async with receiver(answering(), host=PUBLIC, tls=server) as here:
        good = await post(sender_of(tls=client), here.port, scheme="https")
        strange = await post(sender_of(tls=client), here.port, scheme="https", host="other.example")
        untrusted = await post(sender_of(), here.port, scheme="https")
    assert good.status == 200
    assert (strange.error, untrusted.error) == ("tls", "tls")
    assert len(here.requests) == 1


async def test_a_server_without_tls_gets_nothing_from_https() -> None:
    async with receiver(answering(), host=PUBLIC) as here:
        answer = await post(sender_of(), here.port, scheme="https")
    assert answer.error in ("tls", "timeout")
    assert here.requests == []


async def test_a_name_that_nobody_knows_and_one_that_never_resolves() -> None:
    async def silence(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    unknown = await post(sender_of(Names([])), 80)
    hanging = await post(
        SocketWebhookSender(lambda _: True, resolve=silence, deadline_seconds=0.2), 80
    )
    assert (unknown.error, hanging.error) == ("dns", "timeout")


async def test_the_next_address_is_tried_when_nobody_answers_at_the_first() -> None:
    def inside(address: str) -> bool:
        return address.startswith("127.")

    async with receiver(answering(), host=PUBLIC) as here:
        sender = SocketWebhookSender(inside, resolve=Names(["127.0.0.3", PUBLIC]))
        answer = await post(sender, here.port)
    assert (answer.status, answer.address) == (200, PUBLIC)
