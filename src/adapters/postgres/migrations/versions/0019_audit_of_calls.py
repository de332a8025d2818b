"""The audit sees the journal of model calls, beside the accounts that bear their cost.

``bb_owner`` reads these rows in an audit's transaction alone, as it does the ledger's.
"""

from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE POLICY audit ON model_calls FOR SELECT TO CURRENT_USER"
        " USING (current_setting('app.audit', true) = 'on')"
    )


def downgrade() -> None:
    op.execute("DROP POLICY audit ON model_calls")
