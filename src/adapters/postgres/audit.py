"""The audit of the books: everything that is kept as a sum is summed again from what it is of.

The database does the summing and only what differs is sent, row by row, so the memory it
takes here does not grow with the books. All checks see one snapshot: what is booked while
they run is in none of them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.audit_bills import BILLS
from adapters.postgres.audit_ledger import LEDGER, Check
from adapters.postgres.engine import open_engine

AUDIT_SECONDS = 6 * 3600.0
"""How long an audit may take. It changes nothing and locks no row, so nobody waits for it;
ten million postings take about a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that is not what its postings say."""

    check: str
    place: str
    kept: str
    summed: str


@dataclass(frozen=True, slots=True)
class LedgerAudit:
    """One snapshot of the books, to be read by the owner."""

    connection: AsyncConnection

    async def accounts(self) -> Mapping[str, int]:
        """The sum of each account, over everybody."""
        rows = await self.connection.execute(
            text("SELECT account, sum(amount) AS total FROM postings GROUP BY account")
        )
        return {row.account: int(row.total) for row in rows}

    async def rows(self, check: Check) -> int:
        """How many rows a check looks at."""
        return int(await self.connection.scalar(text(check.rows)) or 0)

    async def differences(self, *checks: Check) -> AsyncIterator[Difference]:
        """What checks find, as they find it: all of them in one statement."""
        found = " UNION ALL ".join(
            f"SELECT '{check.name}' AS name, place::text, kept::text, summed::text"
            f" FROM ({check.differences}) AS found"
            for check in checks
        )
        async for row in await self.connection.stream(text(found)):
            yield Difference(check=row.name, place=row.place, kept=row.kept, summed=row.summed)


@asynccontextmanager
async def open_audit(owner_url: str) -> AsyncIterator[LedgerAudit]:
    """Open the books as they are at this moment.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    engine = open_engine(
        owner_url,
        pool_size=1,
        application="bharatbuild-audit",
        statement_seconds=AUDIT_SECONDS,
        idle_seconds=AUDIT_SECONDS,
        transaction_seconds=AUDIT_SECONDS,
    )
    try:
        async with audit_over(engine) as audit:
            yield audit
    finally:
        await engine.dispose()


@asynccontextmanager
async def audit_over(owner: AsyncEngine) -> AsyncIterator[LedgerAudit]:
    """The books as they are at this moment, over an engine of their owner's."""
    async with owner.connect() as connection:
        await connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        # The policy of the books: their owner reads them to audit them, and not else.
        await connection.execute(text("SELECT set_config('app.audit', 'on', true)"))
        yield LedgerAudit(connection)


CHECKS: Sequence[Check] = (*LEDGER, *BILLS)
"""What is checked, in the order in which it is told."""
