"""Invoices, credit notes, their series, and billing profiles.

What is issued stays, as the books do: a trigger refuses everybody to change it. The series'
rows are the house's, so no person's policy hides them; triggers hold them to counting by one,
and to numbers that are used: a place taken in a transaction that adds no document cannot commit.
"""

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None

_PROFILES = """
CREATE TABLE billing_profiles (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    name text NOT NULL,
    address text NOT NULL,
    state text NOT NULL,
    country text NOT NULL,
    gstin text NOT NULL,
    updated_at timestamptz NOT NULL
)
"""
_SERIES = """
CREATE TABLE document_series (
    kind text NOT NULL
        CONSTRAINT document_series_kind_check CHECK (kind IN ('invoice', 'credit_note')),
    financial_year smallint NOT NULL,
    last bigint NOT NULL,
    last_on date NOT NULL,
    CONSTRAINT document_series_pkey PRIMARY KEY (kind, financial_year)
)
"""

# The columns and rules that both kinds of document share.
_DOCUMENT = """
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    number text NOT NULL
        CONSTRAINT {table}_number_check CHECK (number ~ '^[A-Za-z0-9/-]{{1,16}}$'),
    financial_year smallint NOT NULL,
    sequence bigint NOT NULL CONSTRAINT {table}_sequence_check CHECK (sequence > 0),
    issued_on date NOT NULL,
    supplier jsonb NOT NULL,
    buyer jsonb NOT NULL,
    place text NOT NULL,
    supply text NOT NULL,
    reverse_charge boolean NOT NULL,
    lines jsonb NOT NULL,
    taxable_paise bigint NOT NULL,
    cgst_paise bigint NOT NULL,
    sgst_paise bigint NOT NULL,
    igst_paise bigint NOT NULL,
    total_paise bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT {table}_amounts_check CHECK (
        least(taxable_paise, cgst_paise, igst_paise) >= 0 AND cgst_paise = sgst_paise
        AND taxable_paise + cgst_paise + sgst_paise + igst_paise = total_paise),
    CONSTRAINT {table}_sequence_key UNIQUE (financial_year, sequence),
    CONSTRAINT {table}_number_key UNIQUE (financial_year, number)
"""
_INVOICES = f"""
CREATE TABLE invoices (
    {_DOCUMENT.format(table="invoices").strip()},
    order_id uuid NOT NULL,
    payment_id text NOT NULL CONSTRAINT invoices_payment_id_key UNIQUE,
    CONSTRAINT invoices_id_user_id_key UNIQUE (id, user_id)
)
"""
_CREDIT_NOTES = f"""
CREATE TABLE credit_notes (
    {_DOCUMENT.format(table="credit_notes").strip()},
    invoice_id uuid NOT NULL,
    invoice_number text NOT NULL,
    invoice_date date NOT NULL,
    invoice_total_paise bigint NOT NULL,
    refund_id text NOT NULL CONSTRAINT credit_notes_refund_id_key UNIQUE,
    reason text NOT NULL,
    CONSTRAINT credit_notes_invoice_id_fkey FOREIGN KEY (invoice_id, user_id)
        REFERENCES invoices (id, user_id)
)
"""

_COUNTS_BY_ONE = """
CREATE FUNCTION series_counts_by_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.last <> (CASE TG_OP WHEN 'INSERT' THEN 1 ELSE OLD.last + 1 END)
        OR (TG_OP = 'UPDATE' AND NEW.last_on < OLD.last_on) THEN
        RAISE EXCEPTION 'the series % of % counts by one, and its dates do not run back',
            NEW.kind, NEW.financial_year
            USING ERRCODE = 'check_violation', CONSTRAINT = 'document_series_counts_by_one';
    END IF;
    RETURN NEW;
END $$
"""
_NUMBER_IS_USED = """
CREATE FUNCTION series_number_is_used() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE used boolean;
BEGIN
    IF NEW.kind = 'invoice' THEN
        used := EXISTS (SELECT FROM invoices
            WHERE financial_year = NEW.financial_year AND sequence = NEW.last);
    ELSE
        used := EXISTS (SELECT FROM credit_notes
            WHERE financial_year = NEW.financial_year AND sequence = NEW.last);
    END IF;
    IF NOT used THEN
        RAISE EXCEPTION 'number % of the series % of % was taken for nothing',
            NEW.last, NEW.kind, NEW.financial_year
            USING ERRCODE = 'check_violation', CONSTRAINT = 'document_series_number_is_used';
    END IF;
    RETURN NULL;
END $$
"""
_WITHIN_INVOICE = """
CREATE FUNCTION credit_is_within_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(total_paise) FROM credit_notes WHERE invoice_id = NEW.invoice_id)
        > (SELECT total_paise FROM invoices WHERE id = NEW.invoice_id) THEN
        RAISE EXCEPTION 'the credit notes of invoice % exceed it', NEW.invoice_number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_notes_within_invoice';
    END IF;
    RETURN NULL;
END $$
"""
_TRIGGERS = (
    "CREATE TRIGGER document_series_counts_by_one BEFORE INSERT OR UPDATE ON document_series"
    " FOR EACH ROW EXECUTE FUNCTION series_counts_by_one()",
    "CREATE CONSTRAINT TRIGGER document_series_number_is_used"
    " AFTER INSERT OR UPDATE ON document_series"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION series_number_is_used()",
    "CREATE TRIGGER credit_notes_within_invoice AFTER INSERT ON credit_notes"
    " FOR EACH ROW EXECUTE FUNCTION credit_is_within_invoice()",
)

_GRANTS = {
    "billing_profiles": "SELECT, INSERT, UPDATE",
    "invoices": "SELECT, INSERT",
    "credit_notes": "SELECT, INSERT",
}
_READ_BY_ACCOUNTANTS = ("invoices", "credit_notes")


def upgrade() -> None:
    for statement in (_PROFILES, _SERIES, _INVOICES, _CREDIT_NOTES):
        op.execute(statement)
    for table in _READ_BY_ACCOUNTANTS:
        op.execute(f"CREATE INDEX {table}_of_user ON {table} (user_id, id DESC)")
    op.execute("CREATE INDEX credit_notes_of_invoice ON credit_notes (invoice_id)")
    for statement in (_COUNTS_BY_ONE, _NUMBER_IS_USED, _WITHIN_INVOICE, *_TRIGGERS):
        op.execute(statement)
    for table, grants in _GRANTS.items():
        op.execute(f"GRANT {grants} ON {table} TO bb_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO bb_app"
            " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
        )
    op.execute("GRANT SELECT, INSERT, UPDATE (last, last_on) ON document_series TO bb_app")
    for table in _READ_BY_ACCOUNTANTS:
        op.execute(
            f"CREATE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION books_only_grow()"
        )
        op.execute(f"GRANT SELECT ON {table} TO bb_dispatch")
        op.execute(f"CREATE POLICY accounting ON {table} FOR SELECT TO bb_dispatch USING (true)")


def downgrade() -> None:
    for table in ("credit_notes", "invoices", "document_series", "billing_profiles"):
        op.execute(f"DROP TABLE {table}")
    for function in (
        "series_counts_by_one",
        "series_number_is_used",
        "credit_is_within_invoice",
    ):
        op.execute(f"DROP FUNCTION {function}")
