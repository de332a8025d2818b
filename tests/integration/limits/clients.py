"""What slow and numerous clients do, and what is looked at to see what became of it."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import psutil

from adapters.minio import MinioObjectStore
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from domain.projects.document import Document
from entrypoints.local_stack import StackAddresses
from tests.contracts.samples import keep_project, make_document, make_run, make_user
from tests.integration.platform.person import Person

PATIENCE = 20.0
"""Far beyond every limit, and far below what somebody would wait for ever."""

BIG = 24 * 1024 * 1024
"""Bytes of a document that no system's buffers take in whole."""


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = httpx.URL(url)
    return await asyncio.open_connection(address.host, address.port)


async def dripped(url: str, head: bytes, drops: bytes, pause: float = 0.2) -> bytes:
    """What the server says, until it closes, to a client that sends a byte at a time."""
    reader, writer = await connected(url)

    async def drip() -> None:
        writer.write(head)
        for drop in drops:
            writer.write(bytes([drop]))
            await writer.drain()
            await asyncio.sleep(pause)

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()


async def others_are_served(url: str, times: int = 20) -> None:
    """Somebody else, on new connections, is answered at once."""
    for _ in range(times):
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            headers = {"X-Forwarded-For": "198.51.100.99"}
            assert (await http.get(f"{url}/api/v1/plans", headers=headers)).status_code == 200


async def counted(url: str, sample: str) -> float:
    """A sample of the process's metrics."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        lines = (await http.get(f"{url}/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(sample))


@asynccontextmanager
async def projects_locked(superuser_url: str) -> AsyncIterator[None]:
    """Nobody reads or writes a project meanwhile."""
    connection = await asyncpg.connect(superuser_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE projects IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def kept_document(
    person: Person,
    stack: StackAddresses,
    uow: PostgresUnitOfWork,
    data: bytes = bytes(BIG),
    **changes: Any,
) -> Document:
    """A document of theirs, a big one if nothing else is said."""
    me = (await person.get("/auth/me"))["user"]
    user = make_user(id=UUID(me["id"]), email=me["email"])
    run = make_run(await keep_project(uow, user))
    digest = hashlib.sha256(data).hexdigest()
    store = MinioObjectStore(
        stack.s3_endpoint or "",
        stack.s3_access_key or "",
        stack.s3_secret_key or "",
        stack.s3_bucket or "",
    )
    try:
        await store.ensure_bucket()
        kept = f"{user.id}/{digest}"
        await store.put(kept, data, "application/octet-stream")
    finally:
        await store.close()
    document = make_document(run, object_key=kept, sha256=digest, size=len(data), **changes)
    async with uow.begin(user.id) as tx:
        await tx.runs.add(run)
        await tx.documents.add([document])
    return document


def read_to_the_end(client: socket.socket) -> int:
    """How much comes before nothing more does."""
    taken = 0
    with client:
        client.settimeout(2)
        try:
            while part := client.recv(1 << 20):
                taken += len(part)
        except (ConnectionResetError, TimeoutError):
            # A server that gave up does not always say so.
            pass
    return taken


def is_kept(url: str, client: socket.socket) -> bool:
    """Whether the server still has the client's connection."""
    here, there = client.getsockname()[1], httpx.URL(url).port
    return any(
        each.status == psutil.CONN_ESTABLISHED
        and (each.laddr.port, each.raddr.port) == (there, here)
        for each in psutil.net_connections("tcp4")
        if each.laddr and each.raddr
    )
