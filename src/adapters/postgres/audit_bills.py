"""What must hold between the ledger and what people bought, used and were billed.

Each difference names its person, so that somebody can look into it. A place that the house
shares with nobody, as a series of invoices, names none.
"""

from collections.abc import Sequence

from adapters.postgres.audit_ledger import Check

BILLS: Sequence[Check] = (
    Check(
        name="usage",
        holds="the account of usage is, step by step, what the ledger charged",
        rows="SELECT count(*) FROM usage",
        differences="""
            SELECT concat_ws(' ', 'user', user_id, 'run', run_id, 'step', step) AS place,
                   coalesce(u.credits::text, 'no usage') AS kept,
                   coalesce(p.credits, 0) AS summed
            FROM usage u FULL JOIN (
                SELECT e.user_id, e.run_id, e.step, sum(p.amount) AS credits
                FROM journal e JOIN postings p ON p.entry_id = e.id
                WHERE e.kind = 'settle' AND p.account = 'revenue'
                GROUP BY e.user_id, e.run_id, e.step
            ) p USING (user_id, run_id, step)
            WHERE u.credits IS DISTINCT FROM coalesce(p.credits, 0)
               OR (u.credits > 0 AND NOT u.charged)
        """,
    ),
    Check(
        name="calls",
        holds="what a settled step's calls cost is on the account of usage, or booked as late",
        rows="SELECT count(*) FROM model_calls",
        differences="""
            SELECT concat_ws(' ', 'user', u.user_id, 'run', u.run_id, 'step', u.step) AS place,
                   concat_ws('/', u.cost_nano_usd, u.house_nano_usd) AS kept,
                   concat_ws('/', coalesce(c.person, 0), coalesce(c.house, 0)) AS summed
            FROM usage u LEFT JOIN (
                SELECT c.user_id, c.run_id, c.step,
                       sum(c.cost_nano_usd) FILTER (WHERE c.borne_by = 'user' AND u.charged)
                           AS person,
                       sum(c.cost_nano_usd) FILTER (
                           WHERE (c.borne_by = 'house' OR NOT u.charged) AND e.id IS NULL
                       ) AS house
                FROM model_calls c JOIN usage u USING (user_id, run_id, step)
                LEFT JOIN journal e ON e.key = 'late:' || c.id AND e.user_id = c.user_id
                GROUP BY c.user_id, c.run_id, c.step
            ) c USING (user_id, run_id, step)
            WHERE (u.cost_nano_usd, u.house_nano_usd)
                  <> (coalesce(c.person, 0), coalesce(c.house, 0))
        """,
    ),
    Check(
        name="house",
        holds="what the house bears of calls is on its accounts, each by its reason",
        rows="SELECT count(*) FROM journal WHERE kind = 'house'",
        differences="""
            SELECT concat_ws(' ', 'user', user_id, 'run', run_id, 'step', step, account) AS place,
                   coalesce(p.credits, 0) AS kept, coalesce(c.credits, 0) AS summed
            FROM (
                SELECT e.user_id, e.run_id, e.step, p.account, -sum(p.amount) AS credits
                FROM journal e JOIN postings p ON p.entry_id = e.id
                WHERE e.kind = 'house' AND p.account NOT IN ('revenue', 'house_excess')
                GROUP BY e.user_id, e.run_id, e.step, p.account
            ) p FULL JOIN (
                SELECT user_id, run_id, step, account, sum(credits) AS credits
                FROM (
                    -- Rounded up once for what was settled together, and for each late one.
                    SELECT user_id, run_id, step, account,
                           div(sum(cost_nano_usd) * paise_per_usd + 999999999, 1000000000)
                               AS credits
                    FROM (
                        SELECT c.user_id, c.run_id, c.step, c.cost_nano_usd, u.paise_per_usd,
                               CASE
                                   WHEN c.purpose = 'review' THEN 'house_review'
                                   WHEN c.purpose = 'repair' THEN 'house_repair'
                                   WHEN c.borne_by = 'user' THEN 'house_cost'
                                   WHEN c.state = 'failed' AND c.failure <> 'cancelled'
                                       THEN 'house_cost'
                                   ELSE 'house_crash'
                               END AS account,
                               CASE WHEN e.id IS NOT NULL THEN c.id END AS late
                        FROM model_calls c JOIN usage u USING (user_id, run_id, step)
                        LEFT JOIN journal e ON e.key = 'late:' || c.id AND e.user_id = c.user_id
                        WHERE c.borne_by = 'house' OR NOT u.charged
                    ) borne
                    GROUP BY user_id, run_id, step, account, late, paise_per_usd
                ) rounded
                GROUP BY user_id, run_id, step, account
            ) c USING (user_id, run_id, step, account)
            WHERE coalesce(p.credits, 0) <> coalesce(c.credits, 0)
        """,
    ),
    Check(
        name="keys",
        holds="what an API key used and holds is that of its runs",
        rows="SELECT count(*) FROM api_keys",
        differences="""
            SELECT concat_ws(' ', 'user', k.user_id, 'key', k.id) AS place,
                   concat_ws('/', k.credits_used, k.credits_held) AS kept,
                   concat_ws('/', coalesce(u.credits, 0), coalesce(h.credits, 0)) AS summed
            FROM api_keys k
            LEFT JOIN (
                SELECT api_key_id, sum(credits) AS credits FROM usage GROUP BY api_key_id
            ) u ON u.api_key_id = k.id
            LEFT JOIN (
                SELECT r.api_key_id, sum(h.credits) AS credits
                FROM holds h JOIN runs r ON r.id = h.run_id GROUP BY r.api_key_id
            ) h ON h.api_key_id = k.id
            WHERE (k.credits_used, k.credits_held)
                  <> (coalesce(u.credits, 0), coalesce(h.credits, 0))
        """,
    ),
    Check(
        name="orders",
        holds="one that is paid is so by a captured payment of its amount, and no other is",
        rows="SELECT count(*) FROM orders",
        differences="""
            SELECT concat_ws(' ', 'user', o.user_id, 'order', o.id) AS place,
                   concat_ws(' ', o.status, o.amount_paise, o.currency) AS kept,
                   coalesce(t.status || ' ' || t.amount || ' ' || t.currency, 'no payment')
                       AS summed
            FROM orders o LEFT JOIN transactions t
                ON t.id = o.paid_with AND t.order_id = o.id AND t.kind = 'payment'
            WHERE (o.status = 'paid') <> (o.paid_with IS NOT NULL)
               OR (o.status = 'paid' AND ('captured', o.amount_paise, o.currency)
                   IS DISTINCT FROM (t.status, t.amount, t.currency))
        """,
    ),
    Check(
        name="refunds",
        holds="what was given back of a payment is the sum of its refunds and chargebacks",
        rows="SELECT count(*) FROM transactions WHERE kind = 'payment'",
        differences="""
            SELECT concat_ws(' ', 'user', t.user_id, 'payment', t.id) AS place,
                   t.refunded AS kept, coalesce(r.refunded, 0) AS summed
            FROM transactions t LEFT JOIN (
                SELECT payment_id, sum(amount) AS refunded FROM transactions
                -- One that failed after it took back what it bought is still owed.
                WHERE kind <> 'payment' AND (status <> 'failed' OR settled_at IS NOT NULL)
                GROUP BY payment_id
            ) r ON r.payment_id = t.id
            WHERE t.kind = 'payment' AND t.refunded <> coalesce(r.refunded, 0)
        """,
    ),
    Check(
        name="top-ups",
        holds="a paid one brought its credits once, less what its refunds took back",
        rows="SELECT count(*) FROM orders WHERE purpose = 'top_up' AND status = 'paid'",
        differences="""
            SELECT concat_ws(' ', 'user', coalesce(o.user_id, e.user_id),
                             coalesce('order ' || o.id, 'entry ' || e.key)) AS place,
                   concat_ws('-', coalesce(e.credits, 0), coalesce(r.taken, 0)) AS kept,
                   coalesce(concat_ws('-', o.credits,
                                      o.credits * coalesce(r.back, 0) / o.amount_paise),
                            'no paid order') AS summed
            FROM (
                SELECT o.*, 'payment:' || t.gateway_id AS key
                FROM orders o JOIN transactions t ON t.id = o.paid_with
                WHERE o.purpose = 'top_up' AND o.status = 'paid'
            ) o FULL JOIN (
                SELECT e.key, e.user_id, -sum(p.amount) AS credits
                FROM journal e JOIN postings p ON p.entry_id = e.id AND p.account = 'grants'
                WHERE e.kind = 'grant' AND e.key LIKE 'payment:%' GROUP BY e.key, e.user_id
            ) e USING (key, user_id)
            LEFT JOIN (
                SELECT r.payment_id, sum(r.amount)::bigint AS back, sum(e.credits) AS taken
                FROM transactions r LEFT JOIN (
                    SELECT e.key, sum(p.amount) AS credits
                    FROM journal e JOIN postings p ON p.entry_id = e.id AND p.account = 'grants'
                    WHERE e.kind = 'claw_back' GROUP BY e.key
                ) e ON e.key = 'refund:' || r.id
                WHERE r.kind <> 'payment' AND r.settled_at IS NOT NULL GROUP BY r.payment_id
            ) r ON r.payment_id = o.paid_with
            WHERE o.id IS NULL OR e.credits IS DISTINCT FROM o.credits
               OR coalesce(r.taken, 0) <> o.credits * coalesce(r.back, 0) / o.amount_paise
        """,
    ),
    Check(
        name="allotments",
        holds="what a seat was given for its period is one grant to its holder",
        rows="SELECT count(*) FROM allotments WHERE granted_at IS NOT NULL",
        differences="""
            SELECT concat_ws(' ', 'user', user_id, 'allotment', key) AS place,
                   coalesce(a.credits::text, 'no allotment') AS kept,
                   coalesce(e.credits, 0) AS summed
            FROM (
                SELECT key, granted_to AS user_id, credits FROM allotments
                WHERE granted_at IS NOT NULL
            ) a FULL JOIN (
                SELECT e.key, e.user_id, -sum(p.amount) AS credits
                FROM journal e JOIN postings p ON p.entry_id = e.id AND p.account = 'grants'
                WHERE e.kind = 'grant' AND e.key LIKE 'plan:%' GROUP BY e.key, e.user_id
            ) e USING (key, user_id)
            -- Between the grant to another than the buyer and its note, both are right.
            WHERE a.credits IS DISTINCT FROM e.credits AND NOT (
                a.key IS NULL AND EXISTS (
                    SELECT FROM allotments b
                    WHERE b.key = e.key AND b.granted_to = e.user_id AND b.credits = e.credits
                )
            )
        """,
    ),
    Check(
        name="coupons",
        holds="each was used as often as somebody holds it with an order",
        rows="SELECT count(*) FROM coupons",
        differences="""
            SELECT 'coupon ' || c.id || ' ' || c.code AS place, c.redeemed AS kept,
                   coalesce(r.redeemed, 0) AS summed
            FROM coupons c LEFT JOIN (
                SELECT coupon_id, count(*) AS redeemed FROM coupon_redemptions GROUP BY coupon_id
            ) r ON r.coupon_id = c.id
            WHERE c.redeemed <> coalesce(r.redeemed, 0)
        """,
    ),
    Check(
        name="invoices",
        holds="each paid order has one, of its payment's amount, and no other has",
        rows="SELECT count(*) FROM invoices",
        differences="""
            SELECT concat_ws(' ', 'user', coalesce(i.user_id, o.user_id),
                             'order', coalesce(i.order_id, o.id)) AS place,
                   coalesce(i.total_paise::text, 'no invoice') AS kept,
                   coalesce(o.amount_paise, 0) AS summed
            FROM (SELECT * FROM orders WHERE status = 'paid') o
            FULL JOIN invoices i ON i.order_id = o.id AND i.payment_id = o.paid_with::text
            WHERE i.total_paise IS DISTINCT FROM o.amount_paise
        """,
    ),
    Check(
        name="credit notes",
        holds="those of an invoice come to what went back of its payment",
        rows="SELECT count(*) FROM credit_notes",
        differences="""
            SELECT concat_ws(' ', 'user', i.user_id, 'invoice', i.number) AS place,
                   coalesce(n.total, 0) AS kept, coalesce(r.total, 0) AS summed
            FROM invoices i
            LEFT JOIN (
                SELECT invoice_id, sum(total_paise) AS total FROM credit_notes GROUP BY invoice_id
            ) n ON n.invoice_id = i.id
            LEFT JOIN (
                SELECT payment_id, sum(amount) AS total FROM transactions
                WHERE kind <> 'payment' AND settled_at IS NOT NULL GROUP BY payment_id
            ) r ON r.payment_id::text = i.payment_id
            WHERE coalesce(n.total, 0) <> coalesce(r.total, 0)
        """,
    ),
    Check(
        name="series",
        holds="invoices and credit notes of a financial year are numbered without a gap",
        rows="SELECT count(*) FROM document_series",
        differences="""
            SELECT concat_ws(' ', 'series', kind, financial_year) AS place,
                   coalesce(s.last::text, 'no series') AS kept,
                   concat_ws(' ', coalesce(d.documents, 0), 'up to', coalesce(d.last, 0)) AS summed
            FROM document_series s FULL JOIN (
                SELECT 'invoice' AS kind, financial_year, count(*) AS documents,
                       max(sequence) AS last
                FROM invoices GROUP BY financial_year
                UNION ALL
                SELECT 'credit_note', financial_year, count(*), max(sequence)
                FROM credit_notes GROUP BY financial_year
            ) d USING (kind, financial_year)
            WHERE (s.last, s.last) IS DISTINCT FROM (d.documents, d.last)
        """,
    ),
)
"""Of the bills: what was used and paid, against the ledger, and papers against payments."""
