"""One call warms a shared prefix; those made at the same time wait for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

WARM_SECONDS: Final = 240.0
"""Less than the cache's five minutes, which count from the start of a request."""

PATIENCE_SECONDS: Final = 30.0
"""Nobody waits longer than this for somebody else's call to begin."""


class PrefixGate:
    """Lets the first call with a prefix begin alone.

    A cache entry can be read only once the response that wrote it has begun
    (platform.claude.com, "Prompt caching"): of n calls made together, all n would pay for
    writing the prefix, at 25 times the price of reading it. So the others wait for the
    first one's first event, some seconds at most. This saves money and is no lock: in
    another process, or after :data:`PATIENCE_SECONDS`, a call simply pays.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._warm_until: dict[str, float] = {}
        self._warming: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def passing(self, prefix: str) -> AsyncIterator[Callable[[], None]]:
        """Hold a call with ``prefix`` until it can profit; empty means that it has none.

        Yields what the call has to say when its response has begun.
        """
        if not prefix:
            yield _nothing
            return
        leading = await self._wait(prefix)

        def begun() -> None:
            self._warm_until[prefix] = self._monotonic() + WARM_SECONDS
            self._forget_cold()
            if leading is not None:
                self._release(prefix, leading)

        try:
            yield begun
        finally:
            if leading is not None:
                self._release(prefix, leading)

    async def _wait(self, prefix: str) -> asyncio.Event | None:
        """Return what others wait for when this call has to lead, else None."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._warm_until.get(prefix, 0.0) <= self._monotonic():
                    warming = self._warming.get(prefix)
                    if warming is None:
                        self._warming[prefix] = asyncio.Event()
                        return self._warming[prefix]
                    await warming.wait()
        except TimeoutError:
            pass
        return None

    def _release(self, prefix: str, leading: asyncio.Event) -> None:
        leading.set()
        if self._warming.get(prefix) is leading:
            del self._warming[prefix]

    def _forget_cold(self) -> None:
        now = self._monotonic()
        for prefix in [known for known, until in self._warm_until.items() if until <= now]:
            del self._warm_until[prefix]


def _nothing() -> None:
    """Tell nobody: there is no prefix to share."""
