"""The object store on a real S3 server."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace

import psutil
import pytest
from minio import Minio

from adapters.minio import (
    MinioObjectStore,
    ObjectDamaged,
    ObjectStoreProbe,
    ObjectStoreRefused,
)
from application.ports.health import ProbeFailed
from application.ports.object_store import ObjectStoreUnavailable
from entrypoints.local_stack import StackAddresses
from tests.contracts.object_store_contract import PDF, ObjectStoreContract, content, key_of, opened


def opened_at(stack: StackAddresses, bucket: str | None = None) -> MinioObjectStore:
    return MinioObjectStore(
        stack.s3_endpoint or "",
        stack.s3_access_key or "",
        stack.s3_secret_key or "",
        bucket or stack.s3_bucket or "",
    )


@pytest.fixture(scope="module")
async def store(stack: StackAddresses) -> AsyncIterator[MinioObjectStore]:
    store = opened_at(stack)
    await store.ensure_bucket()
    yield store
    await store.close()


class TestMinioObjectStore(ObjectStoreContract):
    async def test_the_bucket_can_be_asked_for_again(self, store: MinioObjectStore) -> None:
        await store.ensure_bucket()

        assert await store.bucket_exists()

    async def test_an_object_of_many_parts_is_whole(self, store: MinioObjectStore) -> None:
        data = content(12 * 1024 * 1024 + 1)
        await store.put(key_of(data), data, PDF)

        assert await store.get(key_of(data)) == data

    async def test_a_store_keeps_few_connections_open(
        self, store: MinioObjectStore, stack: StackAddresses
    ) -> None:
        data = content(5_000_000)
        await store.put(key_of(data), data, PDF)
        for _ in range(50):
            async with opened(store, key_of(data)) as chunks:
                await anext(chunks)

        port = int((stack.s3_endpoint or "").rsplit(":", 1)[1])
        connections = psutil.Process().net_connections("tcp")
        assert sum(c.raddr.port == port for c in connections if c.raddr) <= 16

    async def test_content_that_changed_under_its_key_is_not_served(
        self, store: MinioObjectStore, stack: StackAddresses
    ) -> None:
        data = content(200_000)
        key = key_of(data)
        Minio(
            (stack.s3_endpoint or "").removeprefix("http://"),
            stack.s3_access_key,
            stack.s3_secret_key,
            secure=False,
        ).put_object(stack.s3_bucket or "", key, io.BytesIO(data[:-1] + b"!"), len(data))

        with pytest.raises(ObjectDamaged):
            await store.get(key)
        with pytest.raises(ObjectDamaged):
            async for _ in store.stream(key):
                pass

    @pytest.mark.parametrize(
        "wrong", [{"s3_secret_key": "wrong-secret-wrong-secret"}, {"s3_access_key": "nobody"}]
    )
    async def test_wrong_credentials_are_refused(
        self, stack: StackAddresses, store: MinioObjectStore, wrong: dict[str, str]
    ) -> None:
        data = content(10)
        await store.put(key_of(data), data, PDF)
        stranger = opened_at(replace(stack, **wrong))

        for call in (
            stranger.get(key_of(data)),
            stranger.put(key_of(data), data, PDF),
            stranger.exists(key_of(data)),
            stranger.ensure_bucket(),
        ):
            with pytest.raises(ObjectStoreRefused):
                await call
        await stranger.close()

    async def test_another_bucket_is_not_there_until_it_is_made(
        self, stack: StackAddresses
    ) -> None:
        data, store = content(10), opened_at(stack, "made-by-a-test")
        with pytest.raises(ObjectStoreUnavailable):
            await store.get(key_of(data))
        with pytest.raises(ProbeFailed, match="no such bucket"):
            await ObjectStoreProbe(store).check()

        await store.ensure_bucket()

        assert await ObjectStoreProbe(store).check() == "S3"
        await store.close()
