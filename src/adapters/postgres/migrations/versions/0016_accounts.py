"""Proved addresses, single-use links, and mail that is due.

A link is found, and used, by naming its hash alone. A registration that waits for its
confirmation is found by naming its address, so that it can be sent again. Mail is written by
``bb_app`` and read by ``bb_dispatch``, sealed. Notices of before are not sent any more.
"""

from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels = None
depends_on = None

_LINKS = """
CREATE TABLE account_links (
    digest text PRIMARY KEY,
    purpose text NOT NULL,
    email text NOT NULL,
    user_id uuid REFERENCES users (id),
    name text NOT NULL DEFAULT '',
    password text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
)
"""

_MAILS = """
CREATE TABLE mails (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    user_id uuid,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    done_at timestamptz,
    outcome text NOT NULL DEFAULT ''
)
"""

# A deleted account is switched off by its owner's transaction; switched on again by none.
_STAYS_OFF = """
CREATE FUNCTION users_stay_off() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'bb_app' AND NEW.is_active AND NOT OLD.is_active THEN
        RAISE EXCEPTION 'permission denied: nobody switches their own account on'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN email_verified_at timestamptz")
    op.execute("GRANT UPDATE (email, email_verified_at, is_active) ON users TO bb_app")
    op.execute(_STAYS_OFF)
    op.execute(
        "CREATE TRIGGER users_stay_off BEFORE UPDATE OF is_active ON users"
        " FOR EACH ROW EXECUTE FUNCTION users_stay_off()"
    )
    op.execute(_LINKS)
    op.execute("CREATE INDEX account_links_of_email ON account_links (email, purpose)")
    op.execute("CREATE INDEX account_links_over ON account_links (expires_at)")
    op.execute(_MAILS)
    op.execute("CREATE INDEX mails_due ON mails (due_at) WHERE done_at IS NULL")
    op.execute("CREATE INDEX mails_done ON mails (done_at) WHERE done_at IS NOT NULL")
    for table in ("account_links", "mails"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"GRANT INSERT ON {table} TO bb_app")
    op.execute(
        "CREATE POLICY added ON account_links FOR INSERT TO bb_app"
        " WITH CHECK (email = current_setting('app.link_email', true))"
    )
    # Who is not signed in may have mail sent to an address, and in nobody else's name.
    op.execute(
        "CREATE POLICY added ON mails FOR INSERT TO bb_app WITH CHECK (user_id IS NULL"
        " OR user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
    )
    op.execute("GRANT SELECT, UPDATE (used_at) ON account_links TO bb_app")
    named = "digest = current_setting('app.link_digest', true)"
    op.execute(f"CREATE POLICY named ON account_links FOR SELECT TO bb_app USING ({named})")
    op.execute(f"CREATE POLICY used ON account_links FOR UPDATE TO bb_app USING ({named})")
    op.execute(
        "CREATE POLICY addressed ON account_links FOR SELECT TO bb_app"
        " USING (email = current_setting('app.link_email', true))"
    )
    op.execute(
        "CREATE POLICY replaced ON account_links FOR UPDATE TO bb_app"
        " USING (email = current_setting('app.link_email', true))"
    )
    op.execute("GRANT SELECT (digest, expires_at), DELETE ON account_links TO bb_dispatch")
    op.execute(
        "CREATE POLICY over ON account_links TO bb_dispatch"
        " USING (expires_at < now() - interval '1 day')"
    )
    op.execute("GRANT SELECT, DELETE ON mails TO bb_dispatch")
    op.execute("GRANT UPDATE (sealed, due_at, attempts, done_at, outcome) ON mails TO bb_dispatch")
    op.execute("CREATE POLICY sending ON mails TO bb_dispatch USING (true)")
    # Its policies let its owner see none of it.
    op.execute("ALTER TABLE notices NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE notices SET sent_at = now() WHERE sent_at IS NULL")
    op.execute("ALTER TABLE notices FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute("DROP TABLE mails")
    op.execute("DROP TABLE account_links")
    op.execute("DROP TRIGGER users_stay_off ON users")
    op.execute("DROP FUNCTION users_stay_off")
    op.execute("REVOKE UPDATE (email, is_active) ON users FROM bb_app")
    op.execute("ALTER TABLE users DROP COLUMN email_verified_at")
