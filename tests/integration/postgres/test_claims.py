"""Claims on a row that somebody else has locked."""

import asyncio

import asyncpg

from adapters.postgres.claims import PostgresRunClaims
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from entrypoints.local_stack import StackAddresses
from tests.contracts.samples import LONG_LEASE, keep_run


async def test_a_claim_does_not_wait_for_a_lock_and_has_its_whole_lease_after_it(
    stack: StackAddresses, postgres_uow: PostgresUnitOfWork, postgres_claims: PostgresRunClaims
) -> None:
    run = await keep_run(postgres_uow)
    database = await asyncpg.connect(stack.database_url or "")
    try:
        async with database.transaction():
            await database.execute("SELECT set_config('app.user_id', $1, true)", str(run.user_id))
            await database.execute("UPDATE runs SET progress = 1 WHERE id = $1", run.id)
            async with asyncio.timeout(20):
                assert await postgres_claims.claim(run.id, LONG_LEASE) is None
        assert await postgres_claims.claim(run.id, LONG_LEASE) is not None
        await database.execute("SELECT set_config('app.user_id', $1, false)", str(run.user_id))
        left = await database.fetchval(
            "SELECT extract(epoch FROM lease_until - now()) FROM runs WHERE id = $1", run.id
        )
        assert LONG_LEASE - 5 < left <= LONG_LEASE
    finally:
        await database.close()
