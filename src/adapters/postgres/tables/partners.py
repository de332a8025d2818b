"""Keys, the log of their requests, and webhooks."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from adapters.postgres.tables.columns import count, metadata, moment, owned_by, text_column

# The seed's ``key`` holds the hash of the key's text: nothing holds the text.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("pepper", SmallInteger, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("previous_key", Text, nullable=True),
    Column("previous_pepper", SmallInteger, nullable=True),
    Column("previous_prefix", Text, nullable=True),
    Column("previous_last_four", Text, nullable=True),
    moment("previous_until", nullable=True),
    Column("status", Text, nullable=False, server_default=text("'active'")),
    Column("scopes", JSONB, nullable=False),
    Column("modes", JSONB, nullable=False),
    Column("allowed_ips", JSONB, nullable=False),
    Column("limits", JSONB, nullable=False),
    Column("credit_cap", BigInteger, nullable=True),
    count("credits_used"),
    count("credits_held"),
    moment("created_at", default=True),
    moment("expires_at", nullable=True),
    moment("rotated_at", nullable=True),
    moment("revoked_at", nullable=True),
    moment("last_used_at", nullable=True),
    UniqueConstraint("key", name="api_keys_key_key"),
    UniqueConstraint("previous_key", name="api_keys_previous_key_key"),
    UniqueConstraint("id", "user_id", name="api_keys_id_user_id_key"),
    CheckConstraint("environment IN ('live', 'test')", name="api_keys_environment_check"),
    CheckConstraint(
        "status IN ('active', 'revoked') AND (status = 'revoked') = (revoked_at IS NOT NULL)",
        name="api_keys_status_check",
    ),
    CheckConstraint("credits_used >= 0 AND credits_held >= 0", name="api_keys_credits_check"),
    Index("api_keys_of_user", "user_id", text("id DESC")),
)

# Partitioned by month. No foreign keys: a log refuses nothing that happened.
usage_logs = Table(
    "usage_logs",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("api_key_id", Uuid, nullable=False),
    moment("at"),
    Column("route", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("latency_us", Integer, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("run_id", Uuid, nullable=True),
    Column("requests", Integer, nullable=False, server_default=text("1")),
    PrimaryKeyConstraint("user_id", "at", "id", name="usage_logs_pkey"),
    Index("usage_logs_of_key", "api_key_id", "at", "id"),
    postgresql_partition_by="RANGE (at)",
)

usage_hours = Table(
    "usage_hours",
    metadata,
    Column("user_id", Uuid, nullable=False),
    Column("api_key_id", Uuid, nullable=False),
    moment("hour"),
    Column("route", Text, nullable=False),
    Column("status_class", SmallInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("latency_us", BigInteger, nullable=False),
    PrimaryKeyConstraint(
        "user_id", "hour", "api_key_id", "route", "status_class", name="usage_hours_pkey"
    ),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("url", Text, nullable=False),
    text_column("description"),
    Column("events", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    text_column("disabled_reason"),
    moment("disabled_at", nullable=True),
    Column("secret", LargeBinary, nullable=False),
    Column("previous_secret", LargeBinary, nullable=True),
    moment("previous_until", nullable=True),
    moment("failing_since", nullable=True),
    Column("failed_events", Integer, nullable=False, server_default=text("0")),
    moment("announce_at", default=True),
    moment("created_at", default=True),
    moment("updated_at", default=True),
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
    moment("created_at", default=True),
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
    count("fence"),
    moment("due_at", default=True),
    moment("lease_until", nullable=True),
    Column("last_status", Integer, nullable=True),
    text_column("error"),
    moment("created_at", default=True),
    moment("finished_at", nullable=True),
    PrimaryKeyConstraint("endpoint_id", "event_id", name="webhook_deliveries_pkey"),
    UniqueConstraint("endpoint_id", "event_id", "user_id", name="webhook_deliveries_key"),
    owned_by("webhook_endpoints", "endpoint_id", "webhook_deliveries"),
    owned_by("webhook_events", "event_id", "webhook_deliveries"),
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
    moment("at"),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer, nullable=True),
    text_column("error"),
    text_column("excerpt"),
    text_column("address"),
    PrimaryKeyConstraint("endpoint_id", "event_id", "number", name="webhook_attempts_pkey"),
    ForeignKeyConstraint(
        ["endpoint_id", "event_id", "user_id"],
        [f"webhook_deliveries.{column}" for column in ("endpoint_id", "event_id", "user_id")],
        name="webhook_attempts_delivery_fkey",
        ondelete="CASCADE",
    ),
)
