"""What is fetched from a provider: bounded in time and size, and remembered for a while."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

import httpx
import msgspec
import structlog

from application.ports.clock import Clock
from domain.identity.linked_identity import ProviderUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

MAX_ANSWER_BYTES: Final = 256 * 1024
"""Google's documents have 2 to 4 KiB."""

REFETCH: Final = timedelta(minutes=1)
"""How often an unknown key may be asked for anew: whoever makes one up gains nothing by it."""

_FRESH: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(days=1)
"""For how long what was fetched is used while the provider does not answer."""

_PAUSE: Final = timedelta(seconds=5)
"""For how long nothing is asked after an answer that failed: those who wait would queue up."""


async def fetched(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    seconds: float,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: httpx.Auth | None = None,
) -> tuple[int, bytes]:
    """The status and the body of an answer that is whole, plain, and no redirect.

    Raises:
        ProviderUnavailable: there was none of that kind within the time.
    """
    try:
        async with (
            asyncio.timeout(seconds),
            http.stream(
                method,
                url,
                data=dict(form) if form else None,
                # A compressed answer can be a thousand times longer than what was counted.
                headers={"Accept": "application/json", "Accept-Encoding": "identity"}
                | dict(headers or {}),
                auth=auth,
            ) as answer,
        ):
            if answer.has_redirect_location or "content-encoding" in answer.headers:
                raise unavailable(url, "redirected or compressed")
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise unavailable(url, "too long")
            return answer.status_code, bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        raise unavailable(url, type(error).__name__) from error


def decoded(url: str, body: bytes, type_: type[T]) -> T:
    """A body as what it should be.

    Raises:
        ProviderUnavailable: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    # RecursionError: a document nested deeper than anybody reads.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise unavailable(url, f"unreadable: {type(error).__name__}") from error


def unavailable(url: str, reason: str) -> ProviderUnavailable:
    """The error for a person; what happened is in the log."""
    log.warning("identity provider away", url=url.partition("?")[0], reason=reason)
    return ProviderUnavailable("The other side did not answer as it should. Try again shortly.")


class Remembered(Generic[T]):
    """Something fetched once an hour, by one caller while the others wait.

    What is remembered is used for up to a day where it cannot be fetched anew.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._asked_at: datetime | None = None
        self._fetched_at: datetime | None = None
        self._failure: ProviderUnavailable | None = None

    async def value(self) -> T:
        """What is known.

        Raises:
            ProviderUnavailable: nothing is, and it could not be fetched.
        """
        async with self._lock:
            if self._value is not None and self._younger(self._fetched_at, _FRESH):
                return self._value
            return await self._anew()

    async def newer(self) -> T:
        """What is known, fetched anew unless that was tried within :data:`REFETCH`.

        Raises:
            ProviderUnavailable: nothing is known, and it could not be fetched.
        """
        async with self._lock:
            if self._value is not None and self._younger(self._asked_at, REFETCH):
                return self._value
            return await self._anew()

    async def _anew(self) -> T:
        if self._failure is not None and self._younger(self._asked_at, _PAUSE):
            return self._older(self._failure)
        self._asked_at = self._clock.now()
        try:
            self._value = await self._fetch()
        except ProviderUnavailable as failure:
            self._failure = failure
            return self._older(failure)
        self._fetched_at, self._failure = self._asked_at, None
        return self._value

    def _older(self, failure: ProviderUnavailable) -> T:
        if self._value is not None and self._younger(self._fetched_at, _LONGEST):
            return self._value
        raise failure

    def _younger(self, moment: datetime | None, age: timedelta) -> bool:
        return moment is not None and abs(self._clock.now() - moment) < age
