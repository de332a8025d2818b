"""One POST to an address that a stranger chose."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

import h11

from application.ports.webhooks import WebhookAnswer, WebhookRequest
from domain.webhooks.delivery import EXCERPT_LENGTH
from domain.webhooks.destination import AddressPolicy

DEADLINE_SECONDS = 15.0
"""For everything, from the name to the answer's head: the least of what Standard Webhooks 1.0.0
recommends (15 to 30 s). A slow drip ends here too."""

CONNECT_SECONDS = 5.0
BODY_SECONDS = 1.0
"""How long the answer's body is waited for, once its status has decided everything."""

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 4 * 1024
_MOST_ADDRESSES = 4
_CHUNK = 4096
_PORTS: Mapping[str, int] = {"https": 443, "http": 80}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host's IP addresses.

Raises:
    OSError: it has none, or nobody could say.
"""

# Not asyncio's own pool: names that never resolve would take its few threads from everybody.
_RESOLVERS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="webhook-dns")


async def resolve(host: str, port: int) -> Sequence[str]:
    """A host's IP addresses as the system knows them, in its order of preference.

    Raises:
        OSError: it has none, or nobody could say.
    """
    found = await asyncio.get_running_loop().run_in_executor(
        _RESOLVERS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )
    # A scope stays with its address, so that the policy sees it: fe80::1%eth0.
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Failed(Exception):
    def __init__(self, error: str, detail: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.detail = detail


class SocketWebhookSender:
    """The ``WebhookSender`` over sockets. ``permits`` judges each address."""

    def __init__(
        self,
        permits: AddressPolicy,
        *,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._permits = permits
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()
        self._deadline_seconds = deadline_seconds
        self._connect_seconds = connect_seconds
        self._body_seconds = body_seconds

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        """Send once; whatever fails is told as an answer."""
        exchange = _Exchange(request)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._exchanged(exchange)
        except TimeoutError:
            return exchange.answer("timeout", f"no answer in {self._deadline_seconds:g} s")
        except _Failed as failure:
            return exchange.answer(failure.error, failure.detail)
        except (h11.ProtocolError, ValueError) as error:
            return exchange.answer("protocol", str(error))
        except OSError as error:
            return exchange.answer("connect", _said(error))
        finally:
            exchange.close()
        return exchange.answer()

    async def _exchanged(self, exchange: "_Exchange") -> None:
        addresses = await self._judged(exchange.host, exchange.port)
        await self._connect(exchange, addresses)
        await exchange.ask()
        await exchange.read_head()
        try:
            async with asyncio.timeout(self._body_seconds):
                await exchange.read_body()
        except (TimeoutError, OSError, h11.ProtocolError):
            return  # the status has said what there is to say

    async def _judged(self, host: str, port: int) -> Sequence[str]:
        """Every address of the host, if each may be connected to.

        One that may not spoils them all: no honest host mixes them.
        """
        try:
            ipaddress.ip_address(host)
            addresses: Sequence[str] = [host]
        except ValueError:
            try:
                addresses = await self._resolve(host, port)
            except (OSError, UnicodeError) as error:
                raise _Failed("dns", _said(error)) from error
        if not addresses:
            raise _Failed("dns", "the host has no address")
        if not all(map(self._permits, addresses)):
            # Which address it was is nobody's business: it may be one of ours.
            raise _Failed("address_refused", "the host is not on the public Internet")
        return addresses[:_MOST_ADDRESSES]

    async def _connect(self, exchange: "_Exchange", addresses: Sequence[str]) -> None:
        failure: _Failed | None = None
        for address in addresses:
            try:
                async with asyncio.timeout(self._connect_seconds):
                    await exchange.connect(address, self._tls)
            except ssl.SSLError as error:
                raise _Failed("tls", _said(error)) from error
            except TimeoutError:
                failure = _Failed("connect", "nobody answers at that port")
            except OSError as error:
                failure = _Failed("connect", _said(error))
            else:
                return
        raise failure or _Failed("connect")


class _Exchange:
    """One request over one connection, and what has come back so far."""

    def __init__(self, request: WebhookRequest) -> None:
        self._request = request
        self._parts: SplitResult = urlsplit(request.url)
        self.host = (self._parts.hostname or "").rstrip(".")
        self.port = self._parts.port or _PORTS[self._parts.scheme]
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._read = 0
        self._response: h11.Response | None = None
        self._body = b""
        self._address = ""

    async def connect(self, address: str, tls: ssl.SSLContext) -> None:
        """Open the connection to that very address, under the host's own name."""
        secure = self._parts.scheme == "https"
        self._reader, self._writer = await asyncio.open_connection(
            address,
            self.port,
            ssl=tls if secure else None,
            server_hostname=self.host if secure else None,
        )
        self._address = address

    async def ask(self) -> None:
        """Send the request."""
        if self._writer is None:
            raise _Failed("connect")
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        headers = {
            "host": self._parts.netloc,
            "user-agent": "BharatBuild-Webhooks/1",
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "close",
            "content-type": "application/json",
            "content-length": str(len(self._request.body)),
            **self._request.headers,
        }
        head = h11.Request(method="POST", target=target, headers=list(headers.items()))
        for event in (head, h11.Data(data=self._request.body), h11.EndOfMessage()):
            self._writer.write(self._h11.send(event) or b"")
        await self._writer.drain()

    async def read_head(self) -> None:
        """Read up to the answer's head, past any interim answers."""
        while self._response is None:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                if self._read > MAX_HEAD_BYTES:
                    raise _Failed("protocol", "the answer's head is too long")
                await self._receive()
            elif isinstance(event, h11.Response):
                self._response = event
            elif not isinstance(event, h11.InformationalResponse):
                raise _Failed("protocol", "the connection was closed without an answer")

    async def read_body(self) -> None:
        """Read the beginning of the body, as far as it is of use."""
        while len(self._body) < MAX_BODY_BYTES:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                await self._receive()
            elif isinstance(event, h11.Data):
                self._body += bytes(event.data[: MAX_BODY_BYTES - len(self._body)])
            else:
                return

    async def _receive(self) -> None:
        if self._reader is None:
            raise _Failed("connect")
        received = await self._reader.read(_CHUNK)
        self._read += len(received)
        self._h11.receive_data(received)

    def answer(self, error: str = "", detail: str = "") -> WebhookAnswer:
        """What has come of it. A status that was read counts, whatever came after."""
        if self._response is None:
            return WebhookAnswer(
                error=error or "protocol", excerpt=detail[:EXCERPT_LENGTH], address=self._address
            )
        retry = next((v for k, v in self._response.headers if k == b"retry-after"), b"")
        return WebhookAnswer(
            status=self._response.status_code,
            excerpt=self._body.decode("utf-8", "replace")[:EXCERPT_LENGTH],
            retry_after=_seconds(retry.decode("latin-1")),
            address=self._address,
        )

    def close(self) -> None:
        """Drop the connection at once: a peer that will not say goodbye is not waited for."""
        if self._writer is not None:
            self._writer.transport.abort()


def _seconds(retry_after: str) -> float | None:
    """``Retry-After`` in seconds from now (RFC 9110 §10.2.3), None for none or nonsense."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _said(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
