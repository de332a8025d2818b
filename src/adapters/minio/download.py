"""One object being read, block by block, over connections that may break."""

import hashlib
import threading
from collections.abc import Callable

import urllib3


class Download:
    """Reads an object forward. ``read_block`` blocks and belongs in a thread; ``close`` does not.

    Args:
        open_at: asks for the object from a byte offset on.
        block_bytes: how much one read returns at most, and so what is held in memory.
    """

    def __init__(
        self, open_at: Callable[[int], urllib3.BaseHTTPResponse], block_bytes: int
    ) -> None:
        self._open_at = open_at
        self._block_bytes = block_bytes
        self._position = 0
        self._digest = hashlib.sha256()
        self._response: urllib3.BaseHTTPResponse | None = None
        self._ended = False
        self._closed = False
        self._reading = threading.Lock()

    def read_block(self) -> bytes:
        """The next bytes, or none at the end. After an error, calling again goes on at the byte
        where the connection broke."""
        try:
            with self._reading:
                return b"" if self._ended else self._next_block()
        finally:
            # Whoever waited for this block may have gone while it was read.
            if self._closed:
                self.close()

    def hexdigest(self) -> str:
        """The SHA-256 of what has been read so far."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Free the connection: now, or as soon as a read still under way in its thread ends."""
        # Set before the lock is tried: a reader that holds it looks here after letting it go.
        self._closed = True
        if self._reading.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._reading.release()

    def _next_block(self) -> bytes:
        try:
            if self._response is None:
                self._response = self._open_at(self._position)
            block = self._response.read(self._block_bytes)
        except BaseException:
            self._release()
            raise
        self._position += len(block)
        self._digest.update(block)
        if not block:
            self._ended = True
            self._release()
        return block

    def _release(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            # What is not read to its end is cut off: cheaper than reading on.
            response.close()
            response.release_conn()
