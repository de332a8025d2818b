"""The audit of the ledger: everything that is kept as a sum is summed again from its postings.

The database does the summing and only what differs is sent, row by row, so the memory it
takes here does not grow with the books. All checks see one snapshot: what is booked while
they run is in none of them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.engine import open_engine

AUDIT_SECONDS = 6 * 3600.0
"""How long an audit may take. It changes nothing and locks no row, so nobody waits for it;
ten million postings take about a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something that must hold of every row of a kind: what, how many, and the exceptions.

    ``differences`` selects ``place``, ``kept`` and ``summed`` of each row that it does not
    hold of.
    """

    name: str
    holds: str
    rows: str
    differences: str


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

    async def differences(self, check: Check) -> AsyncIterator[Difference]:
        """What a check finds, as it finds it."""
        rows = await self.connection.stream(text(check.differences))
        async for row in rows:
            yield Difference(
                check=check.name, place=row.place, kept=str(row.kept), summed=str(row.summed)
            )


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
        async with engine.connect() as connection:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            # The policy of the books: their owner reads them to audit them, and not else.
            await connection.execute(text("SELECT set_config('app.audit', 'on', true)"))
            yield LedgerAudit(connection)
    finally:
        await engine.dispose()


CHECKS: Sequence[Check] = (
    Check(
        name="entries",
        holds="two postings or more of one person each, which sum to zero",
        rows="SELECT count(*) FROM journal",
        differences="""
            SELECT 'entry ' || coalesce(e.id, p.entry_id) || ' ' || coalesce(e.key, '(none)')
                       AS place,
                   count(p.id) || ' postings' AS kept,
                   coalesce(sum(p.amount), 0) AS summed
            FROM journal e FULL JOIN postings p ON p.entry_id = e.id AND p.user_id = e.user_id
            GROUP BY coalesce(e.id, p.entry_id), e.key
            HAVING count(p.id) < 2 OR sum(p.amount) <> 0 OR e.key IS NULL
        """,
    ),
    Check(
        name="balances",
        holds="free, held and owed are the sums of their postings",
        rows="SELECT count(*) FROM balances",
        differences="""
            SELECT 'user ' || user_id AS place,
                   concat_ws('/', b.available, b.reserved, b.owed) AS kept,
                   concat_ws('/', p.available, p.reserved, p.owed) AS summed
            FROM balances b FULL JOIN (
                SELECT user_id,
                       coalesce(sum(amount) FILTER (WHERE account = 'available'), 0) AS available,
                       coalesce(sum(amount) FILTER (WHERE account = 'reserved'), 0) AS reserved,
                       coalesce(-sum(amount) FILTER (WHERE account = 'owed'), 0) AS owed
                FROM postings GROUP BY user_id
            ) p USING (user_id)
            WHERE (coalesce(b.available, 0), coalesce(b.reserved, 0), coalesce(b.owed, 0))
                  <> (coalesce(p.available, 0), coalesce(p.reserved, 0), coalesce(p.owed, 0))
               OR (b.user_id IS NULL AND p.user_id IS NOT NULL)
               OR least(b.available, b.reserved, b.owed) < 0
               OR (b.owed > 0 AND b.available > 0)
        """,
    ),
    Check(
        name="lots",
        holds="what is left of each is the sum of its postings",
        rows="SELECT count(*) FROM lots",
        differences="""
            SELECT 'user ' || user_id || ' lot ' || number AS place,
                   coalesce(l.remaining::text, 'no lot') AS kept,
                   coalesce(p.remaining, 0) AS summed
            FROM lots l FULL JOIN (
                SELECT user_id, lot AS number, sum(amount) AS remaining
                FROM postings WHERE account = 'available' GROUP BY user_id, lot
            ) p USING (user_id, number)
            WHERE l.remaining IS DISTINCT FROM coalesce(p.remaining, 0)
        """,
    ),
    Check(
        name="grants",
        holds="a person's lots are numbered through, and come to what was granted",
        rows="SELECT count(*) FROM balances WHERE lots > 0",
        differences="""
            SELECT 'user ' || user_id AS place,
                   b.lots || ' lots' AS kept,
                   concat_ws(' ', l.lots, 'lots of', l.granted, 'for grants of', p.granted)
                       AS summed
            FROM balances b
            LEFT JOIN (
                SELECT user_id, count(*) AS lots, max(number) AS last, sum(granted) AS granted
                FROM lots GROUP BY user_id
            ) l USING (user_id)
            LEFT JOIN (
                SELECT e.user_id, -sum(p.amount) AS granted
                FROM journal e JOIN postings p ON p.entry_id = e.id
                WHERE e.kind = 'grant' AND p.account = 'grants' GROUP BY e.user_id
            ) p USING (user_id)
            WHERE coalesce(l.lots, 0) <> b.lots OR coalesce(l.last, 0) <> b.lots
               OR coalesce(l.granted, 0) <> coalesce(p.granted, 0)
        """,
    ),
    Check(
        name="holds",
        holds="each is the sum of its postings, and of a run that is live",
        rows="SELECT count(*) FROM holds",
        differences="""
            SELECT concat_ws(' ', 'user', user_id, 'run', run_id, 'step', step, 'lot', lot)
                       AS place,
                   coalesce(h.credits::text, 'no hold')
                       || CASE WHEN r.status IN ('queued', 'running') OR h.credits IS NULL
                               THEN '' ELSE ' of a run that is not live' END AS kept,
                   coalesce(p.credits, 0) AS summed
            FROM holds h FULL JOIN (
                SELECT e.user_id, e.run_id, e.step, p.lot, sum(p.amount) AS credits
                FROM postings p JOIN journal e ON e.id = p.entry_id
                WHERE p.account = 'reserved'
                GROUP BY e.user_id, e.run_id, e.step, p.lot HAVING sum(p.amount) <> 0
            ) p USING (user_id, run_id, step, lot)
            LEFT JOIN (SELECT id AS run, status FROM runs) r ON r.run = run_id
            WHERE h.credits IS DISTINCT FROM p.credits
               OR coalesce(r.status, '') NOT IN ('queued', 'running')
        """,
    ),
    Check(
        name="receivables",
        holds="what is owed is what was clawed back beyond what was free, less what was paid",
        rows="SELECT count(*) FROM balances WHERE owed > 0",
        differences="""
            SELECT 'user ' || user_id AS place, b.owed AS kept, coalesce(p.owed, 0) AS summed
            FROM balances b FULL JOIN (
                SELECT p.user_id,
                       coalesce(-sum(p.amount) FILTER (WHERE e.kind = 'claw_back'), 0)
                       - coalesce(sum(p.amount) FILTER (WHERE e.kind IN ('grant', 'release')), 0)
                           AS owed
                FROM postings p JOIN journal e ON e.id = p.entry_id
                WHERE p.account = 'owed' GROUP BY p.user_id
            ) p USING (user_id)
            WHERE coalesce(b.owed, 0) <> coalesce(p.owed, 0)
        """,
    ),
    Check(
        name="runs",
        holds="each was charged what its steps were settled for, within its cap",
        rows="SELECT count(*) FROM runs",
        differences="""
            SELECT 'run ' || r.id AS place,
                   r.charged_credits || coalesce(' of ' || r.cap_credits, '') AS kept,
                   coalesce(p.charged, 0) AS summed
            FROM runs r LEFT JOIN (
                SELECT e.run_id, sum(p.amount) AS charged
                FROM journal e JOIN postings p ON p.entry_id = e.id
                WHERE e.kind = 'settle' AND p.account = 'revenue' GROUP BY e.run_id
            ) p ON p.run_id = r.id
            WHERE r.charged_credits <> coalesce(p.charged, 0) OR r.charged_credits > r.cap_credits
        """,
    ),
)
"""What is checked, in the order in which it is told."""
