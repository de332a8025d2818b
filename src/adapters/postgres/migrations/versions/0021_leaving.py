"""What somebody leaves behind who deletes their account: objects to delete, and what goes at once.

``bb_app`` drops its person's billing profile (invoices have the buyer in them), the links that were
sent to them, and their address from the seats they were given, which are free then. That their
objects are to be deleted is a due row: ``bb_app`` adds it, the dispatcher works on it.
"""

from alembic import op

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels = None
depends_on = None

_ERASURES = """
CREATE TABLE erasures (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    asked_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT ''
)
"""

_ME = "nullif(current_setting('app.user_id', true), '')::uuid"
_SENT_TO_ME = f"user_id = {_ME} OR email = current_setting('app.link_email', true)"
# The last is what the address is replaced by: a row that is changed must still be seen.
_HELD = (
    f"holder_id = {_ME} OR email = current_setting('app.seat_email', true)"
    " OR email = 'deleted-' || current_setting('app.user_id', true) || '@deleted.invalid'"
)


def upgrade() -> None:
    op.execute("GRANT DELETE ON billing_profiles TO bb_app")
    op.execute("GRANT DELETE ON notices TO bb_app")

    op.execute("GRANT DELETE ON account_links TO bb_app")
    op.execute(f"CREATE POLICY mine ON account_links FOR SELECT TO bb_app USING (user_id = {_ME})")
    op.execute(f"CREATE POLICY gone ON account_links FOR DELETE TO bb_app USING ({_SENT_TO_ME})")

    op.execute("CREATE INDEX seats_of_holder ON seats (holder_id) WHERE holder_id IS NOT NULL")
    op.execute("CREATE INDEX seats_of_email ON seats (email)")
    op.execute("GRANT UPDATE (email) ON seats TO bb_app")
    op.execute(f"CREATE POLICY held ON seats FOR SELECT TO bb_app USING ({_HELD})")
    op.execute(
        f"CREATE POLICY left_behind ON seats FOR UPDATE TO bb_app USING ({_HELD})"
        f" WITH CHECK (({_HELD}) AND withdrawn_at IS NOT NULL)"
    )

    op.execute(_ERASURES)
    op.execute("CREATE INDEX erasures_due ON erasures (due_at)")
    op.execute("ALTER TABLE erasures ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE erasures FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT (user_id) ON erasures TO bb_app")
    op.execute(f"CREATE POLICY tenant ON erasures TO bb_app USING (user_id = {_ME})")
    op.execute("GRANT SELECT, DELETE, UPDATE (due_at, attempts, error) ON erasures TO bb_dispatch")
    op.execute("CREATE POLICY erasing ON erasures TO bb_dispatch USING (true)")


def downgrade() -> None:
    op.execute("DROP TABLE erasures")
    op.execute("DROP POLICY left_behind ON seats")
    op.execute("DROP POLICY held ON seats")
    op.execute("REVOKE UPDATE (email) ON seats FROM bb_app")
    op.execute("DROP INDEX seats_of_email")
    op.execute("DROP INDEX seats_of_holder")
    op.execute("DROP POLICY gone ON account_links")
    op.execute("DROP POLICY mine ON account_links")
    op.execute("REVOKE DELETE ON account_links FROM bb_app")
    op.execute("REVOKE DELETE ON notices FROM bb_app")
    op.execute("REVOKE DELETE ON billing_profiles FROM bb_app")
