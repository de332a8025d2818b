"""People, how they sign in, and their sessions."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
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
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.postgres.tables.columns import count, metadata, moment, owned_by, text_column

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    moment("created_at", default=True),
    Column("session_version", Integer, nullable=False, server_default=text("1")),
    moment("email_verified_at", nullable=True),
    UniqueConstraint("email", name="users_email_key"),
)

account_links = Table(
    "account_links",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=True),
    text_column("name"),
    text_column("password"),
    moment("created_at", default=True),
    moment("expires_at"),
    moment("used_at", nullable=True),
    Index("account_links_of_email", "email", "purpose"),
    Index("account_links_over", "expires_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("methods", ARRAY(Text), nullable=False),
    text_column("address"),
    text_column("agent"),
    moment("created_at", default=True),
    moment("authenticated_at", default=True),
    moment("last_used_at", default=True),
    moment("expires_at"),
    moment("ended_at", nullable=True),
    Column("ended_by", Text, nullable=True),
    CheckConstraint(
        "(ended_at IS NULL) = (ended_by IS NULL)",
        name="sessions_ended_check",
    ),
    UniqueConstraint("id", "user_id", name="sessions_id_user_id_key"),
    Index("sessions_of_user", "user_id", postgresql_where=text("ended_at IS NULL")),
    Index("sessions_over", text("least(ended_at, expires_at)")),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("session_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("generation", Integer, nullable=False),
    moment("issued_at", default=True),
    moment("used_at", nullable=True),
    Column("salt", LargeBinary, nullable=True),
    CheckConstraint("(used_at IS NULL) = (salt IS NULL)", name="refresh_tokens_used_check"),
    UniqueConstraint("session_id", "generation", name="refresh_tokens_generation_key"),
    owned_by("sessions", "session_id", "refresh_tokens"),
)

linked_identities = Table(
    "linked_identities",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("subject", Text, nullable=False),
    text_column("email"),
    moment("linked_at", default=True),
    moment("last_used_at", nullable=True),
    PrimaryKeyConstraint("provider", "subject", name="linked_identities_pkey"),
    UniqueConstraint("user_id", "provider", name="linked_identities_user_id_provider_key"),
)

totp_factors = Table(
    "totp_factors",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("secret", LargeBinary, nullable=True),
    Column("proposed", LargeBinary, nullable=True),
    moment("confirmed_at", nullable=True),
    count("last_step"),
    CheckConstraint(
        "(secret IS NULL) = (confirmed_at IS NULL)", name="totp_factors_confirmed_check"
    ),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("digest", Text, nullable=False),
    moment("created_at", default=True),
    moment("used_at", nullable=True),
    PrimaryKeyConstraint("user_id", "digest", name="recovery_codes_pkey"),
)

sign_in_challenges = Table(
    "sign_in_challenges",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("methods", ARRAY(Text), nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    moment("created_at", default=True),
    moment("expires_at"),
    moment("used_at", nullable=True),
    Index("sign_in_challenges_of_user", "user_id"),
    Index("sign_in_challenges_over", "expires_at"),
)

erasures = Table(
    "erasures",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    moment("asked_at", default=True),
    moment("due_at", default=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    text_column("error"),
    Index("erasures_due", "due_at"),
)
