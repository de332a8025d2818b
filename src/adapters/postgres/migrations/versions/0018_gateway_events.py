"""Events of the payment gateway's that were acted on long ago can be deleted."""

from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("GRANT DELETE ON gateway_events TO bb_dispatch")


def downgrade() -> None:
    op.execute("REVOKE DELETE ON gateway_events FROM bb_dispatch")
