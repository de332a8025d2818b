"""What an operator's key stands for is kept with the reply, and no longer with the refund."""

from alembic import op

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE transactions DROP COLUMN request_key")


def downgrade() -> None:
    op.execute("ALTER TABLE transactions ADD COLUMN request_key text NOT NULL DEFAULT ''")
