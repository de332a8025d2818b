"""Orders, payments, coupons, and the documents of tax."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Constraint,
    Date,
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
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables.columns import count, metadata, moment, text_column

coupons = Table(
    "coupons",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("code", Text, nullable=False),
    Column("percent", SmallInteger, nullable=True),
    Column("fixed_paise", BigInteger, nullable=True),
    count("minimum_paise"),
    Column("purposes", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    moment("valid_from"),
    moment("valid_until", nullable=True),
    Column("max_redemptions", Integer, nullable=True),
    Column("redeemed", Integer, nullable=False, server_default=text("0")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    moment("created_at", default=True),
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
    count("discount_paise"),
    count("credits"),
    Column("currency", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", Text, nullable=False),
    text_column("gateway_order_id"),
    text_column("gateway_customer_id"),
    Column("coupon_id", Uuid, ForeignKey("coupons.id"), nullable=True),
    Column("recurring", Boolean, nullable=False, server_default=text("false")),
    moment("created_at", default=True),
    moment("expires_at"),
    moment("paid_at", nullable=True),
    Column("paid_with", Uuid, nullable=True),
    moment("due_at", nullable=True),
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
    text_column("gateway_id"),
    Column("payment_id", Uuid, nullable=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    text_column("method"),
    count("refunded"),
    text_column("reason"),
    Column("requested_by", Uuid, nullable=True),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    text_column("error_code"),
    text_column("error"),
    text_column("mandate_customer"),
    text_column("mandate_token"),
    moment("created_at", default=True),
    moment("settled_at", nullable=True),
    moment("due_at", nullable=True),
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
    count("deducted"),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    text_column("reason"),
    moment("created_at", default=True),
    moment("updated_at", default=True),
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
    moment("created_at", default=True),
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
    text_column("error"),
    moment("received_at", default=True),
    moment("due_at", default=True),
    moment("processed_at", nullable=True),
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
    moment("updated_at"),
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
        moment("created_at"),
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
