"""Clients of the three servers, data to leave in them, and waiting for a condition."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import urllib3
from minio import Minio
from redis.asyncio import Redis

from entrypoints.local_stack import StackAddresses


async def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return once the condition holds; fail the test after ``seconds``."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def database(url: str | None) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def redis(url: str | None) -> AsyncIterator[Redis]:
    assert url is not None
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


def s3(addresses: StackAddresses, secret_key: str | None = None) -> Minio:
    return Minio(
        urlsplit(addresses.s3_endpoint or "").netloc,
        access_key=addresses.s3_access_key,
        secret_key=secret_key or addresses.s3_secret_key,
        secure=False,
        http_client=urllib3.PoolManager(retries=False, timeout=10),
    )


async def write_everywhere(addresses: StackAddresses, value: str) -> None:
    """Leave ``value`` in each of the three servers."""
    async with database(addresses.database_owner_url) as owner:
        await owner.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        await owner.execute("INSERT INTO kept VALUES ($1)", value)
    async with redis(addresses.redis_url) as client:
        await client.set("kept", value)
        # Valkey syncs once a second; a kill of the process alone loses nothing that was answered.
    assert addresses.s3_bucket
    body = value.encode()
    await asyncio.to_thread(
        s3(addresses).put_object, addresses.s3_bucket, "kept", io.BytesIO(body), len(body)
    )


async def read_everywhere(addresses: StackAddresses) -> tuple[str, str, str]:
    """What :func:`write_everywhere` has left, from each of the three."""
    async with database(addresses.database_owner_url) as owner:
        in_postgres = await owner.fetchval("SELECT max(value) FROM kept")
    async with redis(addresses.redis_url) as client:
        in_valkey = await client.get("kept")
    assert addresses.s3_bucket
    in_s3 = await asyncio.to_thread(s3(addresses).get_object, addresses.s3_bucket, "kept")
    assert isinstance(in_valkey, bytes)
    return in_postgres, in_valkey.decode(), in_s3.data.decode()
