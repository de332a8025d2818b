"""The object store's health check."""

import asyncio

from adapters.minio.object_store import MinioObjectStore, ObjectStoreRefused
from application.ports.health import ProbeFailed
from application.ports.object_store import ObjectStoreUnavailable


class ObjectStoreProbe:
    """Asks for the bucket: one request without content.

    Args:
        store: what is checked.
        timeout_seconds: how long an answer may take.
    """

    name = "object_store"
    required = True

    def __init__(self, store: MinioObjectStore, timeout_seconds: float = 2.0) -> None:
        self._store = store
        self._timeout_seconds = timeout_seconds
        self._asking: asyncio.Future[bool] | None = None

    async def check(self) -> str:
        """A public word about the store.

        Raises:
            ProbeFailed: it does not answer in time, or refuses, or has no such bucket.
        """
        # A store that hangs keeps a thread until the request times out, longer than we wait
        # here. Checks that come meanwhile share that request, so that they hold one thread at
        # most between them.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._store.bucket_exists())
            self._asking.add_done_callback(_outcome_noted)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                exists = await asyncio.shield(self._asking)
        except ObjectStoreRefused as error:
            raise ProbeFailed("The object store refuses our credentials.") from error
        except (ObjectStoreUnavailable, TimeoutError) as error:
            raise ProbeFailed("The object store does not answer.") from error
        if not exists:
            raise ProbeFailed("The object store has no such bucket.")
        return "S3"


def _outcome_noted(asked: asyncio.Future[bool]) -> None:
    # Nobody may be waiting any more; an unread exception would be logged as lost.
    if not asked.cancelled():
        asked.exception()
