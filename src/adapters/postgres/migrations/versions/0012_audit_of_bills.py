"""The audit sees what was bought, used and billed, beside the ledger.

``bb_owner`` reads these rows in an audit's transaction alone, as it does the ledger's.
"""

from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels = None
depends_on = None

_AUDITED = (
    "usage",
    "api_keys",
    "orders",
    "transactions",
    "allotments",
    "coupon_redemptions",
    "invoices",
    "credit_notes",
)


def upgrade() -> None:
    for table in _AUDITED:
        op.execute(
            f"CREATE POLICY audit ON {table} FOR SELECT TO CURRENT_USER"
            " USING (current_setting('app.audit', true) = 'on')"
        )


def downgrade() -> None:
    for table in _AUDITED:
        op.execute(f"DROP POLICY audit ON {table}")
