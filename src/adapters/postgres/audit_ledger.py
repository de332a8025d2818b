"""What must hold of the ledger: everything that it keeps as a sum is one of its postings."""

from collections.abc import Sequence
from dataclasses import dataclass


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


LEDGER: Sequence[Check] = (
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
"""Of the ledger itself: what is kept as a sum, against its postings."""
