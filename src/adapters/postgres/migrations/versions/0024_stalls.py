"""Leases that a run lost to a worker which lives are counted apart from those of dead ones."""

from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE runs ADD COLUMN stalls integer NOT NULL DEFAULT 0")
    op.execute("GRANT UPDATE (stalls) ON runs TO bb_dispatch")


def downgrade() -> None:
    op.execute("ALTER TABLE runs DROP COLUMN stalls")
