"""Clients that are slow, on either server; others are served meanwhile."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from adapters.postgres.unit_of_work import PostgresUnitOfWork
from entrypoints.local_stack import StackAddresses
from tests.integration.limits.clients import (
    BIG,
    PATIENCE,
    counted,
    dripped,
    is_kept,
    kept_document,
    others_are_served,
    projects_locked,
    read_to_the_end,
)
from tests.integration.limits.conftest import PatientPerson, serving
from tests.integration.platform.person import Person

IN_PROGRESS = "bharatbuild_requests_in_progress "


@pytest.fixture(scope="module", params=["granian", "uvicorn"])
async def served(
    request: pytest.FixtureRequest,
    stack: StackAddresses,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[str]:
    """Where a process of each server answers."""
    async with serving(stack, tmp_path_factory, request.param) as url:
        yield url


@pytest.fixture(scope="module")
async def person(served: str) -> AsyncIterator[Person]:
    """Somebody who is registered and signed in there."""
    async with PatientPerson(served) as registered:
        yield registered


def problem_in(said: bytes) -> tuple[int, str]:
    """The status and code of an answer off the wire."""
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


async def test_who_drips_a_body_is_told_so(served: str, person: Person) -> None:
    token = person.http.headers["Authorization"].encode()
    head = (
        b"POST /api/v1/projects HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        b"Authorization: " + token + b"\r\nContent-Length: 200\r\n\r\n"
    )
    said = b""
    for _ in range(3):  # bytes that arrive after the answer may make the connection forget it
        said, _ = await asyncio.gather(
            dripped(served, head, b'{"idea": "' + b"x" * 180), others_are_served(served)
        )
        if said:
            break
    assert problem_in(said) == (408, "body_too_slow")


async def test_what_is_no_body_is_its_sender_s_fault(served: str) -> None:
    address = httpx.URL(served)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nno length\r\n{}\r\n"
    )
    async with asyncio.timeout(PATIENCE):
        said = await reader.readline()
    writer.close()
    assert said.split()[1] == b"400", said


async def test_who_never_reads_is_cut_off(
    served: str, person: Person, stack: StackAddresses, postgres_uow: PostgresUnitOfWork
) -> None:
    document_id = (await kept_document(person, stack, postgres_uow)).id
    address = httpx.URL(served)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((address.host, address.port))
    token = person.http.headers["Authorization"]
    asked = f"GET /api/v1/documents/{document_id}/download HTTP/1.1\r\nHost: here\r\n"
    client.sendall(f"{asked}Authorization: {token}\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        # Until nothing is under way but the very request that asks, and the connection is gone.
        while is_kept(served, client) or await counted(served, IN_PROGRESS) > 1:
            await others_are_served(served, 1)
            await asyncio.sleep(0.2)
        taken = await asyncio.to_thread(read_to_the_end, client)
    # What was on its way came; the rest is missing, and is seen to be.
    assert 0 < taken < BIG


async def test_a_slow_handler_is_answered_for_and_its_work_is_not_lost(
    served: str, person: Person, superuser_url: str
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"idea": "A project that the database is slow about."}
    async with projects_locked(superuser_url):
        late = await person.http.post("/projects", json=body, headers=key)
        assert (late.status_code, late.json()["code"]) == (504, "took_too_long")
    async with asyncio.timeout(PATIENCE):
        while True:
            again = await person.http.post("/projects", json=body, headers=key)
            if again.status_code != httpx.codes.CONFLICT:
                break
            await asyncio.sleep(0.1)
    assert again.status_code == 201
    assert again.headers["Idempotency-Replayed"] == "true"
    ideas = [each["idea"] for each in (await person.get("/projects"))["items"]]
    assert ideas.count(body["idea"]) == 1
