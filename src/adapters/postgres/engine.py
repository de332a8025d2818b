"""Connections: the engine, how errors are told apart, and the health probe."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg
import msgspec
from sqlalchemy import Executable, text
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from application.ports.health import ProbeFailed
from application.ports.persistence import DatabaseUnavailable

T = TypeVar("T")

_RETRY_DELAYS = (0.1, 0.4, 1.0, 2.0)
"""Seconds between tries to open a transaction: a restart of the local server takes 0.2 s."""


IDLE_SECONDS = 10.0
"""How long a transaction may wait for its client's next word before the server ends it. A
process that stands still (stopped, swapped out, a frozen machine) keeps its connection, and
with it the lock on its run's row: nobody could claim the run, however long ago its lease
ended. Nothing but the database is waited for inside a transaction, so milliseconds are
usual."""

STATEMENT_SECONDS = 30.0
"""How long a statement may take before its connection is given up."""

TRANSACTION_SECONDS = 15.0
"""How long a transaction may last in all, where the server can hold it to that (PostgreSQL 17
and newer). A process that stands still in the middle of several statements sent as one is not
idle to the server but busy, and :data:`IDLE_SECONDS` never passes for it."""


CONNECT_SECONDS = 5.0
"""How long a request or a worker waits for a connection to be made."""

OPERATOR_CONNECT_SECONDS = 30.0
"""How long an operator's command waits for one: it is typed when the machine is busiest, and
does better to wait than to be typed again."""


def open_engine(
    url: str,
    *,
    pool_size: int,
    application: str,
    connect_seconds: float = CONNECT_SECONDS,
    statement_seconds: float = STATEMENT_SECONDS,
    idle_seconds: float = IDLE_SECONDS,
    transaction_seconds: float = TRANSACTION_SECONDS,
) -> AsyncEngine:
    """An engine on asyncpg for a ``postgresql://`` address. Connects lazily.

    ``application`` is what ``pg_stat_activity`` shows. A statement may take
    ``statement_seconds``, ``idle_seconds`` may pass between two of one transaction, and
    ``transaction_seconds`` in all of it; ``connect_seconds`` until there is a connection.
    """

    async def connect(*args: Any, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(*args, **options)
        if connection.get_server_version() >= (17,):
            milliseconds = int(transaction_seconds * 1000)
            await connection.execute(f"SET transaction_timeout = {milliseconds}")
        return connection

    return create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_recycle=1800,
        # What a failed statement was given (hashes, sealed secrets, people's words) is not told.
        hide_parameters=True,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
        connect_args={
            "async_creator_fn": connect,
            "timeout": connect_seconds,
            "command_timeout": statement_seconds,
            "server_settings": {
                "application_name": application,
                "timezone": "UTC",
                "idle_in_transaction_session_timeout": str(int(idle_seconds * 1000)),
            },
        },
    )


def open_operator_engine(url: str) -> AsyncEngine:
    """The one connection of a command that an operator runs."""
    return open_engine(
        url,
        pool_size=1,
        application="bharatbuild-operator",
        connect_seconds=OPERATOR_CONNECT_SECONDS,
    )


def is_unavailable(error: BaseException) -> bool:
    """Whether an error says that the server is away, rather than that we asked wrongly."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)):
        return True
    if isinstance(error, asyncpg.InterfaceError):  # the connection is closed
        return True
    if isinstance(error, (DBAPIError, asyncpg.PostgresError)):
        own = error.orig if isinstance(error, DBAPIError) else error
        state = getattr(own, "sqlstate", None) or ""
        # Class 08 connection, 53 resources, 57P operator intervention, 25P03 idle for too
        # long in a transaction, 25P04 too long a one (PostgreSQL documentation, appendix A).
        return state.startswith(("08", "53", "57P", "25P03", "25P04"))
    return isinstance(error, (ConnectionError, TimeoutError, OSError))


async def with_retries(operation: Callable[[], Awaitable[T]]) -> T:
    """Do what changes nothing until it succeeds, through a short outage of the server.

    Raises:
        DatabaseUnavailable: it did not come back within about four seconds.
    """
    for delay in (*_RETRY_DELAYS, None):
        try:
            return await operation()
        except Exception as error:
            if not is_unavailable(error):
                raise
            if delay is None:
                raise DatabaseUnavailable(
                    "The database does not answer. Nothing was changed; try again shortly."
                ) from error
            await asyncio.sleep(delay)
    raise AssertionError("unreachable: the last try returns or raises")


async def rows_of(engine: AsyncEngine, statement: Executable) -> Sequence[Row[Any]]:
    """Execute one statement as a commit of its own; its rows, none where it returns none.

    It may be executed twice, for a server can be away before it tells of a commit.

    Raises:
        DatabaseUnavailable: it did not come back within about four seconds.
    """

    async def execute() -> Sequence[Row[Any]]:
        async with engine.begin() as connection:
            result = await connection.execute(statement)
            return result.all() if result.returns_rows else []

    return await with_retries(execute)


class DatabaseProbe:
    """Whether the database answers, and which version it is."""

    name = "database"
    required = True

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def check(self) -> str:
        """Ask for the version and the schema's revision.

        Raises:
            ProbeFailed: no answer, or no schema yet.
        """
        try:
            async with self._engine.connect() as connection:
                version = await connection.scalar(text("SHOW server_version"))
        except Exception as error:
            if is_unavailable(error):
                raise ProbeFailed("the database does not answer") from error
            raise ProbeFailed(f"the database refused: {type(error).__name__}") from error
        return f"PostgreSQL {version}"
