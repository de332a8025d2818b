"""Clients that are many, or stay long, on the server of production."""

import asyncio
import time
from collections import Counter
from uuid import uuid4

import httpx
import websockets

from adapters.postgres.unit_of_work import PostgresUnitOfWork
from entrypoints.local_stack import StackAddresses
from tests.integration.limits.clients import (
    BIG,
    PATIENCE,
    connected,
    counted,
    dripped,
    kept_document,
    others_are_served,
    projects_locked,
)
from tests.integration.limits.conftest import PLACES, SECONDS
from tests.integration.platform.person import Person


async def test_who_drips_a_head_or_sends_nothing_is_cut_off(
    served: str,
) -> None:
    drip = dripped(served, b"", b"GET /api/v1/plans HTTP/1.1\r\nHost: here\r\nX-Drip: " + b"x" * 99)
    said, nothing, _ = await asyncio.gather(
        drip, dripped(served, b"", b""), others_are_served(served)
    )
    assert b" 200 " not in said
    assert nothing == b""


async def test_five_hundred_idle_connections_keep_nobody_out(served: str) -> None:
    idle = [await connected(served) for _ in range(500)]
    try:
        began = time.monotonic()
        await others_are_served(served)
        assert time.monotonic() - began < PATIENCE
    finally:
        for _, writer in idle:
            writer.close()


async def test_one_address_keeps_no_more_quiet_connections_than_it_may(
    served: str, person: Person
) -> None:
    """From an address that is no proxy's, beside a stream of its own that says nothing either."""
    each, cut = int(PLACES["HTTP_ADDRESS_CONNECTIONS"]), "bharatbuild_connections_cut_total "
    there = httpx.URL(served)
    project = await person.project()
    run_id = (await person.post(f"/projects/{project['id']}/execute", status=202))["id"]
    permit = await person.post(f"/runs/{run_id}/stream-ticket")
    stream = await websockets.connect(
        f"{served.replace('http', 'ws', 1)}{permit['stream_url']}?ticket={permit['ticket']}",
        proxy=None,
        local_addr=("127.0.0.9", 0),
    )
    await stream.recv()
    before, opened = await counted(served, cut), []
    async with asyncio.timeout(PATIENCE):
        # They are also cut off for asking nothing, in a few seconds: then there are others.
        while await counted(served, cut) < before + 10:
            for _ in range(each + 10):
                opened.append(
                    await asyncio.open_connection(
                        there.host, there.port, local_addr=("127.0.0.9", 0)
                    )
                )
            await asyncio.sleep(0.5)
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait(
            [asyncio.create_task(reader.read()) for reader, _ in opened],
            return_when=asyncio.FIRST_COMPLETED,
        )
    await (await stream.ping())
    await stream.close()
    for _, writer in opened:
        writer.close()
    assert (await person.http.post(f"/runs/{run_id}/cancel")).is_success


async def test_who_reads_slowly_gets_all_of_it(
    served: str, person: Person, stack: StackAddresses, postgres_uow: PostgresUnitOfWork
) -> None:
    """A download that takes longer than any limit, and moves."""
    document_id = (await kept_document(person, stack, postgres_uow)).id
    taken, began = 0, time.monotonic()
    async with person.http.stream("GET", f"/documents/{document_id}/download") as answer:
        async for chunk in answer.aiter_bytes(BIG // 8):
            taken += len(chunk)
            await asyncio.sleep(0.5)
    assert taken == BIG
    assert time.monotonic() - began > float(SECONDS["HTTP_HANDLER_SECONDS"]) + 1


async def test_a_handler_that_is_cut_leaves_nothing_and_frees_its_key(
    served: str, person: Person, superuser_url: str
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"idea": "A project that the database never comes to."}
    before = await counted(served, 'bharatbuild_requests_cut_total{waits_for="unheard"}')
    async with projects_locked(superuser_url):
        late, read = await asyncio.gather(
            person.http.post("/projects", json=body, headers=key), person.http.get("/projects")
        )
        assert {late.status_code, read.status_code} == {504}
        assert "Nothing was changed" in read.json()["detail"]
        async with asyncio.timeout(PATIENCE):
            while (
                await counted(served, 'bharatbuild_requests_cut_total{waits_for="unheard"}')
                < before + 2
            ):
                await asyncio.sleep(0.1)
    again = await person.http.post("/projects", json=body, headers=key)
    assert again.status_code == 201, again.text
    assert "Idempotency-Replayed" not in again.headers
    ideas = [each["idea"] for each in (await person.get("/projects"))["items"]]
    assert ideas.count(body["idea"]) == 1


async def test_requests_beyond_what_fits_are_turned_away_and_the_process_is_alive(
    served: str, person: Person, superuser_url: str
) -> None:
    """Handlers that stand still hold all places that one address, and then all, may have."""
    token = {"Authorization": person.http.headers["Authorization"]}

    async def asked(address: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            headers = {**token, "X-Forwarded-For": address}
            return await http.get(f"{served}/api/v1/projects", headers=headers)

    each, all_ = int(PLACES["HTTP_ADDRESS_REQUESTS"]), int(PLACES["HTTP_REQUESTS"])
    async with projects_locked(superuser_url):
        addresses = ["198.51.100.1"] * (each + 5) + ["198.51.100.2"] * (all_ - each + 5)
        asking = [asyncio.create_task(asked(address)) for address in addresses]
        async with asyncio.timeout(PATIENCE):
            while sum(each.done() for each in asking) < 10:
                await asyncio.sleep(0.05)
        early = [task.result() for task in asking if task.done()]
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            assert (await http.get(f"{served}/health/live")).status_code == 200
        answers = await asyncio.gather(*asking)
    codes = Counter((answer.status_code, answer.json()["code"]) for answer in answers)
    assert codes[429, "too_many_at_once"] == 10
    assert codes[504, "took_too_long"] == all_
    for answer in early:
        assert answer.headers["Retry-After"] == "1"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert (await person.http.get("/projects")).status_code == 200


async def test_a_stream_beyond_what_one_address_may_have_is_closed(
    served: str, person: Person
) -> None:
    """Streams of a run that nobody executes stay open."""
    project = await person.project()
    run_id = (await person.post(f"/projects/{project['id']}/execute", status=202))["id"]

    async def opened() -> websockets.ClientConnection:
        permit = await person.post(f"/runs/{run_id}/stream-ticket")
        address = served.replace("http", "ws", 1) + permit["stream_url"]
        return await websockets.connect(f"{address}?ticket={permit['ticket']}", proxy=None)

    async with asyncio.timeout(PATIENCE):
        streams = [await opened() for _ in range(int(PLACES["HTTP_ADDRESS_SOCKETS"]))]
        for stream in streams:
            await stream.recv()
        beyond = await opened()
        await beyond.wait_closed()
        assert beyond.close_code == 4429
        await streams.pop().close()
        while True:
            again = await opened()
            try:
                await again.recv()
                break
            except websockets.ConnectionClosed as closed:
                # The place is free once the server has seen that the other has left.
                assert closed.rcvd is not None and closed.rcvd.code == 4429
    for stream in (*streams, again):
        assert stream.close_code is None
        await stream.close()
    answer = await person.http.post(f"/runs/{run_id}/cancel")
    assert answer.is_success, answer.text
