"""The audit log: whoever writes to it can add, and nobody can change or take away.

``bb_app`` adds entries of its transaction's person and reads theirs; ``bb_dispatch`` reads all
of it, for admins; the owner, as whom operators act on the command line, adds entries. Number
and moment are the database's. There is no foreign key to people: what was done stays known
when its account is gone.
"""

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    user_id uuid NOT NULL,
    actor_kind text NOT NULL CONSTRAINT audit_log_actor_kind_check
        CHECK (actor_kind IN ('person', 'key', 'operator', 'system', 'nobody')),
    actor_id uuid,
    api_key_id uuid,
    actor_name text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT '',
    request_id text NOT NULL DEFAULT '',
    action text NOT NULL,
    subject_id text NOT NULL DEFAULT '',
    before jsonb NOT NULL DEFAULT '{}'::jsonb,
    after jsonb NOT NULL DEFAULT '{}'::jsonb,
    CONSTRAINT audit_log_actor_check CHECK (
        (actor_kind IN ('person', 'key')) = (actor_id IS NOT NULL)
        AND (actor_kind = 'key') = (api_key_id IS NOT NULL)
    )
)
"""
_WRITTEN = (
    "user_id, actor_kind, actor_id, api_key_id, actor_name, address, request_id, action,"
    " subject_id, before, after"
)
_INDEXES = (
    "CREATE INDEX audit_log_of_user ON audit_log (user_id, id DESC)",
    "CREATE INDEX audit_log_of_actor ON audit_log (actor_id, id DESC) WHERE actor_id IS NOT NULL",
    "CREATE INDEX audit_log_of_subject ON audit_log (subject_id, id DESC)",
    "CREATE INDEX audit_log_at ON audit_log (at)",
)


def upgrade() -> None:
    op.execute(_TABLE)
    for index in _INDEXES:
        op.execute(index)
    op.execute(
        "CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'the audit log only grows: % is refused', TG_OP"
        " USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'audit_log_only_grows';"
        " END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows()"
    )
    op.execute("ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE audit_log FORCE ROW LEVEL SECURITY")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON audit_log FROM CURRENT_USER")
    op.execute(f"GRANT SELECT, INSERT ({_WRITTEN}) ON audit_log TO bb_app")
    op.execute(
        "CREATE POLICY tenant ON audit_log TO bb_app"
        " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
    )
    op.execute("GRANT SELECT ON audit_log TO bb_dispatch")
    op.execute("CREATE POLICY oversight ON audit_log FOR SELECT TO bb_dispatch USING (true)")
    op.execute(
        "CREATE POLICY operator ON audit_log FOR INSERT TO CURRENT_USER"
        " WITH CHECK (actor_kind = 'operator')"
    )


def downgrade() -> None:
    op.execute("DROP TABLE audit_log")
    op.execute("DROP FUNCTION audit_log_only_grows")
