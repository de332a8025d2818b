"""What was done, and what people are told."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables.columns import metadata, moment, text_column

mails = Table(
    "mails",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("user_id", Uuid, nullable=True),
    Column("sealed", LargeBinary, nullable=False),
    moment("created_at", default=True),
    moment("due_at", default=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment("done_at", nullable=True),
    text_column("outcome"),
    Index("mails_due", "due_at", postgresql_where=text("done_at IS NULL")),
    Index("mails_done", "done_at", postgresql_where=text("done_at IS NOT NULL")),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("subscription_id", Uuid, nullable=True),
    moment("created_at"),
    moment("sent_at", nullable=True),
    UniqueConstraint("user_id", "key", name="notices_key_key"),
    Index("notices_unsent", "created_at", postgresql_where=text("sent_at IS NULL")),
    Index(
        "notices_of_subscription",
        "subscription_id",
        text("id DESC"),
        postgresql_where=text("subscription_id IS NOT NULL"),
    ),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    moment("at", default=True),
    Column("user_id", Uuid, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Uuid, nullable=True),
    Column("api_key_id", Uuid, nullable=True),
    text_column("actor_name"),
    text_column("address"),
    text_column("request_id"),
    Column("action", Text, nullable=False),
    text_column("subject_id"),
    Column("before", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("after", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    CheckConstraint(
        "actor_kind IN ('person', 'key', 'operator', 'system', 'nobody')",
        name="audit_log_actor_kind_check",
    ),
    CheckConstraint(
        "(actor_kind IN ('person', 'key')) = (actor_id IS NOT NULL)"
        " AND (actor_kind = 'key') = (api_key_id IS NOT NULL)",
        name="audit_log_actor_check",
    ),
    Index("audit_log_of_user", "user_id", text("id DESC")),
    Index(
        "audit_log_of_actor",
        "actor_id",
        text("id DESC"),
        postgresql_where=text("actor_id IS NOT NULL"),
    ),
    Index("audit_log_of_subject", "subject_id", text("id DESC")),
    Index("audit_log_at", "at"),
)
