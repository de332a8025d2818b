"""What it costs to find the runs that are due, as there are more of them.

Counted in rows that the plans of PostgreSQL touched, not in time, and for a table of which it
has no statistics yet: a restart of everything at once must not wait for an ANALYZE.
"""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.claims import PostgresRunClaims
from application.runs.dispatch_runs import BATCH, LOOK, DispatchRuns
from domain.shared.ids import RunId
from tests.fakes.queue import RecordingJobQueue

FEW, MANY = 2_000, 20_000
MARK = "due-runs"


@pytest.fixture
async def superuser(superuser_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Who keeps rows of people and projects that are not there."""
    connection = await asyncpg.connect(superuser_url)
    await connection.execute("SET session_replication_role = replica")
    # What other tests left is nobody's turn meanwhile.
    await connection.execute("UPDATE runs SET due_at = due_at + interval '1 hour'")
    yield connection
    await connection.execute("DELETE FROM runs WHERE error_code = $1", MARK)
    await connection.execute("UPDATE runs SET due_at = due_at - interval '1 hour'")
    await connection.close()


async def fill(superuser: "asyncpg.Connection[asyncpg.Record]", rows: int, *, people: int) -> None:
    """Keep so many due runs, shared out among so many people, and forget what is known of them."""
    await superuser.execute("DELETE FROM runs WHERE error_code = $1", MARK)
    await superuser.execute(
        "WITH people AS MATERIALIZED ("
        " SELECT n, gen_random_uuid() AS id FROM generate_series(0, $2 - 1) AS n)"
        " INSERT INTO runs (id, project_id, user_id, mode, pipeline_version, status,"
        " due_at, error_code)"
        " SELECT gen_random_uuid(), gen_random_uuid(), people.id, 'developer', 1, 'queued',"
        " now() - interval '1 second', $3"
        " FROM generate_series(0, $1 - 1) AS g JOIN people ON people.n = g % $2",
        rows,
        people,
        MARK,
    )
    await superuser.execute("DELETE FROM pg_statistic WHERE starelid = 'runs'::regclass")


def touched(plan: dict[str, Any]) -> int:
    """The rows that a plan's nodes made, or looked at for nothing."""
    looked = plan["Actual Rows"] + sum(
        value for name, value in plan.items() if name.startswith("Rows Removed by")
    )
    return int(plan["Actual Loops"] * looked) + sum(map(touched, plan.get("Plans", ())))


class Explained:
    """What the statements of an engine cost, as they are sent."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.sent: list[tuple[str, Any]] = []

    def __enter__(self) -> "Explained":
        event.listen(self.engine.sync_engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self.engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        self.sent.append((statement, parameters))

    async def rows(self) -> int:
        """The rows that the last statement touches, done once more."""
        statement, parameters = self.sent[-1]
        async with self.engine.connect() as connection:
            explained = await connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            )
            ((plan,),) = explained.all()
            await connection.execute(text("ROLLBACK"))
        return touched(plan[0]["Plan"])


@pytest.mark.parametrize("each", [1, FEW], ids=["of many people", "of a few"])
async def test_ten_times_the_runs_are_ten_times_the_work(
    superuser: "asyncpg.Connection[asyncpg.Record]", dispatch_engine: AsyncEngine, each: int
) -> None:
    claims = PostgresRunClaims(dispatch_engine, by_plan=True)
    look, batch = {}, {}
    for rows in (FEW, MANY):
        await fill(superuser, rows, people=rows // each)
        with Explained(dispatch_engine) as explained:
            due = await claims.due(LOOK)
            look[rows] = await explained.rows()
            # A person's others wait for room: three are Free's.
            assert len(due) == min(rows, 3 * rows // each)
            await claims.put_off(due[:BATCH], 60)
            await superuser.execute(
                "UPDATE runs SET due_at = now() - interval '1 second' WHERE error_code = $1", MARK
            )
            batch[rows] = await explained.rows()
    assert look[MANY] <= 11 * look[FEW]
    assert look[MANY] <= 20 * MANY
    # And a batch costs what it has, whatever else is due.
    assert batch[MANY] <= 2 * batch[FEW] + 10 * BATCH


async def test_many_due_runs_are_announced_once_each_by_one_look_in_batches(
    superuser: "asyncpg.Connection[asyncpg.Record]", dispatch_engine: AsyncEngine
) -> None:
    await fill(superuser, FEW, people=FEW)
    claims, queue = PostgresRunClaims(dispatch_engine, by_plan=True), RecordingJobQueue()
    with Explained(dispatch_engine) as explained:
        assert await DispatchRuns(claims, queue)() == FEW
    mine: set[RunId] = {
        row["id"]
        for row in await superuser.fetch("SELECT id FROM runs WHERE error_code = $1", MARK)
    }
    assert sorted(queue.announced) == sorted(mine)
    assert len(explained.sent) == 1 + FEW // BATCH
    assert await DispatchRuns(claims, queue)() == 0
