"""Core statements compiled once, run on a few asyncpg connections, each statement its own tenant.

A statement names its person and selects at once, and is a transaction of its own::

    WITH tenant AS MATERIALIZED (SELECT set_config('app.user_id', $1, true) AS id)
    SELECT … FROM projects WHERE … AND (SELECT id FROM tenant) IS NOT NULL

The third argument of ``set_config`` bounds it to the transaction, which ends with the statement,
so a connection goes back to the pool as nobody's, and needs no reset. PostgreSQL works the
sub-select out before it reads a row, because the condition depends on none; were that ever to
change, row-level security would see nobody, and show nothing. A connection on which anything but
an ordinary answer came, a cancellation among them, is thrown away.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import msgspec
from sqlalchemy import Select, Text, Uuid, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

from adapters.postgres.engine import STATEMENT_SECONDS, with_retries
from application.ports.persistence import DatabaseUnavailable

_RECYCLE_SECONDS: Final = 1_800.0
_CONNECT_SECONDS: Final = 5.0
_WAIT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0

USER: Final = bindparam("user_id", type_=Uuid)
"""The person whose statement it is: for its conditions, beside the policy."""

DIGESTS: Final = bindparam("digests", type_=Text)
"""Digests of keys with commas between them: who can name one holds the secret."""


# SQLAlchemy leaves its dialects without annotations.
_DIALECT: Final = asyncpg_dialect()  # type: ignore[no-untyped-call]


class ReadRow(asyncpg.Record):
    """A row whose columns are attributes too, as the mappers of Core's rows want it."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True, slots=True)
class CompiledRead:
    """A statement's text, and its parameters in their places."""

    sql: str
    names: tuple[str, ...]
    fixed: Mapping[str, Any]

    def arguments(self, given: Mapping[str, Any]) -> list[Any]:
        """What is given, and what is the statement's own, in order."""
        fixed = self.fixed
        return [given[name] if name in given else fixed[name] for name in self.names]


def as_tenant(statement: Select[Any]) -> CompiledRead:
    """The statement as the person that its parameter ``user_id`` names."""
    return _compiled(statement, "app.user_id", cast(USER, Text))


def as_presenter(statement: Select[Any]) -> CompiledRead:
    """The statement as nobody, who names the digests in its parameter ``digests``."""
    return _compiled(statement, "app.key_digests", cast(DIGESTS, Text))


def _compiled(statement: Select[Any], setting: str, value: Any) -> CompiledRead:
    set_ = func.set_config(setting, value, True).label("id")
    tenant = select(set_).cte("tenant").prefix_with("MATERIALIZED", dialect="postgresql")
    gated = statement.where(select(tenant.c.id).scalar_subquery().is_not(None))
    compiled: Any = gated.compile(dialect=_DIALECT)
    return CompiledRead(
        sql=str(compiled), names=tuple(compiled.positiontup or ()), fixed=compiled.params
    )


class ReadPool:
    """A few connections for single statements. Opens them when they are needed.

    One timer watches over every statement, and over everybody who waits for a connection: one
    each would cost a small read an eighth of its time.

    Args:
        url: ``postgresql://…`` as the role whose policies are to hold.
        size: connections at most.
        application: what ``pg_stat_activity`` shows.
        statement_seconds: how long a statement may take.
        wait_seconds: how long a connection is waited for.
    """

    def __init__(
        self,
        url: str,
        size: int,
        application: str,
        *,
        statement_seconds: float = STATEMENT_SECONDS,
        wait_seconds: float = _WAIT_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._size = size
        self._application = application
        self._statement_seconds = statement_seconds
        self._wait_seconds = wait_seconds
        self._look_seconds = min(_LOOK_SECONDS, statement_seconds, wait_seconds)
        self._now = now
        self._idle: list[_Connection] = []
        self._waiters: deque[tuple[asyncio.Future[_Connection | None], float]] = deque()
        self._busy: set[_Connection] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._open = 0
        self._closed = False

    async def fetch(self, read: CompiledRead, **given: Any) -> Sequence[Any]:
        """The statement's rows.

        Raises:
            DatabaseUnavailable: the database stays away for some seconds.
        """
        return await with_retries(lambda: self._fetch(read, read.arguments(given)))

    async def first(self, read: CompiledRead, **given: Any) -> Any | None:
        """The statement's first row, or None."""
        arguments = read.arguments(given)
        rows = await with_retries(lambda: self._fetch(read, arguments))
        return rows[0] if rows else None

    async def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().raw.close()

    async def _fetch(self, read: CompiledRead, arguments: Sequence[Any]) -> Sequence[Any]:
        connection = self._idle.pop() if self._idle else await self._another()
        self._busy.add(connection)
        connection.since = self._watched()
        try:
            statement = connection.statements.get(read.sql)
            if statement is None:
                statement = await connection.raw.prepare(read.sql)
                connection.statements[read.sql] = statement
            rows = await statement.fetch(*arguments)
        except Exception as error:
            self._discard(connection)
            if connection.overdue:
                # Not tried again: whatever takes so long does so the next time too.
                raise DatabaseUnavailable(
                    "The database takes too long. Try again shortly."
                ) from error
            if not isinstance(error, asyncpg.InternalClientError):
                raise
            # It was told to end while it was idle, and does not know yet.
            raise ConnectionResetError("The connection was ended by the server.") from error
        except BaseException:
            # Whatever it was: what a connection is in the middle of is nobody else's.
            self._discard(connection)
            raise
        self._give_back(connection)
        return rows

    async def _another(self) -> "_Connection":
        """A connection that comes back, or a new one."""
        while True:
            if self._open < self._size:
                return await self._opened()
            turn: asyncio.Future[_Connection | None] = asyncio.get_running_loop().create_future()
            self._waiters.append((turn, self._watched()))
            try:
                connection = await turn
            except asyncio.CancelledError:
                # It may have been handed one in this very moment.
                if turn.done() and not turn.cancelled() and turn.exception() is None:
                    handed = turn.result()
                    if handed is not None:
                        self._give_back(handed)
                    else:
                        self._wake(None)
                raise
            if connection is not None:
                return connection

    async def _opened(self) -> "_Connection":
        self._open += 1
        try:
            raw = await asyncpg.connect(
                self._url,
                timeout=_CONNECT_SECONDS,
                record_class=ReadRow,
                server_settings={
                    "application_name": self._application,
                    "timezone": "UTC",
                    "statement_timeout": str(int(self._statement_seconds * 1_000)),
                },
            )
            try:
                await raw.set_type_codec(
                    "jsonb",
                    schema="pg_catalog",
                    encoder=lambda value: msgspec.json.encode(value).decode(),
                    decoder=msgspec.json.decode,
                )
            except BaseException:
                raw.terminate()
                raise
        except BaseException:
            self._open -= 1
            self._wake(None)
            raise
        return _Connection(raw=raw, until=self._now() + _RECYCLE_SECONDS, statements={})

    def _watched(self) -> float:
        """The loop's time, after which somebody looks whether what begins now has ended."""
        loop = asyncio.get_running_loop()
        if self._watch is None:
            self._watch = loop.call_later(self._look_seconds, self._look)
        return loop.time()

    def _look(self) -> None:
        """End statements that take too long, and tell those who have waited too long."""
        self._watch = None
        now = asyncio.get_running_loop().time()
        for connection in self._busy:
            if now - connection.since >= self._statement_seconds and not connection.overdue:
                connection.overdue = True
                connection.raw.terminate()
        while self._waiters:
            turn, since = self._waiters[0]
            if not turn.done():
                if now - since < self._wait_seconds:
                    break
                turn.set_exception(TimeoutError("No connection became free in time."))
            self._waiters.popleft()
        if self._busy or self._waiters:
            self._watched()

    def _give_back(self, connection: "_Connection") -> None:
        self._busy.discard(connection)
        if self._closed or self._now() > connection.until:
            self._discard(connection)
        elif not self._wake(connection):
            self._idle.append(connection)

    def _discard(self, connection: "_Connection") -> None:
        self._busy.discard(connection)
        connection.raw.terminate()
        self._open -= 1
        self._wake(None)

    def _wake(self, connection: "_Connection | None") -> bool:
        """Hand the next in turn a connection, or the right to open one; whether one waited."""
        while self._waiters:
            turn, _ = self._waiters.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False


@dataclass(slots=True, eq=False)
class _Connection:
    """A connection; ``since`` when a statement is on it, and whether that takes too long."""

    raw: "asyncpg.Connection[ReadRow]"
    until: float
    statements: "dict[str, asyncpg.prepared_stmt.PreparedStatement[ReadRow]]"
    since: float = 0.0
    overdue: bool = False
