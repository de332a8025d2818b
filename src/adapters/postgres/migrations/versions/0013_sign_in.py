"""Other ways in, and the second factor: linked identities, authenticator apps, recovery codes,
and the sign-ins that wait for one.

``bb_app`` sees an identity or a challenge as its owner, or by naming it: whoever signs in with
one is not known before it is found.
"""

from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE linked_identities (
    user_id uuid NOT NULL REFERENCES users (id),
    provider text NOT NULL,
    subject text NOT NULL,
    email text NOT NULL DEFAULT '',
    linked_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    CONSTRAINT linked_identities_pkey PRIMARY KEY (provider, subject),
    CONSTRAINT linked_identities_user_id_provider_key UNIQUE (user_id, provider)
);
CREATE TABLE totp_factors (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    secret bytea,
    proposed bytea,
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0,
    CONSTRAINT totp_factors_confirmed_check CHECK ((secret IS NULL) = (confirmed_at IS NULL))
);
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id),
    digest text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, digest)
);
CREATE TABLE sign_in_challenges (
    digest text PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    version integer NOT NULL,
    methods text[] NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX sign_in_challenges_of_user ON sign_in_challenges (user_id);
"""

_GRANTS = {
    "linked_identities": "SELECT, INSERT, DELETE, UPDATE (email, last_used_at)",
    "totp_factors": ("SELECT, INSERT, DELETE, UPDATE (secret, proposed, confirmed_at, last_step)"),
    "recovery_codes": "SELECT, INSERT, DELETE, UPDATE (used_at)",
    "sign_in_challenges": "SELECT, INSERT, DELETE, UPDATE (attempts, used_at)",
}

_PRESENTED = {
    "linked_identities": "provider || ':' || subject = current_setting('app.identity', true)",
    "sign_in_challenges": "digest = current_setting('app.challenge', true)",
}


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table, grants in _GRANTS.items():
        op.execute(f"GRANT {grants} ON {table} TO bb_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO bb_app"
            " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
        )
    for table, named in _PRESENTED.items():
        op.execute(f"CREATE POLICY presented ON {table} FOR SELECT TO bb_app USING ({named})")


def downgrade() -> None:
    for table in ("sign_in_challenges", "recovery_codes", "totp_factors", "linked_identities"):
        op.execute(f"DROP TABLE {table}")
