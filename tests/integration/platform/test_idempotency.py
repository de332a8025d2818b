"""A POST repeated with its key has no further effect, whoever answers it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from entrypoints.cli.platform import Platform
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.platform.person import IDEA, Person

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"


def keyed() -> dict[str, str]:
    return {KEY: f"test-{uuid4()}"}


async def patient(http: httpx.AsyncClient, path: str, **more: Any) -> httpx.Response:
    """Repeat a request for as long as the first one with its key is under way."""
    async with asyncio.timeout(30):
        while True:
            answer = await http.post(path, **more)
            if answer.status_code != 409 or answer.json()["code"] != "idempotency_in_flight":
                return answer
            assert answer.json()["retry_after_seconds"] == int(answer.headers["retry-after"]) == 1
            await asyncio.sleep(0.05)


@contextmanager
def stopped(platform: Platform, name: str) -> Iterator[None]:
    """Have one of the platform's processes stand still meanwhile, not for long."""
    (pid,) = [process.pid for process in platform.processes.processes if process.name == name]
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def titles(person: Person) -> list[str]:
    page = await person.get("/projects", params={"limit": 100})
    return [project["title"] for project in page["items"]]


@pytest.fixture(scope="module")
async def second_server(platform: Platform) -> AsyncIterator[str]:
    """Another HTTP process of the same platform: its address."""
    port = choose_free_port()
    passed = {
        name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "entrypoints.cli.main",
        "http",
        env={**passed, **platform.environment, "HTTP_PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as client:
            while not await _answers(client, url):
                assert process.returncode is None
                await asyncio.sleep(0.1)
        yield f"{url}/api/v1"
    finally:
        process.terminate()
        await process.wait()


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health/live")).status_code == 200
    except httpx.HTTPError:
        return False


async def test_twenty_requests_with_one_key_make_one_project(newcomer: Person) -> None:
    headers, body = keyed(), {"idea": IDEA, "title": "One of twenty"}
    async with asyncio.TaskGroup() as group:
        attempts = [
            group.create_task(patient(newcomer.http, "/projects", json=body, headers=headers))
            for _ in range(20)
        ]
    answers = [attempt.result() for attempt in attempts]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len([answer for answer in answers if REPLAYED not in answer.headers]) == 1
    assert await titles(newcomer) == ["One of twenty"]


async def test_two_servers_answer_one_key_with_one_project(
    newcomer: Person, second_server: str
) -> None:
    headers, body = keyed(), {"idea": IDEA}
    paths = ["/projects", f"{second_server}/projects"] * 8
    async with asyncio.TaskGroup() as group:
        attempts = [
            group.create_task(patient(newcomer.http, path, json=body, headers=headers))
            for path in paths
        ]
    answers = [attempt.result() for attempt in attempts]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(await titles(newcomer)) == 1


async def test_a_replay_is_the_first_answer_and_says_so(person: Person, second_server: str) -> None:
    headers, body = keyed(), {"idea": IDEA, "title": "Before"}
    first = await person.http.post("/projects", json=body, headers=headers)
    assert (first.status_code, first.headers.get(REPLAYED)) == (201, None)
    await person.http.patch(f"/projects/{first.json()['id']}", json={"title": "After"})
    for path in ("/projects", f"{second_server}/projects"):
        replay = await person.http.post(path, json=body, headers=headers)
        assert replay.status_code == 201
        assert replay.headers[REPLAYED] == "true"
        assert replay.headers["content-type"] == first.headers["content-type"]
        assert replay.content == first.content


async def test_with_a_key_the_answer_is_as_without_one(person: Person) -> None:
    plain = await person.http.post("/projects", json={"idea": IDEA})
    with_key = await person.http.post("/projects", json={"idea": IDEA}, headers=keyed())
    assert plain.status_code == with_key.status_code == 201
    assert plain.headers["content-type"] == with_key.headers["content-type"]
    own = {"id", "created_at", "updated_at"}
    for name in plain.json().keys() - own:
        assert plain.json()[name] == with_key.json()[name]
    assert list(plain.json()) == list(with_key.json())


async def test_executing_twice_with_one_key_is_one_run(person: Person) -> None:
    project, headers = await person.project(), keyed()
    path = f"/projects/{project['id']}/execute"
    run = await person.post(path, status=202, headers=headers)
    again = await person.http.post(path, headers=headers)
    assert (again.status_code, again.json(), again.headers[REPLAYED]) == (202, run, "true")
    await person.finished(run["id"])
    assert await person.post(path, status=202, headers=headers) == run
    assert len((await person.get(f"/projects/{project['id']}/runs"))["items"]) == 1


async def test_cancelling_twice_with_one_key_is_answered_twice_alike(person: Person) -> None:
    project, headers = await person.project(), keyed()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    first = await person.post(f"/runs/{run['id']}/cancel", status=202, headers=headers)
    await person.finished(run["id"])
    again = await person.http.post(f"/runs/{run['id']}/cancel", headers=headers)
    assert (again.status_code, again.json()) == (202, first)


async def test_another_request_under_the_key_is_refused(person: Person) -> None:
    headers = keyed()
    made = await person.post("/projects", json={"idea": IDEA}, headers=headers)
    for path, body in (
        ("/projects", {"idea": f"{IDEA} And more."}),
        (f"/projects/{made['id']}/execute", {}),
    ):
        problem = await person.post(path, status=422, json=body, headers=headers)
        assert problem["code"] == "idempotency_mismatch"


async def test_the_form_of_the_body_does_not_make_another_request(person: Person) -> None:
    headers = {**keyed(), "Content-Type": "application/json"}
    bodies = (
        b'{"idea": "A long enough idea.", "title": "T"}',
        b'{"title":"T",\n "idea":"A long enough id\\u0065a."}',
    )
    first, second = [
        await person.http.post("/projects", content=body, headers=headers) for body in bodies
    ]
    assert (second.status_code, second.content) == (201, first.content)


async def test_anothers_same_key_is_another_key(person: Person, stranger: Person) -> None:
    headers = keyed()
    mine = await person.post("/projects", json={"idea": IDEA}, headers=headers)
    theirs = await stranger.http.post("/projects", json={"idea": IDEA}, headers=headers)
    assert theirs.status_code == 201
    assert REPLAYED not in theirs.headers
    assert theirs.json()["id"] != mine["id"]


async def test_without_a_key_two_requests_are_two_projects(person: Person) -> None:
    body = {"idea": IDEA}
    one, two = [await person.post("/projects", json=body) for _ in range(2)]
    assert one["id"] != two["id"]


async def test_a_refusal_is_an_outcome_and_is_replayed(person: Person, platform: Platform) -> None:
    project, headers = await person.project(), keyed()
    path = f"/projects/{project['id']}/execute"
    with stopped(platform, "worker"):
        run = await person.post(path, status=202)
        refused = await person.http.post(path, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "run_in_progress")
    await person.finished(run["id"])
    replay = await person.http.post(path, headers=headers)
    assert replay.headers[REPLAYED] == "true"
    assert replay.headers["content-type"] == "application/problem+json"
    assert (replay.status_code, replay.content) == (409, refused.content)


async def test_a_body_that_does_not_fit_leaves_the_key_free(person: Person) -> None:
    headers = keyed()
    for body in ({"idea": "short"}, {"idea": 7}, {"idea": IDEA, "mode": "founder"}):
        await person.post("/projects", status=422, json=body, headers=headers)
    await person.post("/projects", json={"idea": IDEA}, headers=headers)


@pytest.mark.parametrize("key", [b"", b"k" * 256, b"caf\xc3\xa9", b"a\tb"])
async def test_a_key_that_does_not_fit_names_the_header(person: Person, key: bytes) -> None:
    answer = await person.http.post("/projects", json={"idea": IDEA}, headers=[(KEY.encode(), key)])
    assert answer.status_code == 422, answer.text
    assert [entry["field"] for entry in answer.json()["errors"]] == [KEY]


async def test_two_keys_are_refused(person: Person) -> None:
    answer = await person.http.post(
        "/projects", json={"idea": IDEA}, headers=[(KEY, "one"), (KEY, "two")]
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == KEY


async def test_the_longest_key_fits(person: Person) -> None:
    headers = {KEY: f"{uuid4()}".ljust(255, "~")}
    await person.post("/projects", json={"idea": IDEA}, headers=headers)


async def test_pages_of_other_origins_may_send_a_key_and_see_a_replay(
    client: httpx.AsyncClient,
) -> None:
    origin = {"Origin": "https://app.example.com"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": KEY}
    preflight = await client.options("/projects", headers={**origin, **asked})
    assert KEY.lower() in preflight.headers["access-control-allow-headers"].lower()
    answer = await client.post("/projects", json={}, headers=origin)
    assert REPLAYED.lower() in answer.headers["access-control-expose-headers"].lower()


async def test_the_schema_describes_the_header(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/schema/openapi.json")).json()["paths"]
    for path in ("/projects", "/projects/{project_id}/execute", "/runs/{run_id}/cancel"):
        operation = paths[f"/api/v1{path}"]["post"]
        (header,) = [p for p in operation["parameters"] if p.get("in") == "header"]
        assert header["name"] == KEY
        assert not header["required"]
        assert "24 hours" in header["description"]
        success = next(answer for code, answer in operation["responses"].items() if code < "300")
        assert success["content"]["application/json"]["schema"]["$ref"].endswith("View")
