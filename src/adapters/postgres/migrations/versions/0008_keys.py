"""API keys, and which runs were started with one.

``bb_app`` sees a key as its owner, or by naming the hash of its text, which nobody can who
does not hold the text: a call's key must be found before anybody knows whose it is. Keys are
never deleted.
"""

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    name text NOT NULL,
    environment text NOT NULL
        CONSTRAINT api_keys_environment_check CHECK (environment IN ('live', 'test')),
    key text NOT NULL CONSTRAINT api_keys_key_key UNIQUE,
    pepper smallint NOT NULL,
    prefix text NOT NULL,
    last_four text NOT NULL,
    previous_key text CONSTRAINT api_keys_previous_key_key UNIQUE,
    previous_pepper smallint,
    previous_prefix text,
    previous_last_four text,
    previous_until timestamptz,
    status text NOT NULL DEFAULT 'active',
    scopes jsonb NOT NULL,
    modes jsonb NOT NULL,
    allowed_ips jsonb NOT NULL,
    limits jsonb NOT NULL,
    credit_cap bigint,
    credits_used bigint NOT NULL DEFAULT 0,
    credits_held bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    rotated_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_keys_id_user_id_key UNIQUE (id, user_id),
    CONSTRAINT api_keys_status_check CHECK (
        status IN ('active', 'revoked') AND (status = 'revoked') = (revoked_at IS NOT NULL)
    ),
    CONSTRAINT api_keys_credits_check CHECK (credits_used >= 0 AND credits_held >= 0)
)
"""

_CHANGED = (
    "name, key, pepper, prefix, last_four, previous_key, previous_pepper, previous_prefix,"
    " previous_last_four, previous_until, status, scopes, modes, allowed_ips, limits, credit_cap,"
    " credits_used, credits_held, expires_at, rotated_at, revoked_at, last_used_at"
)


def upgrade() -> None:
    op.execute(_TABLE)
    op.execute("CREATE INDEX api_keys_of_user ON api_keys (user_id, id DESC)")
    op.execute("ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE api_keys FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT ON api_keys TO bb_app")
    op.execute(f"GRANT UPDATE ({_CHANGED}) ON api_keys TO bb_app")
    op.execute(
        "CREATE POLICY tenant ON api_keys TO bb_app"
        " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
    )
    op.execute(
        "CREATE POLICY presented ON api_keys FOR SELECT TO bb_app USING ("
        " key = ANY (string_to_array(current_setting('app.key_digests', true), ','))"
        " OR previous_key = ANY (string_to_array(current_setting('app.key_digests', true), ',')))"
    )
    op.execute(
        "ALTER TABLE runs ADD COLUMN api_key_id uuid,"
        " ADD COLUMN test boolean NOT NULL DEFAULT false,"
        " ADD CONSTRAINT runs_api_key_id_fkey FOREIGN KEY (api_key_id, user_id)"
        " REFERENCES api_keys (id, user_id)"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE runs DROP COLUMN api_key_id, DROP COLUMN test")
    op.execute("DROP TABLE api_keys")
