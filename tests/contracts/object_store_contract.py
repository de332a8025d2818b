"""What every ``ObjectStore`` keeps. Subclasses provide the ``store`` fixture."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast
from uuid import UUID, uuid4

import pytest

from application.ports.object_store import ObjectNotFound, ObjectStore, StoredObject

CHUNK_LIMIT = 64 * 1024
PDF = "application/pdf"


def content(size: int) -> bytes:
    """Bytes that no compression or cache can shorten."""
    return secrets.token_bytes(size)


def key_of(data: bytes, owner: str = "owner") -> str:
    """The key under which that content belongs."""
    return f"{owner}/{hashlib.sha256(data).hexdigest()}"


def opened(store: ObjectStore, key: str) -> aclosing[AsyncGenerator[bytes]]:
    """A stream that is closed at the end of the block."""
    return aclosing(cast(AsyncGenerator[bytes], store.stream(key)))


class ObjectStoreContract:
    """Run against the fake and against a real server."""

    async def test_what_is_put_can_be_read(self, store: ObjectStore) -> None:
        data = content(1000)
        key = key_of(data)

        stored = await store.put(key, data, PDF)

        assert stored == StoredObject(key=key, size=1000)
        assert await store.get(key) == data

    async def test_an_empty_object_is_an_object(self, store: ObjectStore) -> None:
        await store.put(key_of(b""), b"", PDF)

        assert await store.get(key_of(b"")) == b""
        async with opened(store, key_of(b"")) as chunks:
            assert [chunk async for chunk in chunks] == []

    async def test_putting_the_same_again_is_harmless(self, store: ObjectStore) -> None:
        data = content(1000)
        first = await store.put(key_of(data), data, PDF)
        second = await store.put(key_of(data), data, PDF)

        assert first == second
        assert await store.get(key_of(data)) == data

    async def test_many_may_put_the_same_at_once(self, store: ObjectStore) -> None:
        data = content(100_000)

        await asyncio.gather(*(store.put(key_of(data), data, PDF) for _ in range(32)))

        assert await store.get(key_of(data)) == data

    async def test_a_key_that_names_another_content_is_refused(self, store: ObjectStore) -> None:
        key = key_of(content(10))

        with pytest.raises(ValueError, match="hash of another content"):
            await store.put(key, b"not it", PDF)

        assert not await store.exists(key)

    async def test_a_key_without_a_hash_takes_any_content(self, store: ObjectStore) -> None:
        await store.put("owner/readme", b"text", "text/plain")

        assert await store.get("owner/readme") == b"text"

    async def test_only_what_was_put_exists(self, store: ObjectStore) -> None:
        data = content(10)
        await store.put(key_of(data), data, PDF)

        assert await store.exists(key_of(data))
        assert not await store.exists(key_of(content(10)))

    async def test_reading_a_missing_key_says_so(self, store: ObjectStore) -> None:
        with pytest.raises(ObjectNotFound):
            await store.get(key_of(content(10)))

    async def test_streaming_a_missing_key_says_so_at_the_first_step(
        self, store: ObjectStore
    ) -> None:
        async with opened(store, key_of(content(10))) as chunks:
            with pytest.raises(ObjectNotFound):
                await anext(chunks)

    async def test_what_is_an_owners_goes_in_batches_and_nothing_else(
        self, store: ObjectStore
    ) -> None:
        owner, other = uuid4(), uuid4()
        for number in range(5):
            await store.put(f"{owner}/{number}", b"theirs", "text/plain")
        await store.put(f"{other}/0", b"another's", "text/plain")
        assert await store.delete_under(f"{owner}/", 3) == 3
        assert await store.delete_under(f"{owner}/", 3) == 2
        assert await store.delete_under(f"{owner}/", 3) == 0
        assert not any([await store.exists(f"{owner}/{number}") for number in range(5)])
        assert await store.exists(f"{other}/0")

    @pytest.mark.parametrize("prefix", ["", "/", "a", f"{UUID(int=1)}", f"{UUID(int=1)}/a/"])
    async def test_what_is_not_all_of_an_owner_is_never_deleted(
        self, store: ObjectStore, prefix: str
    ) -> None:
        with pytest.raises(ValueError, match="owner"):
            await store.delete_under(prefix, 3)

    async def test_owners_do_not_share_keys(self, store: ObjectStore) -> None:
        data = content(10)
        await store.put(key_of(data, "one"), data, PDF)

        assert not await store.exists(key_of(data, "two"))

    @pytest.mark.parametrize("size", [1, CHUNK_LIMIT, CHUNK_LIMIT + 1, 5_000_000])
    async def test_a_stream_is_the_object_in_bounded_chunks(
        self, store: ObjectStore, size: int
    ) -> None:
        data = content(size)
        await store.put(key_of(data), data, PDF)

        async with opened(store, key_of(data)) as stream:
            chunks = [chunk async for chunk in stream]

        assert b"".join(chunks) == data
        assert all(0 < len(chunk) <= CHUNK_LIMIT for chunk in chunks)

    async def test_streams_left_early_leave_the_store_usable(self, store: ObjectStore) -> None:
        data = content(5_000_000)
        await store.put(key_of(data), data, PDF)

        for _ in range(20):
            async with opened(store, key_of(data)) as chunks:
                assert data.startswith(await anext(chunks))

        assert await store.get(key_of(data)) == data

    async def test_streams_can_run_side_by_side(self, store: ObjectStore) -> None:
        data = content(1_000_000)
        await store.put(key_of(data), data, PDF)

        async def whole() -> bytes:
            async with opened(store, key_of(data)) as chunks:
                return b"".join([chunk async for chunk in chunks])

        assert await asyncio.gather(*(whole() for _ in range(20))) == [data] * 20
