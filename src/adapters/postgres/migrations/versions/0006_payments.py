"""Payments: coupons, orders, movements of money, disputes, and the gateway's events.

An order's price, a movement's amount and whose they are cannot be changed by any service:
the grants name the columns that may move. ``bb_app`` keeps the gateway's events and cannot
read them; ``bb_dispatch`` reads and schedules them.
"""

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE coupons (
    id uuid PRIMARY KEY,
    code text NOT NULL CONSTRAINT coupons_code_key UNIQUE,
    percent smallint CONSTRAINT coupons_percent_check CHECK (percent BETWEEN 1 AND 100),
    fixed_paise bigint CONSTRAINT coupons_fixed_paise_check CHECK (fixed_paise > 0),
    minimum_paise bigint NOT NULL DEFAULT 0,
    purposes jsonb NOT NULL DEFAULT '[]'::jsonb,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    max_redemptions integer,
    redeemed integer NOT NULL DEFAULT 0,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT coupons_discount_check CHECK (num_nonnulls(percent, fixed_paise) = 1),
    CONSTRAINT coupons_redeemed_check
        CHECK (redeemed >= 0 AND redeemed <= coalesce(max_redemptions, redeemed))
);
CREATE TABLE orders (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    purpose text NOT NULL,
    reference text NOT NULL,
    amount_paise bigint NOT NULL
        CONSTRAINT orders_amount_paise_check CHECK (amount_paise >= 100),
    discount_paise bigint NOT NULL DEFAULT 0
        CONSTRAINT orders_discount_paise_check CHECK (discount_paise >= 0),
    credits bigint NOT NULL DEFAULT 0 CONSTRAINT orders_credits_check CHECK (credits >= 0),
    currency text NOT NULL,
    description text NOT NULL,
    status text NOT NULL CONSTRAINT orders_status_check
        CHECK (status IN ('open', 'paid', 'expired', 'cancelled')),
    gateway_order_id text NOT NULL DEFAULT '',
    gateway_customer_id text NOT NULL DEFAULT '',
    coupon_id uuid REFERENCES coupons (id),
    recurring boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    paid_at timestamptz,
    paid_with uuid,
    due_at timestamptz,
    CONSTRAINT orders_id_user_id_key UNIQUE (id, user_id)
);
CREATE UNIQUE INDEX orders_gateway_order_id_key ON orders (gateway_order_id)
    WHERE gateway_order_id <> '';
CREATE INDEX orders_of_user ON orders (user_id, id DESC);
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE transactions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    order_id uuid NOT NULL,
    subscription_id uuid,
    kind text NOT NULL CONSTRAINT transactions_kind_check
        CHECK (kind IN ('payment', 'refund', 'chargeback')),
    gateway_id text NOT NULL DEFAULT '',
    payment_id uuid,
    amount bigint NOT NULL CONSTRAINT transactions_amount_check CHECK (amount > 0),
    currency text NOT NULL,
    status text NOT NULL CONSTRAINT transactions_status_check CHECK (
        status IN ('failed', 'authorized', 'captured', 'requested', 'pending', 'processed')),
    method text NOT NULL DEFAULT '',
    refunded bigint NOT NULL DEFAULT 0
        CONSTRAINT transactions_refunded_check CHECK (refunded BETWEEN 0 AND amount),
    reason text NOT NULL DEFAULT '',
    requested_by uuid,
    request_key text NOT NULL DEFAULT '',
    attempt integer NOT NULL DEFAULT 1,
    error_code text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    mandate_customer text NOT NULL DEFAULT '',
    mandate_token text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    due_at timestamptz,
    CONSTRAINT transactions_id_user_id_key UNIQUE (id, user_id),
    CONSTRAINT transactions_order_id_fkey FOREIGN KEY (order_id, user_id)
        REFERENCES orders (id, user_id),
    CONSTRAINT transactions_payment_id_fkey FOREIGN KEY (payment_id, user_id)
        REFERENCES transactions (id, user_id)
);
CREATE UNIQUE INDEX transactions_gateway_id_key ON transactions (gateway_id)
    WHERE gateway_id <> '';
CREATE INDEX transactions_of_user ON transactions (user_id, id DESC);
CREATE INDEX transactions_of_order ON transactions (order_id);
CREATE INDEX transactions_due ON transactions (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE disputes (
    id text PRIMARY KEY,
    user_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    amount bigint NOT NULL,
    deducted bigint NOT NULL DEFAULT 0,
    currency text NOT NULL,
    status text NOT NULL,
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT disputes_payment_id_fkey FOREIGN KEY (payment_id, user_id)
        REFERENCES transactions (id, user_id)
);
CREATE TABLE coupon_redemptions (
    coupon_id uuid NOT NULL REFERENCES coupons (id),
    user_id uuid NOT NULL,
    order_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT coupon_redemptions_pkey PRIMARY KEY (coupon_id, user_id),
    CONSTRAINT coupon_redemptions_order_id_fkey FOREIGN KEY (order_id, user_id)
        REFERENCES orders (id, user_id)
);
CREATE TABLE gateway_events (
    id uuid PRIMARY KEY,
    gateway text NOT NULL,
    event_id text NOT NULL,
    body bytea NOT NULL,
    status text NOT NULL DEFAULT 'pending' CONSTRAINT gateway_events_status_check
        CHECK (status IN ('pending', 'done', 'set_aside')),
    attempts integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    CONSTRAINT gateway_events_event_id_key UNIQUE (gateway, event_id)
);
CREATE INDEX gateway_events_due ON gateway_events (due_at) WHERE status = 'pending';
CREATE INDEX gateway_events_of_status ON gateway_events (status, id DESC);
"""

_TENANT_GRANTS = {
    "orders": (
        "SELECT, INSERT, UPDATE (status, gateway_order_id, gateway_customer_id, paid_at,"
        " paid_with, due_at)",
        "SELECT, UPDATE (due_at)",
    ),
    "transactions": (
        "SELECT, INSERT, UPDATE (status, gateway_id, method, refunded, attempt, error_code,"
        " error, mandate_customer, mandate_token, settled_at, due_at)",
        "SELECT, UPDATE (due_at)",
    ),
    "disputes": ("SELECT, INSERT, UPDATE (status, deducted, updated_at)", ""),
    "coupon_redemptions": ("SELECT, INSERT, DELETE", ""),
}
"""What ``bb_app`` may, and what ``bb_dispatch`` may over everybody's rows."""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table, (app, dispatch) in _TENANT_GRANTS.items():
        op.execute(f"GRANT {app} ON {table} TO bb_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO bb_app"
            " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
        )
        if dispatch:
            op.execute(f"GRANT {dispatch} ON {table} TO bb_dispatch")
            op.execute(f"CREATE POLICY scheduling ON {table} TO bb_dispatch USING (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE (redeemed, active) ON coupons TO bb_app")
    op.execute("GRANT INSERT ON gateway_events TO bb_app")
    op.execute("GRANT SELECT ON gateway_events TO bb_dispatch")
    op.execute(
        "GRANT UPDATE (status, attempts, error, due_at, processed_at)"
        " ON gateway_events TO bb_dispatch"
    )


def downgrade() -> None:
    for table in (
        "gateway_events",
        "coupon_redemptions",
        "disputes",
        "transactions",
        "orders",
        "coupons",
    ):
        op.execute(f"DROP TABLE {table}")
