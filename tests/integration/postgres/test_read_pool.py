"""The read pool: no connection keeps a tenant, whatever happens to a statement on it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import Uuid, bindparam, func, select

from adapters.postgres.hot_reads import _PAGES, _PROJECT, PostgresHotReads
from adapters.postgres.read_pool import USER, CompiledRead, ReadPool, as_tenant
from adapters.postgres.tables import projects
from application.ports.paging import Page
from application.ports.persistence import DatabaseUnavailable, UnitOfWork
from domain.shared.ids import UserId
from entrypoints.local_stack import LocalStack, StackAddresses
from tests.contracts.samples import keep_project, new_id
from tests.integration.superuser import superuser_url

WHOSE = "SELECT current_setting('app.user_id', true) AS tenant, pg_backend_pid() AS pid"
NOBODY = CompiledRead(sql=WHOSE, names=(), fixed={})
_ID = bindparam("id", type_=Uuid)


def plain(sql: str) -> CompiledRead:
    return CompiledRead(sql=sql, names=(), fixed={})


@pytest.fixture
async def pool(stack: StackAddresses) -> AsyncIterator[ReadPool]:
    """One connection, so that every statement is on the one that went before."""
    opened = ReadPool(stack.database_url or "", 1, "tests-read")
    yield opened
    await opened.close()


async def whose(pool: ReadPool) -> str:
    row = await pool.first(NOBODY)
    return str(row.tenant or "") if row is not None else "no answer"


async def connections(pool: ReadPool) -> int:
    row = await pool.first(NOBODY)
    assert row is not None
    return int(row.pid)


async def test_after_a_statement_a_connection_is_nobodys(
    pool: ReadPool, postgres_uow: UnitOfWork
) -> None:
    project = await keep_project(postgres_uow)
    reads = PostgresHotReads(pool)
    pid = await connections(pool)
    for _ in range(10):  # past the fifth, the server may plan for any parameters
        assert await reads.project(project.user_id, project.id) == project
        assert await whose(pool) == ""
        assert await reads.project(UserId(new_id()), project.id) is None
    rows = await pool.fetch(plain("SELECT count(*) AS seen FROM projects"))
    assert rows[0].seen == 0
    assert await connections(pool) == pid


async def test_tenants_on_the_same_connections_never_see_each_other(
    stack: StackAddresses, postgres_uow: UnitOfWork
) -> None:
    pool = ReadPool(stack.database_url or "", 2, "tests-read")
    reads = PostgresHotReads(pool)
    owned = [await keep_project(postgres_uow) for _ in range(8)]
    try:

        async def look(number: int) -> None:
            mine, other = owned[number % 8], owned[(number * 3 + 1) % 8]
            assert await reads.project(mine.user_id, mine.id) == mine
            seen = await reads.project(mine.user_id, other.id)
            assert seen == (mine if other == mine else None)
            listed = await reads.projects(mine.user_id, Page(limit=10), status=None, search="")
            assert list(listed) == [mine]

        await asyncio.gather(*(look(number) for number in range(200)))
    finally:
        await pool.close()


async def test_the_tenant_is_named_before_a_row_is_read(
    pool: ReadPool, postgres_uow: UnitOfWork
) -> None:
    """The policy alone: the statement itself names nobody in its conditions."""
    bare = as_tenant(select(projects.c.id).where(projects.c.id == _ID, USER.is_not(None)))
    every = as_tenant(select(func.count().label("seen")).select_from(projects))
    mine, other = await keep_project(postgres_uow), await keep_project(postgres_uow)
    for _ in range(10):
        assert await pool.first(bare, user_id=mine.user_id, id=mine.id) is not None
        assert await pool.first(bare, user_id=mine.user_id, id=other.id) is None
        row = await pool.first(every, user_id=other.user_id)
        assert row is not None
        assert row.seen == 1


@pytest.mark.parametrize("read", [_PROJECT, *_PAGES.values()], ids=lambda read: read.sql[-60:])
async def test_the_plan_works_the_tenant_out_first(
    stack: StackAddresses, read: CompiledRead
) -> None:
    """The condition on the tenant is a one-time filter above everything that reads a row."""
    values = {
        "user_id": new_id(),
        "id": new_id(),
        "after": new_id(),
        "status": "draft",
        "search": "x",
        "limit": 3,
    }
    connection = await asyncpg.connect(stack.database_url)
    try:
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.execute(f"SET plan_cache_mode = {mode}")
            rows = await connection.fetch(f"EXPLAIN {read.sql}", *read.arguments(values))
            plan = [row[0] for row in rows]
            gate = next(number for number, line in enumerate(plan) if "One-Time Filter" in line)
            scan = next(
                number for number, line in enumerate(plan) if "Scan" in line and "projects" in line
            )
            assert gate < scan, "\n".join(plan)
    finally:
        await connection.close()


@pytest.mark.parametrize("after_seconds", [0.0, 0.001, 0.01, 0.05, 0.2])
async def test_a_cancelled_statement_leaves_no_tenant_behind(
    pool: ReadPool, postgres_uow: UnitOfWork, after_seconds: float
) -> None:
    project = await keep_project(postgres_uow)
    slow = as_tenant(
        select(projects.c.id, func.pg_sleep(0.15).label("slept")).where(
            projects.c.id == _ID, projects.c.user_id == USER
        )
    )
    for _ in range(3):
        task = asyncio.ensure_future(pool.fetch(slow, user_id=project.user_id, id=project.id))
        await asyncio.sleep(after_seconds)
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError | list)
        assert await whose(pool) == ""
        rows = await pool.fetch(plain("SELECT count(*) AS seen FROM projects"))
        assert rows[0].seen == 0


async def test_who_waits_and_is_cancelled_costs_nobody_a_connection(pool: ReadPool) -> None:
    slow = plain("SELECT pg_sleep(0.5)")
    for _ in range(3):
        tasks = [asyncio.ensure_future(pool.fetch(slow)) for _ in range(4)]
        await asyncio.sleep(0.02)
        for task in tasks[1:3]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in ended] == [
            False,
            True,
            True,
            False,
        ]
    assert await whose(pool) == ""


async def test_an_error_of_the_statement_is_told_and_harms_nobody(pool: ReadPool) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await pool.fetch(plain("SELECT 1 / 0"))
    assert await whose(pool) == ""


async def test_a_statement_that_takes_too_long_is_given_up(stack: StackAddresses) -> None:
    pool = ReadPool(stack.database_url or "", 1, "tests-read", statement_seconds=1)
    try:
        with pytest.raises((DatabaseUnavailable, asyncpg.QueryCanceledError)):
            await pool.fetch(plain("SELECT pg_sleep(20)"))
        assert await whose(pool) == ""
    finally:
        await pool.close()


async def test_a_statement_is_given_up_where_the_server_does_not_end_it(
    stack: StackAddresses,
) -> None:
    pool = ReadPool(stack.database_url or "", 1, "tests-read", statement_seconds=1)
    try:
        await pool.fetch(plain("SET statement_timeout = 0"))
        with pytest.raises(DatabaseUnavailable):
            await pool.fetch(plain("SELECT pg_sleep(20)"))
        assert await whose(pool) == ""
    finally:
        await pool.close()


async def test_who_waits_too_long_for_a_connection_is_told(stack: StackAddresses) -> None:
    pool = ReadPool(stack.database_url or "", 1, "tests-read", wait_seconds=0.2)
    slow = asyncio.ensure_future(pool.fetch(plain("SELECT pg_sleep(20)")))
    try:
        await asyncio.sleep(0)
        with pytest.raises(DatabaseUnavailable):
            await pool.first(NOBODY)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert await whose(pool) == ""
    finally:
        slow.cancel()
        await pool.close()


async def test_no_more_connections_than_allowed_and_each_comes_back(
    stack: StackAddresses,
) -> None:
    pool = ReadPool(stack.database_url or "", 2, "tests-read")
    try:
        pids = await asyncio.gather(*(connections(pool) for _ in range(50)))
        assert len(set(pids)) <= 2
    finally:
        await pool.close()


async def test_an_old_connection_is_replaced(stack: StackAddresses) -> None:
    clock = [0.0]
    pool = ReadPool(stack.database_url or "", 1, "tests-read", now=lambda: clock[0])
    try:
        first = await connections(pool)
        assert await connections(pool) == first
        clock[0] = 3_600.0
        await connections(pool)  # it is still this one's, and not given back
        assert await connections(pool) != first
    finally:
        await pool.close()


async def test_a_server_that_restarts_is_found_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    servers = LocalStack(tmp_path_factory.mktemp("reads"), services={"postgres"})
    async with servers as addresses:
        pool = ReadPool(addresses.database_url or "", 2, "tests-read")
        try:
            first = await connections(pool)
            admin = await asyncpg.connect(superuser_url(servers))
            try:
                await admin.execute("SELECT pg_terminate_backend($1)", first)
            finally:
                await admin.close()
            assert await connections(pool) != first
        finally:
            await pool.close()
