"""Somebody's runs are found in their order, without a look at everybody's."""

from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX runs_of_user ON runs (user_id, id DESC)")


def downgrade() -> None:
    op.execute("DROP INDEX runs_of_user")
