"""Idempotency keys: what a request with a key was answered, for a day.

``bb_dispatch`` deletes what has expired and sees nothing else: its policies say so, and
its grant leaves out what was asked and answered.
"""

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE idempotency_keys (
    user_id uuid NOT NULL REFERENCES users (id),
    key text NOT NULL,
    request_hash text NOT NULL,
    token uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    status smallint,
    headers jsonb,
    body bytea,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, key),
    CONSTRAINT idempotency_keys_key_check CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_keys_reply_check
        CHECK (num_nulls(status, headers, body) IN (0, 3))
)
"""


def upgrade() -> None:
    op.execute(_TABLE)
    op.execute("CREATE INDEX idempotency_keys_expired ON idempotency_keys (expires_at)")
    op.execute("ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT ON idempotency_keys TO bb_app")
    op.execute(
        "GRANT UPDATE (request_hash, token, lease_until, expires_at, status, headers, body)"
        " ON idempotency_keys TO bb_app"
    )
    op.execute(
        "CREATE POLICY tenant ON idempotency_keys TO bb_app"
        " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
    )
    op.execute("GRANT DELETE ON idempotency_keys TO bb_dispatch")
    op.execute("GRANT SELECT (user_id, key, expires_at) ON idempotency_keys TO bb_dispatch")
    for command in ("SELECT", "DELETE"):
        op.execute(
            f"CREATE POLICY expired_{command.lower()} ON idempotency_keys"
            f" FOR {command} TO bb_dispatch USING (expires_at <= now())"
        )


def downgrade() -> None:
    op.execute("DROP TABLE idempotency_keys")
