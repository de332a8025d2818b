"""The ObjectStore port over the ``minio`` SDK."""

import asyncio
import functools
import hashlib
import io
import random
import re
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Final, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from adapters.minio.download import Download
from application.ports.object_store import ObjectNotFound, ObjectStoreUnavailable, StoredObject

CHUNK_BYTES: Final = 64 * 1024

_T = TypeVar("_T")
_BLOCK_CHUNKS: Final = 4  # chunks read for one hop to a thread and back

_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=5.0)
"""Seconds. The first also bounds the sending of one body; the SDK sends at most 5 MiB in one, so
that is 1 MiB/s."""

_FIRST_BACKOFF_SECONDS: Final = 0.05
_LONGEST_BACKOFF_SECONDS: Final = 1.0

_MISSING = frozenset({"NoSuchKey", "NoSuchObject"})
_ALREADY_OURS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OWNER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/")


class ObjectStoreRefused(ObjectStoreUnavailable):
    """The store answered, and refuses: wrong credentials, no such bucket, a forbidden action.
    Settings must change; waiting does not help."""


class ObjectDamaged(Exception):
    """What the store returned is not what its key says was stored."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"The object {key} does not have the content its key names.")


class MinioObjectStore:
    """One bucket.

    Args:
        endpoint: the server's ``http://`` or ``https://`` URL, without a path.
        access_key: who we are.
        secret_key: our proof.
        bucket: where everything lives.
        region: S3's region of the bucket.
        concurrency: how many calls may be under way at once; others wait their turn.
        retry_seconds: no attempt begins later than this after the first. One that does begin may
            take five seconds to connect and five between two bytes.

    Raises:
        ValueError: ``endpoint`` is not such a URL.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        region: str = "us-east-1",
        concurrency: int = 8,
        retry_seconds: float = 5.0,
    ) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/"):
            raise ValueError("The object store's endpoint must be an http(s) URL without a path.")
        if "@" in url.netloc:
            raise ValueError("The object store's endpoint must not carry credentials.")
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, maxsize=concurrency, retries=False)
        self._client = Minio(
            url.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=url.scheme == "https",
            region=region,
            http_client=self._http,
        )
        self._bucket = bucket
        self._region = region
        self._retry_seconds = retry_seconds
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="object-store")

    async def put(self, key: str, data: bytes, content_type: str) -> StoredObject:
        """Store ``data`` under ``key``. Storing the same key again is harmless.

        Raises:
            ValueError: the key names another content's hash.
            ObjectStoreUnavailable: the store did not answer, or refused.
        """
        await self._with_retries(functools.partial(self._put, key, data, content_type))
        return StoredObject(key=key, size=len(data))

    async def get(self, key: str) -> bytes:
        """Read a whole object.

        Raises:
            ObjectNotFound: nothing has that key.
            ObjectDamaged: the content is not what the key names.
            ObjectStoreUnavailable: the store did not answer, or refused.
        """
        return await self._with_retries(functools.partial(self._get, key))

    async def stream(self, key: str) -> AsyncGenerator[bytes]:
        """Read an object in chunks of at most 64 KiB.

        The first step of the iteration is the first to ask the store, and to raise. An iteration
        left early must be closed (``contextlib.aclosing``) to free its connection at once.

        Raises:
            ObjectNotFound: nothing has that key.
            ObjectDamaged: the content is not what the key names; raised instead of its last
                chunk, so that nobody takes the rest for the whole.
            ObjectStoreUnavailable: the store did not answer, or refused.
        """
        download = Download(functools.partial(self._open, key), CHUNK_BYTES * _BLOCK_CHUNKS)
        expected, held_back = _named_hash(key), b""
        try:
            while block := await self._with_retries(download.read_block):
                pieces = [block[i : i + CHUNK_BYTES] for i in range(0, len(block), CHUNK_BYTES)]
                if held_back:
                    yield held_back
                for piece in pieces[:-1]:
                    yield piece
                held_back = pieces[-1]
            if expected is not None and download.hexdigest() != expected:
                raise ObjectDamaged(key)
            if held_back:
                yield held_back
        finally:
            download.close()

    async def delete_under(self, prefix: str, limit: int) -> int:
        """Delete at most ``limit`` objects whose keys begin so; how many. Harmless when repeated.

        Raises:
            ValueError: the prefix is not all of an owner, ``{owner}/``.
            ObjectStoreUnavailable: the store did not answer, or refused; some may be gone.
        """
        if not _OWNER.fullmatch(prefix):
            raise ValueError(f"{prefix!r} is not all of an owner.")
        return await self._with_retries(functools.partial(self._delete_under, prefix, limit))

    async def exists(self, key: str) -> bool:
        """Whether an object has that key.

        Raises:
            ObjectStoreUnavailable: the store did not answer, or refused.
        """
        try:
            await self._with_retries(lambda: self._client.stat_object(self._bucket, key))
        except ObjectNotFound:
            return False
        return True

    async def ensure_bucket(self) -> None:
        """Make the bucket unless it is there; safe to run in many processes at once.

        Raises:
            ObjectStoreUnavailable: the store did not answer, or refused.
        """
        await self._with_retries(self._make_bucket)

    async def bucket_exists(self) -> bool:
        """One attempt to ask for the bucket, for health checks.

        Raises:
            ObjectStoreUnavailable: the store did not answer, or refused.
        """
        try:
            return await self._in_thread(lambda: self._client.bucket_exists(self._bucket))
        except (MinioException, HTTPError, OSError) as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        """Wait for the calls under way, then close the connections. Harmless when repeated."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._http.clear()

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        expected = _named_hash(key)
        if expected is not None and hashlib.sha256(data).hexdigest() != expected:
            raise ValueError(f"The key {key} names the hash of another content.")
        self._client.put_object(
            self._bucket,
            key,
            io.BytesIO(data),
            len(data),
            content_type,
            # Parts in turn: our own threads are the only limit on what runs at once.
            num_parallel_uploads=1,
        )

    def _delete_under(self, prefix: str, limit: int) -> int:
        listed = self._client.list_objects(self._bucket, prefix=prefix, recursive=True)
        names = [each.object_name for each in islice(listed, limit) if each.object_name]
        if not names:
            return 0
        doomed = [DeleteObject(name) for name in names]
        # It does nothing until it is asked for what could not be deleted.
        for failure in self._client.remove_objects(self._bucket, doomed):
            raise ObjectStoreUnavailable(
                f"The object store did not delete {failure.name}: {failure.code}."
            )
        return len(names)

    def _get(self, key: str) -> bytes:
        response = self._open(key, 0)
        try:
            data = response.read()
        finally:
            response.close()
            response.release_conn()
        expected = _named_hash(key)
        if expected is not None and hashlib.sha256(data).hexdigest() != expected:
            raise ObjectDamaged(key)
        return data

    def _open(self, key: str, offset: int) -> urllib3.BaseHTTPResponse:
        return self._client.get_object(self._bucket, key, offset=offset)

    def _make_bucket(self) -> None:
        if self._client.bucket_exists(self._bucket):
            return
        try:
            self._client.make_bucket(self._bucket, self._region)
        except S3Error as error:
            if error.code not in _ALREADY_OURS:
                raise

    async def _with_retries(self, work: Callable[[], _T]) -> _T:
        deadline = time.monotonic() + self._retry_seconds
        longest = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                return await self._in_thread(work)
            except (MinioException, HTTPError, OSError) as error:
                if isinstance(error, S3Error) and error.code in _MISSING:
                    raise ObjectNotFound(f"No object has the key {error.object_name}.") from error
                # Full jitter, so that many clients do not come back in step.
                pause = random.uniform(0, longest)
                if not _transient(error) or time.monotonic() + pause > deadline:
                    raise _unavailable(error) from error
            await asyncio.sleep(pause)
            longest = min(2 * longest, _LONGEST_BACKOFF_SECONDS)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _named_hash(key: str) -> str | None:
    name = key.rpartition("/")[2]
    return name if _SHA256.fullmatch(name) else None


def _transient(error: Exception) -> bool:
    # Not reached, cut off, or silent.
    if isinstance(error, HTTPError | OSError):
        return True
    status = _status(error)
    return status is not None and (status >= 500 or status in (408, 429))


def _status(error: Exception) -> int | None:
    if isinstance(error, S3Error):
        return error.response.status
    if isinstance(error, ServerError):
        return error.status_code
    if isinstance(error, InvalidResponseError):
        # The SDK gives the status of an answer that is not XML (a proxy's) only like this.
        with suppress(AttributeError, TypeError, ValueError):
            return int(error._code)
    return None


def _unavailable(error: Exception) -> ObjectStoreUnavailable:
    if _transient(error):
        return ObjectStoreUnavailable(f"The object store did not answer: {type(error).__name__}.")
    code = error.code if isinstance(error, S3Error) else type(error).__name__
    return ObjectStoreRefused(
        f"The object store refused: {code}. Check its endpoint, credentials and bucket."
    )
