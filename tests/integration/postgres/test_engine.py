"""What the engine asks of the server: a transaction that stands still does not keep its locks."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.postgres.engine import is_unavailable, open_engine
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.ports.persistence import DatabaseUnavailable
from domain.shared.ids import RunId
from entrypoints.local_stack import StackAddresses


async def test_a_transaction_that_idles_is_ended_by_the_server_and_told_so(
    stack: StackAddresses, wait: Callable[[float], Awaitable[None]]
) -> None:
    engine = open_engine(
        stack.database_url or "", pool_size=1, application="tests", idle_seconds=0.1
    )
    uow = PostgresUnitOfWork(engine)
    try:
        with pytest.raises(DatabaseUnavailable):
            async with uow.begin(None) as tx:
                await wait(0.5)
                await tx.runs.get(RunId(uuid4()))
        async with uow.begin(None) as tx:
            assert await tx.runs.get(RunId(uuid4())) is None
    finally:
        await engine.dispose()


async def test_a_transaction_that_is_busy_for_too_long_is_ended_by_the_server(
    stack: StackAddresses,
) -> None:
    engine = open_engine(
        stack.database_url or "", pool_size=1, application="tests", transaction_seconds=1
    )
    try:
        with pytest.raises(DBAPIError) as raised:
            async with engine.begin() as connection:
                await connection.execute(text("SELECT pg_sleep(20)"))
        assert is_unavailable(raised.value)
        async with engine.begin() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
    finally:
        await engine.dispose()
