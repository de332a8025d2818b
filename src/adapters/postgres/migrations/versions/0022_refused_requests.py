"""A row of the usage log may stand for many requests that were refused for their rate."""

from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE usage_logs ADD COLUMN requests integer NOT NULL DEFAULT 1")
    op.execute("GRANT SELECT (requests) ON usage_logs TO bb_dispatch")


def downgrade() -> None:
    op.execute("ALTER TABLE usage_logs DROP COLUMN requests")
