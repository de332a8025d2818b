"""The account of credits, what was used, and what it costs."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from adapters.postgres.tables.columns import count, metadata, moment, text_column

journal = Table(
    "journal",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("run_id", Uuid, nullable=True),
    text_column("step"),
    moment("at", default=True),
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
    count("available"),
    count("reserved"),
    count("owed"),
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
    moment("expires_at", nullable=True),
    text_column("reference"),
    moment("granted_at"),
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
    moment("added_at", default=True),
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
    moment("valid_from"),
    Column("source", Text, nullable=False),
    Column("added_by", Uuid, ForeignKey("users.id"), nullable=True),
    moment("added_at", default=True),
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
    count("input_tokens"),
    count("output_tokens"),
    count("cache_write_tokens"),
    count("cache_write_1h_tokens"),
    count("cache_read_tokens"),
    count("credits"),
    count("cost_nano_usd"),
    count("house_nano_usd"),
    Column("paise_per_usd", BigInteger, nullable=False),
    moment("at", default=True),
    PrimaryKeyConstraint("user_id", "run_id", "step", name="usage_pkey"),
    CheckConstraint("credits >= 0", name="usage_credits_check"),
    Index("usage_in_order", "user_id", "at", "run_id", "step"),
    Index(
        "usage_recent", "mode", text("at DESC"), postgresql_where=text("charged AND credits > 0")
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
    moment("proposed_at"),
    moment("expires_at"),
    Column("status", Text, nullable=False, server_default=text("'proposed'")),
    Column("decided_by", Uuid, nullable=True),
    moment("decided_at", nullable=True),
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
