"""The tables, as Core metadata. Migrations make them; a test holds the two together."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Constraint,
    Date,
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
    Column("session_version", Integer, nullable=False, server_default=text("1")),
    _moment("email_verified_at", nullable=True),
    UniqueConstraint("email", name="users_email_key"),
)

account_links = Table(
    "account_links",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=True),
    _text("name"),
    _text("password"),
    _moment("created_at", default=True),
    _moment("expires_at"),
    _moment("used_at", nullable=True),
    Index("account_links_of_email", "email", "purpose"),
    Index("account_links_over", "expires_at"),
)

mails = Table(
    "mails",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("user_id", Uuid, nullable=True),
    Column("sealed", LargeBinary, nullable=False),
    _moment("created_at", default=True),
    _moment("due_at", default=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _moment("done_at", nullable=True),
    _text("outcome"),
    Index("mails_due", "due_at", postgresql_where=text("done_at IS NULL")),
    Index("mails_done", "done_at", postgresql_where=text("done_at IS NOT NULL")),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("methods", ARRAY(Text), nullable=False),
    _text("address"),
    _text("agent"),
    _moment("created_at", default=True),
    _moment("authenticated_at", default=True),
    _moment("last_used_at", default=True),
    _moment("expires_at"),
    _moment("ended_at", nullable=True),
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
    _moment("issued_at", default=True),
    _moment("used_at", nullable=True),
    Column("salt", LargeBinary, nullable=True),
    CheckConstraint("(used_at IS NULL) = (salt IS NULL)", name="refresh_tokens_used_check"),
    UniqueConstraint("session_id", "generation", name="refresh_tokens_generation_key"),
    _of("sessions", "session_id", "refresh_tokens"),
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
    _moment("retention_due_at", nullable=True),
    CheckConstraint("progress BETWEEN 0 AND 100", name="projects_progress_check"),
    UniqueConstraint("id", "user_id", name="projects_id_user_id_key"),
    Index("projects_of_user", "user_id", text("id DESC")),
    Index("projects_untouched", "updated_at"),
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
    Column("cap_credits", BigInteger, nullable=True),
    _count("charged_credits"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("stalls", Integer, nullable=False, server_default=text("0")),
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
    Column("api_key_id", Uuid, nullable=True),
    Column("test", Boolean, nullable=False, server_default=text("false")),
    _of("projects", "project_id", "runs"),
    ForeignKeyConstraint(
        ["api_key_id", "user_id"],
        ["api_keys.id", "api_keys.user_id"],
        name="runs_api_key_id_fkey",
    ),
    UniqueConstraint("id", "user_id", name="runs_id_user_id_key"),
    CheckConstraint("progress BETWEEN 0 AND 100", name="runs_progress_check"),
    CheckConstraint("cap_credits > 0", name="runs_cap_credits_check"),
    CheckConstraint("charged_credits BETWEEN 0 AND cap_credits", name="runs_charged_credits_check"),
    Index("runs_one_live", "project_id", unique=True, postgresql_where=text(_LIVE)),
    Index("runs_due", "due_at", postgresql_where=text(_LIVE)),
    Index("runs_of_project", "project_id", text("id DESC")),
    Index("runs_of_user", "user_id", text("id DESC")),
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
    _count("cache_write_1h_tokens"),
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
    _count("bound_nano_usd"),
    _text("model"),
    _text("text"),
    Column("stop", Text, nullable=True),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("cache_write_tokens"),
    _count("cache_read_tokens"),
    _count("cache_write_1h_tokens"),
    _count("cost_nano_usd"),
    Column("estimated", Boolean, nullable=False, server_default=text("false")),
    _text("failure"),
    _text("provider_request_id"),
    _moment("created_at", default=True),
    _moment("concluded_at", nullable=True),
    Index("model_calls_of_step", "run_id", "step", "request_hash"),
    Index(
        "model_calls_of_house",
        "user_id",
        "created_at",
        postgresql_where=text("purpose IN ('review', 'repair')"),
    ),
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
    Index("journal_of_kind", "user_id", "kind", "id"),
    Index("journal_of_run", "run_id", "id", postgresql_where=text("run_id IS NOT NULL")),
)

postings = Table(
    "postings",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("entry_id", BigInteger, ForeignKey("journal.id"), nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("lot", Integer, nullable=True),
    CheckConstraint("amount <> 0", name="postings_amount_check"),
    CheckConstraint(
        "(lot IS NOT NULL) = (account IN ('available', 'reserved'))", name="postings_lot_check"
    ),
    ForeignKeyConstraint(
        ["user_id", "lot"], ["lots.user_id", "lots.number"], name="postings_lot_fkey"
    ),
    Index("postings_of_entry", "entry_id"),
)

balances = Table(
    "balances",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    _count("available"),
    _count("reserved"),
    _count("owed"),
    Column("lots", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("available >= 0", name="balances_available_check"),
    CheckConstraint("reserved >= 0", name="balances_reserved_check"),
    CheckConstraint("owed >= 0", name="balances_owed_check"),
    CheckConstraint("owed = 0 OR available = 0", name="balances_debt_check"),
)

lots = Table(
    "lots",
    metadata,
    Column("user_id", Uuid, ForeignKey("balances.user_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    _moment("expires_at", nullable=True),
    _text("reference"),
    _moment("granted_at"),
    PrimaryKeyConstraint("user_id", "number", name="lots_pkey"),
    CheckConstraint("remaining BETWEEN 0 AND granted", name="lots_remaining_check"),
    Index("lots_free", "user_id", postgresql_where=text("remaining > 0")),
    Index("lots_expiring", "expires_at", postgresql_where=text("remaining > 0")),
)

holds = Table(
    "holds",
    metadata,
    Column("run_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("lot", Integer, nullable=False),
    Column("credits", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["user_id", "lot"], ["lots.user_id", "lots.number"], name="holds_lot_fkey"
    ),
    PrimaryKeyConstraint("user_id", "run_id", "step", "lot", name="holds_pkey"),
    CheckConstraint("credits > 0", name="holds_credits_check"),
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

coupons = Table(
    "coupons",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("code", Text, nullable=False),
    Column("percent", SmallInteger, nullable=True),
    Column("fixed_paise", BigInteger, nullable=True),
    _count("minimum_paise"),
    Column("purposes", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    _moment("valid_from"),
    _moment("valid_until", nullable=True),
    Column("max_redemptions", Integer, nullable=True),
    Column("redeemed", Integer, nullable=False, server_default=text("0")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    _moment("created_at", default=True),
    UniqueConstraint("code", name="coupons_code_key"),
    CheckConstraint("num_nonnulls(percent, fixed_paise) = 1", name="coupons_discount_check"),
    CheckConstraint(
        "redeemed >= 0 AND redeemed <= coalesce(max_redemptions, redeemed)",
        name="coupons_redeemed_check",
    ),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("amount_paise", BigInteger, nullable=False),
    _count("discount_paise"),
    _count("credits"),
    Column("currency", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", Text, nullable=False),
    _text("gateway_order_id"),
    _text("gateway_customer_id"),
    Column("coupon_id", Uuid, ForeignKey("coupons.id"), nullable=True),
    Column("recurring", Boolean, nullable=False, server_default=text("false")),
    _moment("created_at", default=True),
    _moment("expires_at"),
    _moment("paid_at", nullable=True),
    Column("paid_with", Uuid, nullable=True),
    _moment("due_at", nullable=True),
    UniqueConstraint("id", "user_id", name="orders_id_user_id_key"),
    CheckConstraint("amount_paise >= 100", name="orders_amount_paise_check"),
    Index(
        "orders_gateway_order_id_key",
        "gateway_order_id",
        unique=True,
        postgresql_where=text("gateway_order_id <> ''"),
    ),
    Index("orders_of_user", "user_id", text("id DESC")),
    Index("orders_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)

# Payments, refunds and chargebacks: every movement of money, one row each.
transactions = Table(
    "transactions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("subscription_id", Uuid, nullable=True),
    Column("kind", Text, nullable=False),
    _text("gateway_id"),
    Column("payment_id", Uuid, nullable=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    _text("method"),
    _count("refunded"),
    _text("reason"),
    Column("requested_by", Uuid, nullable=True),
    _text("request_key"),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    _text("error_code"),
    _text("error"),
    _text("mandate_customer"),
    _text("mandate_token"),
    _moment("created_at", default=True),
    _moment("settled_at", nullable=True),
    _moment("due_at", nullable=True),
    ForeignKeyConstraint(
        ["order_id", "user_id"], ["orders.id", "orders.user_id"], name="transactions_order_id_fkey"
    ),
    ForeignKeyConstraint(
        ["payment_id", "user_id"],
        ["transactions.id", "transactions.user_id"],
        name="transactions_payment_id_fkey",
    ),
    UniqueConstraint("id", "user_id", name="transactions_id_user_id_key"),
    CheckConstraint("amount > 0", name="transactions_amount_check"),
    CheckConstraint("refunded BETWEEN 0 AND amount", name="transactions_refunded_check"),
    Index(
        "transactions_gateway_id_key",
        "gateway_id",
        unique=True,
        postgresql_where=text("gateway_id <> ''"),
    ),
    Index("transactions_of_user", "user_id", text("id DESC")),
    Index("transactions_of_order", "order_id"),
    Index("transactions_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
)

disputes = Table(
    "disputes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    _count("deducted"),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    _text("reason"),
    _moment("created_at", default=True),
    _moment("updated_at", default=True),
    ForeignKeyConstraint(
        ["payment_id", "user_id"],
        ["transactions.id", "transactions.user_id"],
        name="disputes_payment_id_fkey",
    ),
)

coupon_redemptions = Table(
    "coupon_redemptions",
    metadata,
    Column("coupon_id", Uuid, ForeignKey("coupons.id"), nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("order_id", Uuid, nullable=False),
    _moment("created_at", default=True),
    PrimaryKeyConstraint("coupon_id", "user_id", name="coupon_redemptions_pkey"),
    ForeignKeyConstraint(
        ["order_id", "user_id"],
        ["orders.id", "orders.user_id"],
        name="coupon_redemptions_order_id_fkey",
    ),
)

# Nobody's yet: whose an event is turns out when it is read.
gateway_events = Table(
    "gateway_events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _text("error"),
    _moment("received_at", default=True),
    _moment("due_at", default=True),
    _moment("processed_at", nullable=True),
    UniqueConstraint("gateway", "event_id", name="gateway_events_event_id_key"),
    Index("gateway_events_due", "due_at", postgresql_where=text("status = 'pending'")),
    Index("gateway_events_of_status", "status", text("id DESC")),
)

billing_profiles = Table(
    "billing_profiles",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("name", "address", "state", "country")),
    Column("gstin", Text, nullable=False),
    _moment("updated_at"),
)

document_series = Table(
    "document_series",
    metadata,
    Column("kind", Text, nullable=False),
    Column("financial_year", SmallInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("last_on", Date, nullable=False),
    PrimaryKeyConstraint("kind", "financial_year", name="document_series_pkey"),
)


def _issued(name: str, *more: Column[Any] | Constraint | Index) -> Table:
    """A table of documents: what invoices and credit notes share, and ``more``."""
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
        Column("number", Text, nullable=False),
        Column("financial_year", SmallInteger, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("issued_on", Date, nullable=False),
        Column("supplier", JSONB, nullable=False),
        Column("buyer", JSONB, nullable=False),
        Column("place", Text, nullable=False),
        Column("supply", Text, nullable=False),
        Column("reverse_charge", Boolean, nullable=False),
        Column("lines", JSONB, nullable=False),
        *(
            Column(f"{part}_paise", BigInteger, nullable=False)
            for part in ("taxable", "cgst", "sgst", "igst", "total")
        ),
        _moment("created_at"),
        UniqueConstraint("financial_year", "sequence", name=f"{name}_sequence_key"),
        UniqueConstraint("financial_year", "number", name=f"{name}_number_key"),
        Index(f"{name}_of_user", "user_id", text("id DESC")),
        *more,
    )


invoices = _issued(
    "invoices",
    Column("order_id", Uuid, nullable=False),
    Column("payment_id", Text, nullable=False),
    UniqueConstraint("payment_id", name="invoices_payment_id_key"),
    UniqueConstraint("id", "user_id", name="invoices_id_user_id_key"),
)

credit_notes = _issued(
    "credit_notes",
    Column("invoice_id", Uuid, nullable=False),
    Column("invoice_number", Text, nullable=False),
    Column("invoice_date", Date, nullable=False),
    Column("invoice_total_paise", BigInteger, nullable=False),
    Column("refund_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("refund_id", name="credit_notes_refund_id_key"),
    # Without a cascade: what was issued stays.
    ForeignKeyConstraint(
        ["invoice_id", "user_id"],
        ["invoices.id", "invoices.user_id"],
        name="credit_notes_invoice_id_fkey",
    ),
    Index("credit_notes_of_invoice", "invoice_id"),
)

# Everybody's: who buys what at which price is not in them.
model_prices = Table(
    "model_prices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("model", Text, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("prompt_up_to", BigInteger, nullable=True),
    *(
        Column(bucket, BigInteger, nullable=False)
        for bucket in ("input", "output", "cache_write", "cache_write_1h", "cache_read")
    ),
    Column("currency", Text, nullable=False, server_default=text("'USD'")),
    Column("source", Text, nullable=False),
    Column("added_by", Uuid, ForeignKey("users.id"), nullable=True),
    _moment("added_at", default=True),
    CheckConstraint("prompt_up_to > 0", name="model_prices_prompt_up_to_check"),
    CheckConstraint("currency = 'USD'", name="model_prices_currency_check"),
    CheckConstraint(
        "least(input, output, cache_write, cache_write_1h, cache_read) > 0",
        name="model_prices_positive_check",
    ),
    UniqueConstraint(
        "model",
        "valid_from",
        "prompt_up_to",
        name="model_prices_row_key",
        postgresql_nulls_not_distinct=True,
    ),
)

exchange_rates = Table(
    "exchange_rates",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("base", Text, nullable=False, server_default=text("'USD'")),
    Column("quote", Text, nullable=False, server_default=text("'INR'")),
    Column("paise", BigInteger, nullable=False),
    _moment("valid_from"),
    Column("source", Text, nullable=False),
    Column("added_by", Uuid, ForeignKey("users.id"), nullable=True),
    _moment("added_at", default=True),
    CheckConstraint("base = 'USD'", name="exchange_rates_base_check"),
    CheckConstraint("quote = 'INR'", name="exchange_rates_quote_check"),
    CheckConstraint("paise > 0", name="exchange_rates_paise_check"),
    UniqueConstraint("base", "quote", "valid_from", name="exchange_rates_moment_key"),
)

# No foreign keys to runs and projects: what was used stays on the books when they are deleted.
usage = Table(
    "usage",
    metadata,
    Column("user_id", Uuid, nullable=False),
    Column("run_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("mode", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("api_key_id", Uuid, nullable=True),
    Column("charged", Boolean, nullable=False),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("cache_write_tokens"),
    _count("cache_write_1h_tokens"),
    _count("cache_read_tokens"),
    _count("credits"),
    _count("cost_nano_usd"),
    _count("house_nano_usd"),
    Column("paise_per_usd", BigInteger, nullable=False),
    _moment("at", default=True),
    PrimaryKeyConstraint("user_id", "run_id", "step", name="usage_pkey"),
    CheckConstraint("credits >= 0", name="usage_credits_check"),
    Index("usage_in_order", "user_id", "at", "run_id", "step"),
    Index(
        "usage_recent", "mode", text("at DESC"), postgresql_where=text("charged AND credits > 0")
    ),
)

plans = Table(
    "plans",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("code", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    _text("description"),
    Column("price_paise", BigInteger, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("concurrent_runs", Integer, nullable=False),
    Column("modes", JSONB, nullable=False),
    Column("exports", JSONB, nullable=False),
    Column("retention_days", Integer, nullable=True),
    Column("per_seat", Boolean, nullable=False, server_default=text("false")),
    Column("min_seats", Integer, nullable=False, server_default=text("1")),
    Column("max_seats", Integer, nullable=False, server_default=text("1")),
    Column("trial_days", Integer, nullable=False, server_default=text("0")),
    _count("trial_credits"),
    Column("on_sale", Boolean, nullable=False, server_default=text("true")),
    Column("created_by", Uuid, nullable=True),
    _moment("created_at", default=True),
    UniqueConstraint("code", "version", name="plans_code_version_key"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("plan_id", Uuid, ForeignKey("plans.id"), nullable=False),
    Column("seats", Integer, nullable=False),
    Column("status", Text, nullable=False),
    _moment("start_date"),
    _moment("anchor"),
    Column("anchored", Integer, nullable=False),
    Column("period", Integer, nullable=False),
    _moment("period_start"),
    _moment("period_end"),
    Column("next_plan_id", Uuid, ForeignKey("plans.id"), nullable=True),
    Column("next_seats", Integer, nullable=True),
    Column("at_end", Text, nullable=False, server_default=text("'renew'")),
    Column("open_charge", Text, nullable=True),
    Column("charges", Integer, nullable=False, server_default=text("0")),
    _text("ahead"),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    _moment("missed_at", nullable=True),
    _moment("paused_at", nullable=True),
    _moment("ended_at", nullable=True),
    Column("trial", Boolean, nullable=False, server_default=text("false")),
    _text("mandate_customer"),
    _text("mandate_token"),
    _moment("entitled_until", nullable=True),
    _moment("due_at", nullable=True),
    UniqueConstraint("id", "user_id", name="subscriptions_id_user_id_key"),
    Index(
        "subscriptions_one_live",
        "user_id",
        unique=True,
        postgresql_where=text("status NOT IN ('cancelled', 'expired')"),
    ),
    Index("subscriptions_one_trial", "user_id", unique=True, postgresql_where=text("trial")),
    Index("subscriptions_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("subscriptions_of_user", "user_id", text("id DESC")),
)

subscription_charges = Table(
    "subscription_charges",
    metadata,
    Column("reference", Text, primary_key=True),
    Column("subscription_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("period", Integer, nullable=False),
    Column("plan_id", Uuid, ForeignKey("plans.id"), nullable=False),
    Column("seats", Integer, nullable=False),
    Column("seats_before", Integer, nullable=False),
    Column("amount_paise", BigInteger, nullable=False),
    Column("credits_each", BigInteger, nullable=False),
    Column("credits_added_seat", BigInteger, nullable=False),
    _moment("expires_at", nullable=True),
    Column("status", Text, nullable=False),
    _count("refunded_paise"),
    _moment("collect_at", nullable=True),
    _moment("created_at", default=True),
    _of("subscriptions", "subscription_id", "subscription_charges"),
    UniqueConstraint("order_id", name="subscription_charges_order_id_key"),
    Index(
        "subscription_charges_due", "collect_at", postgresql_where=text("collect_at IS NOT NULL")
    ),
)

seats = Table(
    "seats",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("subscription_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("email", Text, nullable=False),
    Column("holder_id", Uuid, nullable=True),
    _moment("assigned_at"),
    _moment("withdrawn_at", nullable=True),
    Column("version", Integer, nullable=False, server_default=text("1")),
    _moment("due_at", nullable=True),
    _of("subscriptions", "subscription_id", "seats"),
    Index(
        "seats_one_a_number",
        "subscription_id",
        "number",
        unique=True,
        postgresql_where=text("withdrawn_at IS NULL"),
    ),
    Index(
        "seats_one_an_email",
        "subscription_id",
        "email",
        unique=True,
        postgresql_where=text("withdrawn_at IS NULL"),
    ),
    Index("seats_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("seats_of_holder", "holder_id", postgresql_where=text("holder_id IS NOT NULL")),
    Index("seats_of_email", "email"),
)

allotments = Table(
    "allotments",
    metadata,
    Column("key", Text, primary_key=True),
    Column("subscription_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("reference", Text, nullable=False),
    Column("seat", Integer, nullable=False),
    Column("credits", BigInteger, nullable=False),
    _moment("expires_at"),
    Column("granted_to", Uuid, nullable=True),
    _moment("granted_at", nullable=True),
    Column("withheld", Boolean, nullable=False, server_default=text("false")),
    _of("subscriptions", "subscription_id", "allotments"),
    Index(
        "allotments_of_seat",
        "subscription_id",
        "seat",
        postgresql_where=text("granted_at IS NULL"),
    ),
    Index("allotments_of_charge", "reference"),
)

entitlements = Table(
    "entitlements",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("subscription_id", Uuid, nullable=False),
    Column("plan_id", Uuid, ForeignKey("plans.id"), nullable=False),
    _moment("starts_at"),
    _moment("ends_at"),
    PrimaryKeyConstraint("user_id", "subscription_id", name="entitlements_pkey"),
)

free_months = Table(
    "free_months",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    _moment("anchor"),
    Column("month", Integer, nullable=False),
    _moment("due_at"),
    Index("free_months_due", "due_at"),
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
    _moment("created_at"),
    _moment("sent_at", nullable=True),
    UniqueConstraint("user_id", "key", name="notices_key_key"),
    Index("notices_unsent", "created_at", postgresql_where=text("sent_at IS NULL")),
    Index(
        "notices_of_subscription",
        "subscription_id",
        text("id DESC"),
        postgresql_where=text("subscription_id IS NOT NULL"),
    ),
)

project_retention = Table(
    "project_retention",
    metadata,
    Column("project_id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    _moment("delete_after"),
    _of("projects", "project_id", "project_retention"),
)

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
    _moment("previous_until", nullable=True),
    Column("status", Text, nullable=False, server_default=text("'active'")),
    Column("scopes", JSONB, nullable=False),
    Column("modes", JSONB, nullable=False),
    Column("allowed_ips", JSONB, nullable=False),
    Column("limits", JSONB, nullable=False),
    Column("credit_cap", BigInteger, nullable=True),
    _count("credits_used"),
    _count("credits_held"),
    _moment("created_at", default=True),
    _moment("expires_at", nullable=True),
    _moment("rotated_at", nullable=True),
    _moment("revoked_at", nullable=True),
    _moment("last_used_at", nullable=True),
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
    _moment("at"),
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
    _moment("hour"),
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

adjustments = Table(
    "adjustments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("proposed_by", Uuid, nullable=False),
    _moment("proposed_at"),
    _moment("expires_at"),
    Column("status", Text, nullable=False, server_default=text("'proposed'")),
    Column("decided_by", Uuid, nullable=True),
    _moment("decided_at", nullable=True),
    CheckConstraint("credits <> 0", name="adjustments_credits_check"),
    CheckConstraint(
        "status IN ('proposed', 'approved', 'rejected')"
        " AND (status = 'proposed') = (decided_by IS NULL)"
        " AND (decided_by IS NULL) = (decided_at IS NULL)",
        name="adjustments_status_check",
    ),
    CheckConstraint(
        "status <> 'approved' OR (decided_by <> proposed_by AND decided_by <> user_id)",
        name="adjustments_four_eyes_check",
    ),
    Index("adjustments_of_user", "user_id", text("id DESC")),
    Index("adjustments_in_order", "status", text("id DESC")),
)

linked_identities = Table(
    "linked_identities",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("subject", Text, nullable=False),
    _text("email"),
    _moment("linked_at", default=True),
    _moment("last_used_at", nullable=True),
    PrimaryKeyConstraint("provider", "subject", name="linked_identities_pkey"),
    UniqueConstraint("user_id", "provider", name="linked_identities_user_id_provider_key"),
)

totp_factors = Table(
    "totp_factors",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("secret", LargeBinary, nullable=True),
    Column("proposed", LargeBinary, nullable=True),
    _moment("confirmed_at", nullable=True),
    _count("last_step"),
    CheckConstraint(
        "(secret IS NULL) = (confirmed_at IS NULL)", name="totp_factors_confirmed_check"
    ),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("digest", Text, nullable=False),
    _moment("created_at", default=True),
    _moment("used_at", nullable=True),
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
    _moment("created_at", default=True),
    _moment("expires_at"),
    _moment("used_at", nullable=True),
    Index("sign_in_challenges_of_user", "user_id"),
    Index("sign_in_challenges_over", "expires_at"),
)

erasures = Table(
    "erasures",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    _moment("asked_at", default=True),
    _moment("due_at", default=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _text("error"),
    Index("erasures_due", "due_at"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _moment("at", default=True),
    Column("user_id", Uuid, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Uuid, nullable=True),
    Column("api_key_id", Uuid, nullable=True),
    _text("actor_name"),
    _text("address"),
    _text("request_id"),
    Column("action", Text, nullable=False),
    _text("subject_id"),
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
    lots,
    holds,
    idempotency_keys,
    subscriptions,
    subscription_charges,
    seats,
    allotments,
    entitlements,
    free_months,
    notices,
    project_retention,
    orders,
    transactions,
    disputes,
    coupon_redemptions,
    billing_profiles,
    invoices,
    credit_notes,
    usage,
    api_keys,
    usage_logs,
    usage_hours,
    sessions,
    refresh_tokens,
    webhook_endpoints,
    webhook_events,
    webhook_deliveries,
    webhook_attempts,
    adjustments,
    linked_identities,
    totp_factors,
    recovery_codes,
    sign_in_challenges,
    erasures,
    audit_log,
)
"""The tables whose rows belong to one person each, named by their ``user_id``."""
