"""The server itself: how long it waits for a head, how long a head may be, who may read."""

import asyncio
import time

import httpx
import pytest

from entrypoints.cli.platform import Platform
from entrypoints.http.server import HEAD_BYTES, HEAD_SECONDS


async def spoken(platform: Platform, *parts: bytes, pause: float = 0.0) -> tuple[bytes, float]:
    """What the server says to these bytes until it closes, and how long that took."""
    address = httpx.URL(platform.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    began = time.monotonic()
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(HEAD_SECONDS * 4):
            said = await reader.read()
    except (BrokenPipeError, ConnectionResetError):
        said = b""
    finally:
        writer.close()
    return said, time.monotonic() - began


async def test_who_never_ends_a_head_is_cut_off(platform: Platform) -> None:
    """A slow loris: one line of a head now and then, and never the last."""
    drops = [b"GET /health/live HTTP/1.1\r\nHost: here\r\n", *[b"X-Drop: 1\r\n"] * 4]
    said, seconds = await spoken(platform, *drops, pause=0.5)
    assert b" 200 " not in said
    assert seconds >= HEAD_SECONDS / 2
    assert httpx.get(f"{platform.url}/health/live", trust_env=False).status_code == 200


async def test_a_head_that_is_too_long_is_refused(platform: Platform) -> None:
    long = b"GET /health/live HTTP/1.1\r\nHost: here\r\nX-Long: " + b"x" * (HEAD_BYTES * 2)
    said, _ = await spoken(platform, long + b"\r\n\r\n")
    assert not said or said.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("https://app.example.com", True), ("https://app.example.com.evil.example", False)],
)
async def test_pages_read_answers_where_their_origin_is_listed(
    client: httpx.AsyncClient, origin: str, allowed: bool
) -> None:
    answer = await client.get("/plans", headers={"Origin": origin})
    assert (answer.headers.get("Access-Control-Allow-Origin") == origin) is allowed
    assert answer.headers.get("Access-Control-Allow-Origin") != "*"
    asked = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    preflight = await client.options("/projects", headers=asked)
    assert (preflight.headers.get("Access-Control-Allow-Origin") == origin) is allowed
