"""The tables, as Core metadata. Migrations make them; a test holds the two together."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

_LIVE = "status IN ('queued', 'running')"


def _moment(name: str, *, nullable: bool = False, default: bool = False) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable,
        server_default=text("now()") if default else None,
    )


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"))


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _of(table: str, column: str, child: str) -> ForeignKeyConstraint:
    """A row belongs to the same person as what it belongs to: the key names both."""
    return ForeignKeyConstraint(
        [column, "user_id"],
        [f"{table}.id", f"{table}.user_id"],
        name=f"{child}_{column}_fkey",
        ondelete="CASCADE",
    )


users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    _moment("created_at", default=True),
    UniqueConstraint("email", name="users_email_key"),
)

projects = Table(
    "projects",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("title", Text, nullable=False),
    Column("idea", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("progress", SmallInteger, nullable=False, server_default=text("0")),
    _moment("created_at", default=True),
    _moment("updated_at", default=True),
    CheckConstraint("progress BETWEEN 0 AND 100", name="projects_progress_check"),
    UniqueConstraint("id", "user_id", name="projects_id_user_id_key"),
    Index("projects_of_user", "user_id", text("id DESC")),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("mode", Text, nullable=False),
    Column("pipeline_version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("progress", SmallInteger, nullable=False, server_default=text("0")),
    Column("reuse", Boolean, nullable=False, server_default=text("true")),
    Column("retry_of", Uuid, nullable=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _count("fence"),
    _moment("lease_until", nullable=True),
    _moment("due_at", default=True),
    _moment("not_before", default=True),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    _count("event_seq"),
    _text("error_code"),
    _text("error"),
    _moment("created_at", default=True),
    _moment("started_at", nullable=True),
    _moment("finished_at", nullable=True),
    _of("projects", "project_id", "runs"),
    UniqueConstraint("id", "user_id", name="runs_id_user_id_key"),
    CheckConstraint("progress BETWEEN 0 AND 100", name="runs_progress_check"),
    Index("runs_one_live", "project_id", unique=True, postgresql_where=text(_LIVE)),
    Index("runs_due", "due_at", postgresql_where=text(_LIVE)),
    Index("runs_of_project", "project_id", text("id DESC")),
)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    _moment("at", default=True),
    _of("runs", "run_id", "run_events"),
    PrimaryKeyConstraint("run_id", "seq", name="run_events_pkey"),
)

agent_tasks = Table(
    "agent_tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("run_id", Uuid, nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("agent_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    _text("input_hash"),
    Column("output", JSONB, nullable=True),
    Column("findings", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    _count("tokens_used"),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("cache_write_tokens"),
    _count("cache_read_tokens"),
    _text("model"),
    _text("summary"),
    _count("cost_nano_usd"),
    _count("house_nano_usd"),
    _count("credits"),
    _text("error_code"),
    _text("error"),
    _moment("started_at", nullable=True),
    _moment("finished_at", nullable=True),
    _of("runs", "run_id", "agent_tasks"),
    UniqueConstraint("run_id", "step", name="agent_tasks_run_id_step_key"),
    Index(
        "agent_tasks_checkpoints",
        "project_id",
        "input_hash",
        postgresql_where=text("status = 'succeeded'"),
    ),
)

documents = Table(
    "documents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Uuid, nullable=False),
    Column("run_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("file_url", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    _moment("created_at", default=True),
    _of("projects", "project_id", "documents"),
    UniqueConstraint("project_id", "type", "format", "version", name="documents_version_key"),
    Index("documents_of_step", "run_id", "step"),
)

# No foreign keys to runs: what was bought stays on the books when a project is deleted.
model_calls = Table(
    "model_calls",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("run_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("part", Integer, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("borne_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    _count("held"),
    _text("model"),
    _text("text"),
    Column("stop", Text, nullable=True),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("cache_write_tokens"),
    _count("cache_read_tokens"),
    _count("cost_nano_usd"),
    Column("estimated", Boolean, nullable=False, server_default=text("false")),
    _text("failure"),
    _text("provider_request_id"),
    _moment("created_at", default=True),
    _moment("concluded_at", nullable=True),
    Index("model_calls_of_step", "run_id", "step", "request_hash"),
)

journal = Table(
    "journal",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("run_id", Uuid, nullable=True),
    _text("step"),
    _moment("at", default=True),
    UniqueConstraint("key", name="journal_key_key"),
    Index("journal_of_user", "user_id", "id"),
)

postings = Table(
    "postings",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("entry_id", BigInteger, ForeignKey("journal.id"), nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    CheckConstraint("amount <> 0", name="postings_amount_check"),
    Index("postings_of_entry", "entry_id"),
)

balances = Table(
    "balances",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    _count("available"),
    _count("reserved"),
    CheckConstraint("available >= 0", name="balances_available_check"),
    CheckConstraint("reserved >= 0", name="balances_reserved_check"),
)

holds = Table(
    "holds",
    metadata,
    Column("run_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("user_id", Uuid, nullable=False),
    _count("credits"),
    PrimaryKeyConstraint("user_id", "run_id", "step", name="holds_pkey"),
    CheckConstraint("credits >= 0", name="holds_credits_check"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("token", Uuid, nullable=False),
    _moment("lease_until"),
    _moment("expires_at"),
    Column("status", SmallInteger, nullable=True),
    Column("headers", JSONB(none_as_null=True), nullable=True),
    Column("body", LargeBinary, nullable=True),
    PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
    CheckConstraint("length(key) BETWEEN 1 AND 255", name="idempotency_keys_key_check"),
    CheckConstraint(
        "num_nulls(status, headers, body) IN (0, 3)", name="idempotency_keys_reply_check"
    ),
    Index("idempotency_keys_expired", "expires_at"),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("url", Text, nullable=False),
    _text("description"),
    Column("events", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    _text("disabled_reason"),
    _moment("disabled_at", nullable=True),
    Column("secret", LargeBinary, nullable=False),
    Column("previous_secret", LargeBinary, nullable=True),
    _moment("previous_until", nullable=True),
    _moment("failing_since", nullable=True),
    Column("failed_events", Integer, nullable=False, server_default=text("0")),
    _moment("announce_at", default=True),
    _moment("created_at", default=True),
    _moment("updated_at", default=True),
    UniqueConstraint("id", "user_id", name="webhook_endpoints_id_user_id_key"),
    Index("webhook_endpoints_of_user", "user_id", text("id DESC")),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _moment("created_at", default=True),
    UniqueConstraint("id", "user_id", name="webhook_events_id_user_id_key"),
    Index("webhook_events_old", "created_at"),
)

_PENDING = "state = 'pending'"

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("endpoint_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("replays", Integer, nullable=False, server_default=text("0")),
    _count("fence"),
    _moment("due_at", default=True),
    _moment("lease_until", nullable=True),
    Column("last_status", Integer, nullable=True),
    _text("error"),
    _moment("created_at", default=True),
    _moment("finished_at", nullable=True),
    PrimaryKeyConstraint("endpoint_id", "event_id", name="webhook_deliveries_pkey"),
    UniqueConstraint("endpoint_id", "event_id", "user_id", name="webhook_deliveries_key"),
    _of("webhook_endpoints", "endpoint_id", "webhook_deliveries"),
    _of("webhook_events", "event_id", "webhook_deliveries"),
    Index("webhook_deliveries_of_event", "event_id", "user_id"),
    Index("webhook_deliveries_due", "due_at", "endpoint_id", postgresql_where=text(_PENDING)),
    Index("webhook_deliveries_pending", "endpoint_id", "due_at", postgresql_where=text(_PENDING)),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("endpoint_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("user_id", Uuid, nullable=False),
    _moment("at"),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer, nullable=True),
    _text("error"),
    _text("excerpt"),
    _text("address"),
    PrimaryKeyConstraint("endpoint_id", "event_id", "number", name="webhook_attempts_pkey"),
    ForeignKeyConstraint(
        ["endpoint_id", "event_id", "user_id"],
        [f"webhook_deliveries.{column}" for column in ("endpoint_id", "event_id", "user_id")],
        name="webhook_attempts_delivery_fkey",
        ondelete="CASCADE",
    ),
)

TENANT_TABLES = (
    projects,
    runs,
    run_events,
    agent_tasks,
    documents,
    model_calls,
    journal,
    postings,
    balances,
    holds,
    idempotency_keys,
    webhook_endpoints,
    webhook_events,
    webhook_deliveries,
    webhook_attempts,
)
"""The tables whose rows belong to one person each, named by their ``user_id``."""
