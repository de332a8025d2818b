"""Where documents, artifacts and code files live, under the hash of their content."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store knows of an object: its key and its size in bytes."""

    key: str
    size: int


class ObjectNotFound(Exception):
    """No object has that key."""


class ObjectStoreUnavailable(Exception):
    """The store did not answer within its bounded retries."""


class ObjectStore(Protocol):
    """A bucket of immutable objects. Keys are ``{owner}/{sha256}``."""

    async def put(self, key: str, data: bytes, content_type: str) -> StoredObject:
        """Store ``data`` under ``key``. Storing the same key again is harmless.

        Raises:
            ObjectStoreUnavailable: the store did not answer.
        """
        ...

    async def get(self, key: str) -> bytes:
        """Read a whole object; for artifacts, whose size the path policy caps.

        Raises:
            ObjectNotFound: nothing has that key.
            ObjectStoreUnavailable: the store did not answer.
        """
        ...

    def stream(self, key: str) -> AsyncGenerator[bytes]:
        """Read an object in chunks of at most 64 KiB; for downloads and archives.

        Raises:
            ObjectNotFound: nothing has that key.
            ObjectStoreUnavailable: the store did not answer.
        """
        ...

    async def delete_under(self, prefix: str, limit: int) -> int:
        """Delete at most ``limit`` objects whose keys begin so; how many. Harmless when repeated.

        Raises:
            ValueError: the prefix is not all of an owner, ``{owner}/``.
            ObjectStoreUnavailable: the store did not answer; some may be gone.
        """
        ...

    async def exists(self, key: str) -> bool:
        """Whether an object has that key.

        Raises:
            ObjectStoreUnavailable: the store did not answer.
        """
        ...
