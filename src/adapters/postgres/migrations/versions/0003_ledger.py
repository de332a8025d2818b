"""The ledger in full: lots with expiry, what is owed, caps of runs, books that only grow.

Every posting to a person's credits names the lot it belongs to, so lots and holds can be
recomputed from the postings. What was booked before becomes one lot per person. The books
refuse UPDATE, DELETE and TRUNCATE to everybody by a trigger; that their owner may still
lock entries is what foreign keys need. The owner may read everybody's books only in a
transaction that says that it audits them.
"""

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

_BOOKS = ("journal", "postings")
_AUDITED = ("journal", "postings", "balances", "lots", "holds", "runs")
_ACCOUNTS = "'available', 'reserved', 'grants', 'revenue', 'house_cost'"
_NEW_ACCOUNTS = (
    f"{_ACCOUNTS}, 'owed', 'expired', 'house_crash', 'house_review', 'house_repair', 'house_excess'"
)

_COLUMNS = """
ALTER TABLE balances
    ADD COLUMN owed bigint NOT NULL DEFAULT 0
        CONSTRAINT balances_owed_check CHECK (owed >= 0),
    ADD COLUMN lots integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT balances_debt_check CHECK (owed = 0 OR available = 0);
CREATE TABLE lots (
    user_id uuid NOT NULL REFERENCES balances (user_id),
    number integer NOT NULL,
    kind text NOT NULL CONSTRAINT lots_kind_check
        CHECK (kind IN ('plan_grant', 'promotion', 'adjustment', 'top_up')),
    granted bigint NOT NULL,
    remaining bigint NOT NULL,
    expires_at timestamptz,
    reference text NOT NULL DEFAULT '',
    granted_at timestamptz NOT NULL,
    CONSTRAINT lots_pkey PRIMARY KEY (user_id, number),
    CONSTRAINT lots_remaining_check CHECK (remaining BETWEEN 0 AND granted)
);
CREATE INDEX lots_free ON lots (user_id) WHERE remaining > 0;
CREATE INDEX lots_expiring ON lots (expires_at) WHERE remaining > 0;
ALTER TABLE postings ADD COLUMN lot integer;
ALTER TABLE holds ADD COLUMN lot integer;
ALTER TABLE runs
    ADD COLUMN cap_credits bigint CONSTRAINT runs_cap_credits_check CHECK (cap_credits > 0),
    ADD COLUMN charged_credits bigint NOT NULL DEFAULT 0;
ALTER TABLE model_calls ADD COLUMN bound_nano_usd bigint NOT NULL DEFAULT 0
"""

# What was given before lots were told apart is one lot, that of the starting grant.
_BACKFILL = """
INSERT INTO lots (user_id, number, kind, granted, remaining, reference, granted_at)
    SELECT b.user_id, 1, 'promotion', -sum(p.amount), b.available, 'opening', min(e.at)
    FROM balances b
    JOIN postings p ON p.user_id = b.user_id AND p.account = 'grants'
    JOIN journal e ON e.id = p.entry_id
    GROUP BY b.user_id;
UPDATE balances SET lots = 1 WHERE user_id IN (SELECT user_id FROM lots);
UPDATE postings SET lot = 1 WHERE account IN ('available', 'reserved');
DELETE FROM holds WHERE credits = 0;
UPDATE holds SET lot = 1;
UPDATE runs SET charged_credits = s.charged FROM (
    SELECT e.run_id, sum(p.amount) AS charged
    FROM journal e JOIN postings p ON p.entry_id = e.id
    WHERE e.kind = 'settle' AND p.account = 'revenue' GROUP BY e.run_id
) s WHERE s.run_id = runs.id
"""

_CONSTRAINTS = f"""
ALTER TABLE postings
    DROP CONSTRAINT postings_account_check,
    ADD CONSTRAINT postings_account_check CHECK (account IN ({_NEW_ACCOUNTS})),
    ADD CONSTRAINT postings_lot_check
        CHECK ((lot IS NOT NULL) = (account IN ('available', 'reserved'))),
    ADD CONSTRAINT postings_lot_fkey FOREIGN KEY (user_id, lot) REFERENCES lots (user_id, number);
ALTER TABLE holds
    ALTER COLUMN lot SET NOT NULL,
    ALTER COLUMN credits DROP DEFAULT,
    DROP CONSTRAINT holds_credits_check,
    ADD CONSTRAINT holds_credits_check CHECK (credits > 0),
    DROP CONSTRAINT holds_pkey,
    ADD CONSTRAINT holds_pkey PRIMARY KEY (user_id, run_id, step, lot),
    ADD CONSTRAINT holds_lot_fkey FOREIGN KEY (user_id, lot) REFERENCES lots (user_id, number);
ALTER TABLE runs ADD CONSTRAINT runs_charged_credits_check
    CHECK (charged_credits BETWEEN 0 AND cap_credits);
CREATE INDEX journal_of_kind ON journal (user_id, kind, id);
CREATE INDEX journal_of_run ON journal (run_id, id) WHERE run_id IS NOT NULL;
CREATE INDEX model_calls_of_house ON model_calls (user_id, created_at)
    WHERE purpose IN ('review', 'repair')
"""

# An entry without postings is as unbalanced as one whose postings do not sum to zero.
_CHECKS = (
    """
CREATE FUNCTION entry_has_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM postings WHERE entry_id = NEW.id) THEN
        RAISE EXCEPTION 'entry % has no postings', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_posted';
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE CONSTRAINT TRIGGER journal_posted AFTER INSERT ON journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entry_has_postings()
""",
    """
CREATE FUNCTION books_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the books only grow: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'books_only_grow';
END $$
""",
    *(
        f"CREATE TRIGGER {book}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {book}"
        " FOR EACH STATEMENT EXECUTE FUNCTION books_only_grow()"
        for book in _BOOKS
    ),
)


def upgrade() -> None:
    _run(_COLUMNS)
    _as_owner(_BACKFILL)
    _run(_CONSTRAINTS)
    for check in _CHECKS:
        op.execute(check)
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON postings FROM CURRENT_USER")
    op.execute("REVOKE DELETE, TRUNCATE ON journal FROM CURRENT_USER")
    op.execute("ALTER TABLE lots ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE lots FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT ON lots TO bb_app")
    op.execute("GRANT UPDATE (remaining) ON lots TO bb_app")
    op.execute(
        "CREATE POLICY tenant ON lots TO bb_app"
        " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
    )
    op.execute("GRANT SELECT (user_id, remaining, expires_at) ON lots TO bb_dispatch")
    op.execute(
        "CREATE POLICY expired ON lots FOR SELECT TO bb_dispatch USING (expires_at <= now())"
    )
    for table in _AUDITED:
        op.execute(
            f"CREATE POLICY audit ON {table} FOR SELECT TO CURRENT_USER"
            " USING (current_setting('app.audit', true) = 'on')"
        )


def downgrade() -> None:
    """Back to balances without lots. What is owed cannot be said there, nor a new account.

    An entry that names either stays, and lets the old check refuse the way back.
    """
    for table in _AUDITED:
        op.execute(f"DROP POLICY audit ON {table}")
    for book in _BOOKS:
        op.execute(f"DROP TRIGGER {book}_only_grows ON {book}")
        op.execute(f"GRANT ALL ON {book} TO CURRENT_USER")
    op.execute("DROP FUNCTION books_only_grow")
    op.execute("DROP TRIGGER journal_posted ON journal")
    op.execute("DROP FUNCTION entry_has_postings")
    _run("DROP INDEX journal_of_kind;\nDROP INDEX journal_of_run;\nDROP INDEX model_calls_of_house")
    _run(
        """
ALTER TABLE model_calls DROP COLUMN bound_nano_usd;
ALTER TABLE runs DROP COLUMN cap_credits, DROP COLUMN charged_credits;
ALTER TABLE holds DROP CONSTRAINT holds_pkey, DROP CONSTRAINT holds_lot_fkey,
    DROP CONSTRAINT holds_credits_check
"""
    )
    _as_owner(
        """
CREATE TEMPORARY TABLE held ON COMMIT DROP AS
    SELECT user_id, run_id, step, sum(credits)::bigint AS credits FROM holds
    GROUP BY user_id, run_id, step;
DELETE FROM holds;
INSERT INTO holds (user_id, run_id, step, lot, credits)
    SELECT user_id, run_id, step, 0, credits FROM held
"""
    )
    _run(
        f"""
ALTER TABLE holds DROP COLUMN lot, ALTER COLUMN credits SET DEFAULT 0,
    ADD CONSTRAINT holds_credits_check CHECK (credits >= 0),
    ADD CONSTRAINT holds_pkey PRIMARY KEY (user_id, run_id, step);
ALTER TABLE postings DROP CONSTRAINT postings_account_check, DROP COLUMN lot,
    ADD CONSTRAINT postings_account_check CHECK (account IN ({_ACCOUNTS}));
DROP TABLE lots;
ALTER TABLE balances DROP COLUMN owed, DROP COLUMN lots
"""
    )


def _as_owner(statements: str) -> None:
    """Change everybody's rows: row-level security binds the owner too, except for this."""
    tables = ("balances", "journal", "postings", "holds", "runs")
    for table in tables:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    _run(statements)
    for table in tables:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def _run(statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            op.execute(statement)
