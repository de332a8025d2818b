"""What the engine asks of the server: a transaction that stands still does not keep its locks."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from adapters.postgres.engine import open_engine
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
