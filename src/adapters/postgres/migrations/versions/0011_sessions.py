"""Sessions, and the hashes of their refresh tokens.

``bb_app`` sees a session as its owner. A refresh token's row it sees also by naming its hash, which
nobody can who does not hold the token: it must be found before anybody knows whose it is.
``bb_dispatch`` sees and deletes what has been over for a month. A session's tokens go with it.
"""

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels = None
depends_on = None

_SESSIONS = """
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    version integer NOT NULL,
    methods text[] NOT NULL,
    address text NOT NULL DEFAULT '',
    agent text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    authenticated_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by text,
    CONSTRAINT sessions_ended_check CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CONSTRAINT sessions_id_user_id_key UNIQUE (id, user_id)
)
"""

_TOKENS = """
CREATE TABLE refresh_tokens (
    digest text PRIMARY KEY,
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    generation integer NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    salt bytea,
    CONSTRAINT refresh_tokens_used_check CHECK ((used_at IS NULL) = (salt IS NULL)),
    CONSTRAINT refresh_tokens_generation_key UNIQUE (session_id, generation),
    CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id, user_id)
        REFERENCES sessions (id, user_id) ON DELETE CASCADE
)
"""

_MINE = "user_id = nullif(current_setting('app.user_id', true), '')::uuid"


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN session_version integer NOT NULL DEFAULT 1")
    op.execute("GRANT UPDATE (session_version) ON users TO bb_app")
    op.execute(_SESSIONS)
    op.execute("CREATE INDEX sessions_of_user ON sessions (user_id) WHERE ended_at IS NULL")
    op.execute("CREATE INDEX sessions_over ON sessions (least(ended_at, expires_at))")
    op.execute(_TOKENS)
    for table in ("sessions", "refresh_tokens"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} TO bb_app USING ({_MINE})")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO bb_app")
    op.execute(
        "GRANT UPDATE (version, address, agent, methods, authenticated_at, last_used_at,"
        " expires_at, ended_at, ended_by) ON sessions TO bb_app"
    )
    op.execute("GRANT UPDATE (used_at, salt) ON refresh_tokens TO bb_app")
    op.execute(
        "CREATE POLICY presented ON refresh_tokens FOR SELECT TO bb_app"
        " USING (digest = current_setting('app.refresh_digest', true))"
    )
    op.execute("GRANT SELECT (id, ended_at, expires_at), DELETE ON sessions TO bb_dispatch")
    op.execute(
        "CREATE POLICY over ON sessions TO bb_dispatch"
        " USING (least(ended_at, expires_at) < now() - interval '30 days')"
    )


def downgrade() -> None:
    op.execute("DROP TABLE refresh_tokens")
    op.execute("DROP TABLE sessions")
    op.execute("ALTER TABLE users DROP COLUMN session_version")
