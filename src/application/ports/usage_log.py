"""The usage log: how rows of it travel from the process that answered to where they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.billing.days import ALWAYS, Days
from domain.keys.usage_log import LoggedRequest, Window
from domain.shared.ids import ApiKeyId


class UsageStreamAway(Exception):
    """The stream does not answer. What was to be appended may be there or not."""


class UsageStreamFull(Exception):
    """The stream holds as much as it may that nobody has drained; nothing was appended."""


class UsageSink(Protocol):
    """Where a process that answers requests puts the rows of its log."""

    async def append(self, rows: Sequence[LoggedRequest]) -> None:
        """Append all rows, and count them for the live figure, or do neither.

        Raises:
            UsageStreamAway: no answer came.
            UsageStreamFull: there is no room.
        """
        ...


class LiveCounts(Protocol):
    """The live figure of a key: how many requests of it have been appended of late."""

    async def of(self, key_id: ApiKeyId, now: datetime) -> Mapping[Window, int]:
        """Requests in this minute, hour and day of India's clock.

        A row that was appended twice, because an answer got lost, counts twice here.

        Raises:
            UsageStreamAway: no answer came.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenRow:
    """An entry that this process is to keep. ``row`` is None when it cannot be read."""

    entry: str
    row: LoggedRequest | None


class UsageStream(Protocol):
    """What has been appended and not settled. Each entry is one process's at a time."""

    async def take(self, limit: int) -> Sequence[TakenRow]:
        """Entries for this process: first those of processes that have died over them.

        Raises:
            UsageStreamAway: no answer came.
        """
        ...

    async def settle(self, entries: Sequence[str]) -> None:
        """Be done with entries that are kept. Settling again changes nothing.

        Raises:
            UsageStreamAway: no answer came; they will be taken again.
        """
        ...

    async def set_aside(self, entries: Sequence[str]) -> None:
        """Move entries that cannot be kept to where a person may look at them.

        Raises:
            UsageStreamAway: no answer came; they will be taken again.
        """
        ...

    async def backlog(self) -> int:
        """How many entries are not settled.

        Raises:
            UsageStreamAway: no answer came.
        """
        ...


class UsageLogWriter(Protocol):
    """Keeps rows for everybody."""

    async def keep(self, rows: Sequence[LoggedRequest]) -> int:
        """Keep the rows that are not there yet and add them to their hours' sums, in one commit.

        Returns how many were new.

        Raises:
            DatabaseUnavailable: nothing is known of what was kept.
            UnkeepableRows: the database refuses one of them, and so keeps none.
        """
        ...

    async def prepare(self, keep_months: int) -> int:
        """Make room for this month and the next two, and drop months before the last so many.

        Safe to repeat, and at once from several processes. Returns how many were dropped.

        Raises:
            DatabaseUnavailable: it did not answer.
        """
        ...


class UnkeepableRows(Exception):
    """The database refuses a row for what is in it."""


class StatusClass(StrEnum):
    """The first digit of a status."""

    SUCCESS = "2xx"
    REDIRECTION = "3xx"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"

    @property
    def hundreds(self) -> int:
        """The digit."""
        return int(self.value[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """Which requests; None is every one."""

    days: Days = ALWAYS
    key_id: ApiKeyId | None = None
    status: StatusClass | None = None
    route: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRequest:
    """A row of the log, and what the run that it started was settled for so far."""

    request: LoggedRequest
    tokens: int
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPosition:
    """Behind which row a listing goes on."""

    at: datetime
    id: UUID


class SumSpan(StrEnum):
    """How long what is summed lasts."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSum:
    """What an hour or a day came to; ``begins`` is its first moment, in UTC.

    ``tokens`` and ``credits`` are those of keys' steps settled in it, and None when only some
    routes or statuses are summed: a settlement has neither.
    """

    begins: datetime
    requests: int
    succeeded: int
    client_errors: int
    server_errors: int
    latency_us: int
    tokens: int | None
    credits: int | None


class UsageLog(Protocol):
    """The person's log."""

    async def page(
        self,
        only: RequestFilter,
        *,
        after: LogPosition | None,
        limit: int,
        oldest_first: bool = False,
    ) -> Sequence[KeptRequest]:
        """Rows, newest first unless asked otherwise."""
        ...

    async def sums(
        self, only: RequestFilter, span: SumSpan, *, before: datetime | None, limit: int
    ) -> Sequence[RequestSum]:
        """Sums that begin before a moment, newest first, out of the hours' sums."""
        ...


class UsageLogMetrics(Protocol):
    """Figures of the usage log. Never raises, never waits."""

    def waiting(self, rows: int) -> None:
        """So many rows wait in this process to be appended."""
        ...

    def lost(self, rows: int) -> None:
        """So many rows were given up: there was no room for them any more."""
        ...

    def backlog(self, entries: int) -> None:
        """So many entries of the stream are not settled."""
        ...

    def drained(self, outcome: str, rows: int) -> None:
        """So many rows were ``kept``, ``repeated`` or ``set_aside``."""
        ...
