"""Objects in a dictionary."""

import hashlib
import re
from collections.abc import AsyncGenerator

from application.ports.object_store import ObjectNotFound, ObjectStoreUnavailable, StoredObject

_CHUNK_BYTES = 64 * 1024


class InMemoryObjectStore:
    """A bucket of ``objects`` that can be told to fail."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.content_types: dict[str, str] = {}
        self._failures = 0

    def fail_next(self, times: int) -> None:
        """Let that many calls find the store unavailable."""
        self._failures = times

    async def put(self, key: str, data: bytes, content_type: str) -> StoredObject:
        self._answer()
        name = key.rpartition("/")[2]
        if re.fullmatch(r"[0-9a-f]{64}", name) and hashlib.sha256(data).hexdigest() != name:
            raise ValueError(f"The key {key} names the hash of another content.")
        self.objects[key] = data
        self.content_types[key] = content_type
        return StoredObject(key=key, size=len(data))

    async def get(self, key: str) -> bytes:
        self._answer()
        if key not in self.objects:
            raise ObjectNotFound(f"No object has the key {key}.")
        return self.objects[key]

    async def stream(self, key: str) -> AsyncGenerator[bytes]:
        data = await self.get(key)
        for start in range(0, len(data), _CHUNK_BYTES):
            yield data[start : start + _CHUNK_BYTES]

    async def delete_under(self, prefix: str, limit: int) -> int:
        self._answer()
        if not re.fullmatch(r"[0-9a-f-]{36}/", prefix):
            raise ValueError(f"{prefix!r} is not all of an owner.")
        doomed = sorted(key for key in self.objects if key.startswith(prefix))[:limit]
        for key in doomed:
            del self.objects[key], self.content_types[key]
        return len(doomed)

    async def exists(self, key: str) -> bool:
        self._answer()
        return key in self.objects

    def _answer(self) -> None:
        if self._failures:
            self._failures -= 1
            raise ObjectStoreUnavailable("The object store did not answer.")
