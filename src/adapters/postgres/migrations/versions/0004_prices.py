"""Prices and exchange rates as rows, and one row of usage for each settled step.

Prices and rates are only ever added: no service role may change or delete one. Usage is
written in the transaction that settles its step, and stands on the books without the run and
the project it was for.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None

FIRST_RATE = 9_000
"""Paise a US dollar: the house's starting rate, where the operator names no other."""

RATE_SOURCE = "the house's starting rate, chosen by the operator"

_PAGES = "https://platform.claude.com/docs/en"

# model, valid from, longest prompt, then nano-dollars a token: input, output, five-minute and
# one-hour cache write, cache read; and the page they were read on.
PRICES: tuple[tuple[str, str, int | None, int, int, int, int, int, str], ...] = (
    ("claude-opus-5-5", "2026-09-22", None, 4000, 20000, 5000, 8000, 200,
     f"{_PAGES}/about-claude/pricing; released 2026-09-22"),
    ("claude-sonnet-5-5", "2026-09-28", None, 2000, 10000, 2500, 4000, 200,
     f"{_PAGES}/about-claude/pricing; released 2026-09-28"),
    ("claude-sonnet-5-5", "2026-10-07", None, 2000, 10000, 2500, 4000, 100,
     f"{_PAGES}/about-claude/pricing; cache reads cut 2026-10-07"),
    ("claude-haiku-5-5", "2026-10-07", 100_000, 100, 500, 125, 200, 10,
     f"{_PAGES}/models/haiku-5-5/overview; prompts up to 100 000"),
    ("claude-haiku-5-5", "2026-10-07", None, 500, 2500, 625, 1000, 50,
     f"{_PAGES}/models/haiku-5-5/overview; prompts over 100 000"),
)  # fmt: skip

_TABLES = """
CREATE TABLE model_prices (
    id uuid PRIMARY KEY,
    model text NOT NULL,
    valid_from date NOT NULL,
    prompt_up_to bigint CONSTRAINT model_prices_prompt_up_to_check CHECK (prompt_up_to > 0),
    input bigint NOT NULL,
    output bigint NOT NULL,
    cache_write bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    cache_read bigint NOT NULL,
    currency text NOT NULL DEFAULT 'USD'
        CONSTRAINT model_prices_currency_check CHECK (currency = 'USD'),
    source text NOT NULL,
    added_by uuid REFERENCES users (id),
    added_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_prices_positive_check
        CHECK (least(input, output, cache_write, cache_write_1h, cache_read) > 0),
    CONSTRAINT model_prices_row_key UNIQUE NULLS NOT DISTINCT (model, valid_from, prompt_up_to)
);
CREATE TABLE exchange_rates (
    id uuid PRIMARY KEY,
    base text NOT NULL DEFAULT 'USD'
        CONSTRAINT exchange_rates_base_check CHECK (base = 'USD'),
    quote text NOT NULL DEFAULT 'INR'
        CONSTRAINT exchange_rates_quote_check CHECK (quote = 'INR'),
    paise bigint NOT NULL CONSTRAINT exchange_rates_paise_check CHECK (paise > 0),
    valid_from timestamptz NOT NULL,
    source text NOT NULL,
    added_by uuid REFERENCES users (id),
    added_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT exchange_rates_moment_key UNIQUE (base, quote, valid_from)
);
CREATE TABLE usage (
    user_id uuid NOT NULL,
    run_id uuid NOT NULL,
    step text NOT NULL,
    project_id uuid NOT NULL,
    mode text NOT NULL,
    model text NOT NULL,
    api_key_id uuid,
    charged boolean NOT NULL,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cache_write_tokens bigint NOT NULL DEFAULT 0,
    cache_write_1h_tokens bigint NOT NULL DEFAULT 0,
    cache_read_tokens bigint NOT NULL DEFAULT 0,
    credits bigint NOT NULL DEFAULT 0 CONSTRAINT usage_credits_check CHECK (credits >= 0),
    cost_nano_usd bigint NOT NULL DEFAULT 0,
    house_nano_usd bigint NOT NULL DEFAULT 0,
    paise_per_usd bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT usage_pkey PRIMARY KEY (user_id, run_id, step)
);
CREATE INDEX usage_in_order ON usage (user_id, at, run_id, step);
CREATE INDEX usage_recent ON usage (mode, at DESC) WHERE charged AND credits > 0;
ALTER TABLE model_calls ADD COLUMN cache_write_1h_tokens bigint NOT NULL DEFAULT 0;
ALTER TABLE agent_tasks ADD COLUMN cache_write_1h_tokens bigint NOT NULL DEFAULT 0;
"""

_STATISTICS = (
    "user_id, run_id, step, mode, model, charged, credits, input_tokens, output_tokens,"
    " cache_write_tokens, cache_write_1h_tokens, cache_read_tokens, at"
)
"""What a quote's aggregates are made of. Which project or key it was for is not among it."""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    _seed()
    for table in ("model_prices", "exchange_rates"):
        op.execute(f"GRANT SELECT, INSERT ON {table} TO bb_app")
    op.execute("GRANT SELECT, INSERT ON usage TO bb_app")
    op.execute("ALTER TABLE usage ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE usage FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON usage TO bb_app"
        " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
    )
    op.execute(f"GRANT SELECT ({_STATISTICS}) ON usage TO bb_dispatch")
    op.execute("CREATE POLICY statistics ON usage FOR SELECT TO bb_dispatch USING (true)")


def downgrade() -> None:
    for table in ("agent_tasks", "model_calls"):
        op.execute(f"ALTER TABLE {table} DROP COLUMN cache_write_1h_tokens")
    for table in ("usage", "exchange_rates", "model_prices"):
        op.execute(f"DROP TABLE {table}")


def _seed() -> None:
    connection = op.get_bind()
    insert = sa.text(
        "INSERT INTO model_prices (id, model, valid_from, prompt_up_to, input, output,"
        " cache_write, cache_write_1h, cache_read, source)"
        " VALUES (CAST(:id AS uuid), :model, CAST(CAST(:valid_from AS text) AS date),"
        " :prompt_up_to, :input, :output, :write, :write_1h, :read, :source)"
    )
    names = (
        "model", "valid_from", "prompt_up_to", "input", "output", "write", "write_1h", "read",
        "source",
    )  # fmt: skip
    for number, row in enumerate(PRICES, start=1):
        values = dict(zip(names, row, strict=True))
        connection.execute(insert, {"id": f"00000000-0000-7000-8000-{number:012}", **values})
    first_rate = op.get_context().config.attributes.get("first_rate") or FIRST_RATE  # type: ignore[union-attr]  # alembic always has a config here
    connection.execute(
        sa.text(
            "INSERT INTO exchange_rates (id, paise, valid_from, source)"
            " VALUES ('00000000-0000-7000-8000-000000000001', :paise, '2000-01-01Z', :source)"
        ),
        {"paise": first_rate, "source": RATE_SOURCE},
    )
