"""A row that is not one of a run, in the real database."""

import asyncpg
import pytest

from adapters.postgres.claims import PostgresRunClaims
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.ports.claims import RunUnreadable
from application.runs.set_aside import set_aside
from domain.projects.run import RunStatus
from entrypoints.local_stack import StackAddresses
from tests.contracts.samples import LONG_LEASE, keep_run


async def test_a_claim_on_an_unreadable_row_counts_and_the_run_can_be_set_aside(
    stack: StackAddresses, postgres_uow: PostgresUnitOfWork, postgres_claims: PostgresRunClaims
) -> None:
    run = await keep_run(postgres_uow)
    database = await asyncpg.connect(stack.database_url or "")
    try:
        await database.execute("SELECT set_config('app.user_id', $1, false)", str(run.user_id))
        await database.execute("UPDATE runs SET mode = 'poetry' WHERE id = $1", run.id)
        with pytest.raises(RunUnreadable, match="poetry") as unreadable:
            await postgres_claims.claim(run.id, LONG_LEASE)
        assert (unreadable.value.fence, unreadable.value.attempts) == (1, 1)
        await set_aside(
            postgres_uow,
            run.user_id,
            run.project_id,
            run.id,
            error_code="worker_error",
            error="ValueError: 'poetry' is not a valid Mode",
        )
        row = await database.fetchrow("SELECT status, attempts FROM runs WHERE id = $1", run.id)
        assert row is not None
        assert (row["status"], row["attempts"]) == (RunStatus.DEAD, 1)
    finally:
        await database.close()
