"""The server itself: how long a head may be, and whose pages may read its answers."""

import asyncio

import httpx
import pytest

from entrypoints.cli.platform import Platform
from entrypoints.http.server import HEAD_BYTES
from tests.integration.platform.person import PASSWORD, Person


async def spoken(platform: Platform, words: bytes) -> bytes:
    """What the server says to these bytes until it closes."""
    address = httpx.URL(platform.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(words)
        await writer.drain()
        async with asyncio.timeout(40):
            return await reader.read()
    except (BrokenPipeError, ConnectionResetError):
        return b""
    finally:
        writer.close()


async def test_a_head_that_is_too_long_is_refused(platform: Platform) -> None:
    long = b"GET /health/live HTTP/1.1\r\nHost: here\r\nX-Long: " + b"x" * (HEAD_BYTES * 2)
    said = await spoken(platform, long + b"\r\n\r\n")
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


async def test_a_caller_is_whoever_is_connected_where_no_proxy_is_trusted(
    newcomer: Person,
) -> None:
    headers = {
        "X-Forwarded-For": "203.0.113.7",
        "Forwarded": "for=203.0.113.7",
        "X-Real-IP": "203.0.113.7",
    }
    body = {"email": newcomer.email, "password": PASSWORD}
    opened = await newcomer.post("/auth/login", status=200, json=body, headers=headers)
    token = {"Authorization": f"Bearer {opened['access_token']}"}
    found = await newcomer.get("/auth/sessions", headers=token)
    assert {each["address"] for each in found["items"]} == {"127.0.0.1"}
