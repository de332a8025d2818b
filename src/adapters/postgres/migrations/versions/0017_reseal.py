"""An operator seals what is kept sealed anew, under a newer key.

``bb_owner`` sees and changes these rows in a transaction that says that it reseals, and not
otherwise. No service gets more than it had.
"""

from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels = None
depends_on = None

_SEALED = ("webhook_endpoints", "totp_factors", "mails")


def upgrade() -> None:
    for table in _SEALED:
        for command in ("SELECT", "UPDATE"):
            op.execute(
                f"CREATE POLICY reseal_{command.lower()} ON {table} FOR {command} TO CURRENT_USER"
                " USING (current_setting('app.reseal', true) = 'on')"
            )


def downgrade() -> None:
    for table in _SEALED:
        for command in ("select", "update"):
            op.execute(f"DROP POLICY reseal_{command} ON {table}")
