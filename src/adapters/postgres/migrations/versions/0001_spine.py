"""The spine: people, projects, runs with their steps and events, documents, calls, ledger.

The roles ``bb_app`` and ``bb_dispatch`` exist before the first migration. Grants are
given table by table: what is not granted is refused, and row-level security is forced,
so that even the owner of the tables reads no tenant's rows by accident.
"""

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL CONSTRAINT users_email_key UNIQUE,
    name text NOT NULL,
    password text NOT NULL,
    role text NOT NULL CONSTRAINT users_role_check CHECK (role IN ('member', 'partner', 'admin')),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE projects (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    title text NOT NULL,
    idea text NOT NULL,
    mode text NOT NULL,
    status text NOT NULL,
    progress smallint NOT NULL DEFAULT 0
        CONSTRAINT projects_progress_check CHECK (progress BETWEEN 0 AND 100),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projects_id_user_id_key UNIQUE (id, user_id)
);
CREATE INDEX projects_of_user ON projects (user_id, id DESC);
CREATE TABLE runs (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    mode text NOT NULL,
    pipeline_version integer NOT NULL,
    status text NOT NULL,
    progress smallint NOT NULL DEFAULT 0
        CONSTRAINT runs_progress_check CHECK (progress BETWEEN 0 AND 100),
    reuse boolean NOT NULL DEFAULT true,
    retry_of uuid,
    attempts integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    due_at timestamptz NOT NULL DEFAULT now(),
    not_before timestamptz NOT NULL DEFAULT now(),
    cancel_requested boolean NOT NULL DEFAULT false,
    event_seq bigint NOT NULL DEFAULT 0,
    error_code text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT runs_project_id_fkey FOREIGN KEY (project_id, user_id)
        REFERENCES projects (id, user_id) ON DELETE CASCADE,
    CONSTRAINT runs_id_user_id_key UNIQUE (id, user_id)
);
CREATE UNIQUE INDEX runs_one_live ON runs (project_id) WHERE status IN ('queued', 'running');
CREATE INDEX runs_due ON runs (due_at) WHERE status IN ('queued', 'running');
CREATE INDEX runs_of_project ON runs (project_id, id DESC);
CREATE TABLE run_events (
    run_id uuid NOT NULL,
    seq bigint NOT NULL,
    user_id uuid NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT run_events_run_id_fkey FOREIGN KEY (run_id, user_id)
        REFERENCES runs (id, user_id) ON DELETE CASCADE,
    CONSTRAINT run_events_pkey PRIMARY KEY (run_id, seq)
);
CREATE TABLE agent_tasks (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    step text NOT NULL,
    agent_type text NOT NULL,
    status text NOT NULL,
    attempt integer NOT NULL DEFAULT 1,
    input_hash text NOT NULL DEFAULT '',
    output jsonb,
    findings jsonb NOT NULL DEFAULT '[]'::jsonb,
    tokens_used bigint NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cache_write_tokens bigint NOT NULL DEFAULT 0,
    cache_read_tokens bigint NOT NULL DEFAULT 0,
    model text NOT NULL DEFAULT '',
    summary text NOT NULL DEFAULT '',
    cost_nano_usd bigint NOT NULL DEFAULT 0,
    house_nano_usd bigint NOT NULL DEFAULT 0,
    credits bigint NOT NULL DEFAULT 0,
    error_code text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT agent_tasks_run_id_fkey FOREIGN KEY (run_id, user_id)
        REFERENCES runs (id, user_id) ON DELETE CASCADE,
    CONSTRAINT agent_tasks_run_id_step_key UNIQUE (run_id, step)
);
CREATE INDEX agent_tasks_checkpoints ON agent_tasks (project_id, input_hash)
    WHERE status = 'succeeded';
CREATE TABLE documents (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    run_id uuid NOT NULL,
    user_id uuid NOT NULL,
    step text NOT NULL,
    type text NOT NULL,
    format text NOT NULL,
    version integer NOT NULL,
    title text NOT NULL,
    filename text NOT NULL,
    media_type text NOT NULL,
    file_url text NOT NULL,
    sha256 text NOT NULL,
    size bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT documents_project_id_fkey FOREIGN KEY (project_id, user_id)
        REFERENCES projects (id, user_id) ON DELETE CASCADE,
    CONSTRAINT documents_version_key UNIQUE (project_id, type, format, version)
);
CREATE INDEX documents_of_step ON documents (run_id, step);
CREATE TABLE model_calls (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    run_id uuid NOT NULL,
    step text NOT NULL,
    request_hash text NOT NULL,
    part integer NOT NULL,
    purpose text NOT NULL,
    borne_by text NOT NULL,
    state text NOT NULL,
    held bigint NOT NULL DEFAULT 0,
    model text NOT NULL DEFAULT '',
    text text NOT NULL DEFAULT '',
    stop text,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cache_write_tokens bigint NOT NULL DEFAULT 0,
    cache_read_tokens bigint NOT NULL DEFAULT 0,
    cost_nano_usd bigint NOT NULL DEFAULT 0,
    estimated boolean NOT NULL DEFAULT false,
    failure text NOT NULL DEFAULT '',
    provider_request_id text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    concluded_at timestamptz
);
CREATE INDEX model_calls_of_step ON model_calls (run_id, step, request_hash);
CREATE TABLE journal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL CONSTRAINT journal_key_key UNIQUE,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    run_id uuid,
    step text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX journal_of_user ON journal (user_id, id);
CREATE TABLE postings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry_id bigint NOT NULL REFERENCES journal (id),
    user_id uuid NOT NULL,
    account text NOT NULL CONSTRAINT postings_account_check
        CHECK (account IN ('available', 'reserved', 'grants', 'revenue', 'house_cost')),
    amount bigint NOT NULL CONSTRAINT postings_amount_check CHECK (amount <> 0)
);
CREATE INDEX postings_of_entry ON postings (entry_id);
CREATE TABLE balances (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    available bigint NOT NULL DEFAULT 0
        CONSTRAINT balances_available_check CHECK (available >= 0),
    reserved bigint NOT NULL DEFAULT 0
        CONSTRAINT balances_reserved_check CHECK (reserved >= 0)
);
CREATE TABLE holds (
    run_id uuid NOT NULL,
    step text NOT NULL,
    user_id uuid NOT NULL,
    credits bigint NOT NULL DEFAULT 0 CONSTRAINT holds_credits_check CHECK (credits >= 0),
    CONSTRAINT holds_pkey PRIMARY KEY (user_id, run_id, step)
);
"""

# The sum is checked when the transaction commits, over all postings of the entry: an
# entry that does not balance cannot be kept, whatever wrote it.
_BALANCED = """
CREATE FUNCTION entry_is_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT coalesce(sum(amount), 1) FROM postings WHERE entry_id = NEW.entry_id) <> 0 THEN
        RAISE EXCEPTION 'the postings of entry % do not sum to zero', NEW.entry_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_balanced';
    END IF;
    RETURN NULL;
END $$;
"""
_BALANCED_TRIGGER = """
CREATE CONSTRAINT TRIGGER postings_balanced AFTER INSERT ON postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entry_is_balanced();
"""

_TENANT_GRANTS = {
    "projects": "SELECT, INSERT, UPDATE, DELETE",
    "runs": "SELECT, INSERT, UPDATE",
    "run_events": "SELECT, INSERT",
    "agent_tasks": "SELECT, INSERT, UPDATE",
    "documents": "SELECT, INSERT",
    "model_calls": "SELECT, INSERT, UPDATE",
    "journal": "SELECT, INSERT",
    "postings": "SELECT, INSERT",
    "balances": "SELECT, INSERT, UPDATE",
    "holds": "SELECT, INSERT, UPDATE, DELETE",
}


def upgrade() -> None:
    _run(_TABLES)
    op.execute(_BALANCED)
    op.execute(_BALANCED_TRIGGER)
    op.execute("GRANT SELECT, INSERT ON users TO bb_app")
    op.execute("GRANT UPDATE (password, name) ON users TO bb_app")
    for table, grants in _TENANT_GRANTS.items():
        op.execute(f"GRANT {grants} ON {table} TO bb_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO bb_app"
            " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
        )
    op.execute("GRANT SELECT ON alembic_version TO bb_app, bb_dispatch")
    op.execute("GRANT SELECT ON runs TO bb_dispatch")
    op.execute(
        "GRANT UPDATE (status, fence, attempts, lease_until, due_at, not_before, started_at)"
        " ON runs TO bb_dispatch"
    )
    op.execute("CREATE POLICY scheduling ON runs TO bb_dispatch USING (true)")


def downgrade() -> None:
    for table in (*reversed(list(_TENANT_GRANTS)), "users"):
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute("DROP FUNCTION entry_is_balanced")


def _run(statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            op.execute(statement)
