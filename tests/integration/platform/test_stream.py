"""The live stream, on the server of production and on its fallback."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import websockets

from entrypoints.cli.platform import Platform, running_platform
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.platform.conftest import environment
from tests.integration.platform.person import Person


@pytest.fixture(scope="module", params=["granian", "uvicorn"])
async def person(
    request: pytest.FixtureRequest,
    platform: Platform,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Person]:
    """Somebody at each server."""
    if request.param == "granian":
        async with Person(platform.url) as registered:
            yield registered
        return
    settings = {**environment(), "HTTP_SERVER": request.param}
    async with (
        running_platform(
            tmp_path_factory.mktemp("other"),
            settings,
            port=choose_free_port(),
            log_to_files=True,
        ) as other,
        Person(other.url) as registered,
    ):
        yield registered


async def test_the_stream_replays_the_log_and_closes_at_the_end(person: Person) -> None:
    _, detail = await person.executed()
    run_id = detail["run"]["id"]
    seen = [update["seq"] async for update in _stream(person, run_id)]
    assert seen == list(range(1, detail["run"]["last_event"] + 1))
    resumed = [update["seq"] async for update in _stream(person, run_id, after=5)]
    assert resumed == seen[5:]


async def test_the_stream_follows_a_run_live(person: Person) -> None:
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    updates = [update async for update in _stream(person, run["id"])]
    numbered = [update["seq"] for update in updates if "seq" in update]
    assert numbered == list(range(1, len(numbered) + 1))
    assert updates[-1]["type"] == "run.finished"


async def test_a_stream_ticket_opens_one_stream_once(person: Person) -> None:
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    other = await person.project()
    permit = await person.post(f"/runs/{run['id']}/stream-ticket")
    address = person.url.replace("http", "ws", 1) + permit["stream_url"]
    assert await _close_code(f"{address}?ticket=nonsense") == 4401
    assert await _close_code(f"{address}?ticket={permit['ticket']}") == 1000
    assert await _close_code(f"{address}?ticket={permit['ticket']}") == 4401
    assert await _close_code(f"{address}?ticket=x&after=y") == 4400
    assert other["id"] != project["id"]


async def test_a_page_of_an_unknown_origin_gets_no_stream(person: Person) -> None:
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    for origin, code in (("https://evil.example", 4403), ("https://app.example.com", 1000)):
        permit = await person.post(f"/runs/{run['id']}/stream-ticket")
        address = person.url.replace("http", "ws", 1) + permit["stream_url"]
        assert await _close_code(f"{address}?ticket={permit['ticket']}", origin) == code


async def test_a_ping_of_the_protocol_is_answered(person: Person) -> None:
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    permit = await person.post(f"/runs/{run['id']}/stream-ticket")
    address = person.url.replace("http", "ws", 1) + permit["stream_url"]
    async with (
        asyncio.timeout(30),
        websockets.connect(f"{address}?ticket={permit['ticket']}", proxy=None) as socket,
    ):
        answered = await socket.ping()
        assert await answered >= 0


async def test_a_reader_that_leaves_in_the_middle_resumes_where_it_was(person: Person) -> None:
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    seen: list[int] = []
    async for update in _stream(person, run["id"]):
        seen.append(update.get("seq", 0))
        if len(seen) == 3:
            break
    last = max(seen)
    rest = [u["seq"] async for u in _stream(person, run["id"], after=last) if "seq" in u]
    assert rest == list(range(last + 1, rest[-1] + 1))


async def _stream(person: Person, run_id: str, after: int = 0) -> Any:
    permit = await person.post(f"/runs/{run_id}/stream-ticket")
    address = person.url.replace("http", "ws", 1) + permit["stream_url"]
    async with websockets.connect(
        f"{address}?ticket={permit['ticket']}&after={after}", proxy=None
    ) as socket:
        async for message in socket:
            yield msgspec.json.decode(message)


async def _close_code(address: str, origin: str | None = None) -> int:
    async with websockets.connect(address, proxy=None, origin=origin) as socket:
        try:
            async for _ in socket:
                pass
        except websockets.ConnectionClosedError as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code
        assert socket.close_code is not None
        return socket.close_code
