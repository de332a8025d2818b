"""Webhooks: endpoints, events, deliveries and their attempts.

``bb_dispatch`` finds and claims due deliveries and deletes old events; its grants leave out
URLs, secrets, what was said and what was answered.
"""

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    url text NOT NULL,
    description text NOT NULL DEFAULT '',
    events text[] NOT NULL DEFAULT '{}',
    disabled_reason text NOT NULL DEFAULT '' CONSTRAINT webhook_endpoints_reason_check
        CHECK (disabled_reason IN ('', 'owner', 'gone', 'failing')),
    disabled_at timestamptz,
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_until timestamptz,
    failing_since timestamptz,
    failed_events integer NOT NULL DEFAULT 0,
    announce_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_endpoints_id_user_id_key UNIQUE (id, user_id)
);
CREATE INDEX webhook_endpoints_of_user ON webhook_endpoints (user_id, id DESC);
CREATE TABLE webhook_events (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    type text NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_events_id_user_id_key UNIQUE (id, user_id)
);
CREATE INDEX webhook_events_old ON webhook_events (created_at);
CREATE TABLE webhook_deliveries (
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    user_id uuid NOT NULL,
    type text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CONSTRAINT webhook_deliveries_state_check
        CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    replays integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    last_status integer,
    error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (endpoint_id, event_id),
    CONSTRAINT webhook_deliveries_key UNIQUE (endpoint_id, event_id, user_id),
    CONSTRAINT webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id, user_id)
        REFERENCES webhook_endpoints (id, user_id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_event_id_fkey FOREIGN KEY (event_id, user_id)
        REFERENCES webhook_events (id, user_id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (event_id, user_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at, endpoint_id)
    WHERE state = 'pending';
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint_id, due_at)
    WHERE state = 'pending';
CREATE TABLE webhook_attempts (
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    number bigint NOT NULL,
    user_id uuid NOT NULL,
    at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    status integer,
    error text NOT NULL DEFAULT '',
    excerpt text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT '',
    CONSTRAINT webhook_attempts_pkey PRIMARY KEY (endpoint_id, event_id, number),
    CONSTRAINT webhook_attempts_delivery_fkey FOREIGN KEY (endpoint_id, event_id, user_id)
        REFERENCES webhook_deliveries (endpoint_id, event_id, user_id) ON DELETE CASCADE
);
"""

_TENANT_GRANTS = {
    "webhook_endpoints": (
        "SELECT, INSERT, DELETE, UPDATE (url, description, events, disabled_reason, disabled_at,"
        " secret, previous_secret, previous_until, failing_since, failed_events, updated_at)"
    ),
    "webhook_events": "SELECT, INSERT",
    "webhook_deliveries": (
        "SELECT, INSERT, UPDATE (state, attempts, replays, due_at, lease_until, last_status,"
        " error, finished_at)"
    ),
    "webhook_attempts": "SELECT, INSERT",
}

_DISPATCH_GRANTS = {
    "webhook_endpoints": (
        "SELECT (id, disabled_reason, failing_since, announce_at), UPDATE (announce_at)"
    ),
    "webhook_deliveries": (
        "SELECT (endpoint_id, event_id, user_id, state, attempts, fence, due_at, lease_until),"
        " UPDATE (attempts, fence, due_at, lease_until)"
    ),
    "webhook_events": "SELECT (id, created_at), DELETE",
}

_OLD = "created_at < now() - interval '7 days'"


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table, grants in _TENANT_GRANTS.items():
        op.execute(f"GRANT {grants} ON {table} TO bb_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO bb_app"
            " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
        )
    for table, grants in _DISPATCH_GRANTS.items():
        op.execute(f"GRANT {grants} ON {table} TO bb_dispatch")
    for table in ("webhook_endpoints", "webhook_deliveries"):
        op.execute(f"CREATE POLICY scheduling ON {table} TO bb_dispatch USING (true)")
    for command in ("SELECT", "DELETE"):
        op.execute(
            f"CREATE POLICY old_{command.lower()} ON webhook_events"
            f" FOR {command} TO bb_dispatch USING ({_OLD})"
        )


def downgrade() -> None:
    for table in ("attempts", "deliveries", "events", "endpoints"):
        op.execute(f"DROP TABLE webhook_{table}")
