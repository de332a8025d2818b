"""Plans, subscriptions, seats, entitlements, notices and the retention of projects.

A plan's version cannot be changed by any service: none may update or delete one. What
schedules read past the tenants' walls is granted column by column.
"""

import json
from uuid import UUID

from alembic import op
from sqlalchemy import text

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE plans (
    id uuid PRIMARY KEY,
    code text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    price_paise bigint NOT NULL,
    credits bigint NOT NULL,
    concurrent_runs integer NOT NULL,
    modes jsonb NOT NULL,
    exports jsonb NOT NULL,
    retention_days integer,
    per_seat boolean NOT NULL DEFAULT false,
    min_seats integer NOT NULL DEFAULT 1,
    max_seats integer NOT NULL DEFAULT 1,
    trial_days integer NOT NULL DEFAULT 0,
    trial_credits bigint NOT NULL DEFAULT 0,
    on_sale boolean NOT NULL DEFAULT true,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT plans_code_version_key UNIQUE (code, version),
    CONSTRAINT plans_price_check CHECK (price_paise >= 0 AND (price_paise > 0) = (code <> 'free')),
    CONSTRAINT plans_limits_check CHECK (concurrent_runs > 0 AND credits >= 0
        AND trial_credits >= 0 AND trial_days >= 0 AND min_seats > 0 AND max_seats >= min_seats)
);
CREATE TABLE subscriptions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    plan_id uuid NOT NULL REFERENCES plans (id),
    seats integer NOT NULL,
    status text NOT NULL CONSTRAINT subscriptions_status_check CHECK (status IN
        ('pending', 'trialing', 'active', 'past_due', 'paused', 'cancelled', 'expired')),
    start_date timestamptz NOT NULL,
    anchor timestamptz NOT NULL,
    anchored integer NOT NULL,
    period integer NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    next_plan_id uuid REFERENCES plans (id),
    next_seats integer,
    at_end text NOT NULL DEFAULT 'renew',
    open_charge text,
    charges integer NOT NULL DEFAULT 0,
    ahead text NOT NULL DEFAULT '',
    attempt integer NOT NULL DEFAULT 0,
    missed_at timestamptz,
    paused_at timestamptz,
    ended_at timestamptz,
    trial boolean NOT NULL DEFAULT false,
    mandate_customer text NOT NULL DEFAULT '',
    mandate_token text NOT NULL DEFAULT '',
    entitled_until timestamptz,
    due_at timestamptz,
    CONSTRAINT subscriptions_seats_check CHECK (seats > 0),
    CONSTRAINT subscriptions_id_user_id_key UNIQUE (id, user_id)
);
CREATE UNIQUE INDEX subscriptions_one_live ON subscriptions (user_id)
    WHERE status NOT IN ('cancelled', 'expired');
CREATE UNIQUE INDEX subscriptions_one_trial ON subscriptions (user_id) WHERE trial;
CREATE INDEX subscriptions_due ON subscriptions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX subscriptions_of_user ON subscriptions (user_id, id DESC);
CREATE TABLE subscription_charges (
    reference text PRIMARY KEY,
    subscription_id uuid NOT NULL,
    user_id uuid NOT NULL,
    order_id uuid NOT NULL CONSTRAINT subscription_charges_order_id_key UNIQUE,
    purpose text NOT NULL,
    period integer NOT NULL,
    plan_id uuid NOT NULL REFERENCES plans (id),
    seats integer NOT NULL,
    seats_before integer NOT NULL,
    amount_paise bigint NOT NULL CONSTRAINT subscription_charges_amount_check
        CHECK (amount_paise > 0),
    credits_each bigint NOT NULL,
    credits_added_seat bigint NOT NULL,
    expires_at timestamptz,
    status text NOT NULL,
    refunded_paise bigint NOT NULL DEFAULT 0,
    collect_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT subscription_charges_subscription_id_fkey FOREIGN KEY (subscription_id, user_id)
        REFERENCES subscriptions (id, user_id) ON DELETE CASCADE
);
CREATE INDEX subscription_charges_due ON subscription_charges (collect_at)
    WHERE collect_at IS NOT NULL;
CREATE TABLE seats (
    id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL,
    user_id uuid NOT NULL,
    number integer NOT NULL,
    email text NOT NULL,
    holder_id uuid,
    assigned_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    due_at timestamptz,
    CONSTRAINT seats_subscription_id_fkey FOREIGN KEY (subscription_id, user_id)
        REFERENCES subscriptions (id, user_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX seats_one_a_number ON seats (subscription_id, number)
    WHERE withdrawn_at IS NULL;
CREATE UNIQUE INDEX seats_one_an_email ON seats (subscription_id, email)
    WHERE withdrawn_at IS NULL;
CREATE INDEX seats_due ON seats (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE allotments (
    key text PRIMARY KEY,
    subscription_id uuid NOT NULL,
    user_id uuid NOT NULL,
    reference text NOT NULL,
    seat integer NOT NULL,
    credits bigint NOT NULL CONSTRAINT allotments_credits_check CHECK (credits > 0),
    expires_at timestamptz NOT NULL,
    granted_to uuid,
    granted_at timestamptz,
    withheld boolean NOT NULL DEFAULT false,
    CONSTRAINT allotments_subscription_id_fkey FOREIGN KEY (subscription_id, user_id)
        REFERENCES subscriptions (id, user_id) ON DELETE CASCADE
);
CREATE INDEX allotments_of_seat ON allotments (subscription_id, seat) WHERE granted_at IS NULL;
CREATE INDEX allotments_of_charge ON allotments (reference);
CREATE TABLE entitlements (
    user_id uuid NOT NULL REFERENCES users (id),
    subscription_id uuid NOT NULL,
    plan_id uuid NOT NULL REFERENCES plans (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    CONSTRAINT entitlements_pkey PRIMARY KEY (user_id, subscription_id)
);
CREATE TABLE free_months (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    anchor timestamptz NOT NULL,
    month integer NOT NULL,
    due_at timestamptz NOT NULL
);
CREATE INDEX free_months_due ON free_months (due_at);
CREATE TABLE notices (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    key text NOT NULL,
    kind text NOT NULL,
    data jsonb NOT NULL DEFAULT '{}'::jsonb,
    subscription_id uuid,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    CONSTRAINT notices_key_key UNIQUE (user_id, key)
);
CREATE INDEX notices_unsent ON notices (created_at) WHERE sent_at IS NULL;
CREATE INDEX notices_of_subscription ON notices (subscription_id, id DESC)
    WHERE subscription_id IS NOT NULL;
CREATE TABLE project_retention (
    project_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    delete_after timestamptz NOT NULL,
    CONSTRAINT project_retention_project_id_fkey FOREIGN KEY (project_id, user_id)
        REFERENCES projects (id, user_id) ON DELETE CASCADE
);
CREATE INDEX projects_untouched ON projects (updated_at);
ALTER TABLE projects ADD COLUMN retention_due_at timestamptz;
"""

_TENANT_GRANTS = {
    "subscriptions": (
        "SELECT, INSERT, UPDATE (plan_id, seats, status, anchor, anchored, period, period_start,"
        " period_end, next_plan_id, next_seats, at_end, open_charge, charges, ahead, attempt,"
        " missed_at, paused_at, ended_at, mandate_customer, mandate_token, entitled_until, due_at)",
        "SELECT (id, user_id, plan_id, seats, status, start_date, period, period_start,"
        " period_end, at_end, ended_at, entitled_until, due_at), UPDATE (due_at)",
    ),
    "subscription_charges": (
        "SELECT, INSERT, UPDATE (status, refunded_paise, collect_at)",
        "SELECT (reference, user_id, status, collect_at), UPDATE (collect_at)",
    ),
    "seats": (
        "SELECT, INSERT, UPDATE (withdrawn_at, version, due_at)",
        "SELECT, UPDATE (holder_id, due_at)",
    ),
    "allotments": (
        "SELECT, INSERT, UPDATE (granted_to, granted_at, withheld)",
        "SELECT, UPDATE (granted_to, granted_at)",
    ),
    "entitlements": ("SELECT, INSERT, UPDATE (plan_id, starts_at, ends_at)", "SELECT"),
    "free_months": ("SELECT, INSERT, UPDATE (month, due_at)", "SELECT, UPDATE (due_at)"),
    "notices": ("SELECT, INSERT", "SELECT, UPDATE (sent_at)"),
    "project_retention": ("SELECT, INSERT, UPDATE (delete_after), DELETE", "SELECT"),
}
"""What ``bb_app`` may, and what ``bb_dispatch`` may over everybody's rows."""

_ALL_MODES = ["student", "developer", "founder"]
SEEDED = [
    {
        "code": "free",
        "name": "Free",
        "description": "To try what it does: credits every month, and your documents and code.",
        "price_paise": 0,
        "credits": 10_000,
        "concurrent_runs": 3,
        "modes": ["student", "developer"],
        "exports": ["md", "docx", "zip"],
        "retention_days": 180,
    },
    {
        "code": "student",
        "name": "Student",
        "description": "A final-year project with report, slides and viva, in every format.",
        "price_paise": 49_900,
        "credits": 60_000,
        "concurrent_runs": 3,
        "modes": ["student", "developer"],
        "exports": ["md", "docx", "pdf", "pptx", "zip"],
        "retention_days": 365,
        "trial_days": 7,
        "trial_credits": 10_000,
    },
    {
        "code": "pro",
        "name": "Pro",
        "description": "For developers and founders: every mode, and more runs at once.",
        "price_paise": 149_900,
        "credits": 180_000,
        "concurrent_runs": 6,
        "modes": _ALL_MODES,
        "exports": ["md", "docx", "pdf", "pptx", "zip"],
        "retention_days": 730,
        "trial_days": 7,
        "trial_credits": 20_000,
    },
    {
        "code": "team",
        "name": "Team",
        "description": "Pro for each of your people, on one bill.",
        "price_paise": 129_900,
        "credits": 160_000,
        "concurrent_runs": 6,
        "modes": _ALL_MODES,
        "exports": ["md", "docx", "pdf", "pptx", "zip"],
        "retention_days": 730,
        "per_seat": True,
        "min_seats": 2,
        "max_seats": 200,
    },
    {
        "code": "college",
        "name": "College",
        "description": "Student for each of your students, on one bill.",
        "price_paise": 29_900,
        "credits": 40_000,
        "concurrent_runs": 3,
        "modes": ["student", "developer"],
        "exports": ["md", "docx", "pdf", "pptx", "zip"],
        "retention_days": 730,
        "per_seat": True,
        "min_seats": 25,
        "max_seats": 5_000,
    },
]


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    # Whoever is there already has their first month of Free a month from now. Before the policies:
    # they bind the owner of the tables as well.
    op.execute(
        "INSERT INTO free_months (user_id, anchor, month, due_at)"
        " SELECT id, now(), 1, now() + interval '1 month' FROM users"
    )
    for table, (app, dispatch) in _TENANT_GRANTS.items():
        op.execute(f"GRANT {app} ON {table} TO bb_app")
        op.execute(f"GRANT {dispatch} ON {table} TO bb_dispatch")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} TO bb_app"
            " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)"
        )
        op.execute(f"CREATE POLICY scheduling ON {table} TO bb_dispatch USING (true)")
    op.execute("GRANT SELECT, INSERT ON plans TO bb_app")
    op.execute("GRANT SELECT ON plans TO bb_dispatch")
    op.execute(
        "GRANT SELECT (id, user_id, updated_at, retention_due_at), UPDATE (retention_due_at)"
        " ON projects TO bb_dispatch"
    )
    op.execute("CREATE POLICY retention ON projects TO bb_dispatch USING (true)")
    _seed()


def downgrade() -> None:
    op.execute("DROP POLICY retention ON projects")
    op.execute("REVOKE ALL ON projects FROM bb_dispatch")
    op.execute("DROP INDEX projects_untouched")
    op.execute("ALTER TABLE projects DROP COLUMN retention_due_at")
    for table in (*reversed(list(_TENANT_GRANTS)), "plans"):
        op.execute(f"DROP TABLE {table} CASCADE")


def _seed() -> None:
    defaults = {
        "per_seat": False,
        "min_seats": 1,
        "max_seats": 1,
        "trial_days": 0,
        "trial_credits": 0,
    }
    statement = text(
        "INSERT INTO plans (id, code, version, name, description, price_paise, credits,"
        " concurrent_runs, modes, exports, retention_days, per_seat, min_seats, max_seats,"
        " trial_days, trial_credits) VALUES (:id, :code, 1, :name, :description, :price_paise,"
        " :credits, :concurrent_runs, CAST(:modes AS jsonb), CAST(:exports AS jsonb),"
        " :retention_days, :per_seat, :min_seats, :max_seats, :trial_days, :trial_credits)"
    )
    for number, plan in enumerate(SEEDED, start=1):
        values = {
            **defaults,
            **plan,
            # Version 7 in form, older than any that is made: the same in every database.
            "id": UUID(int=7 << 76 | 2 << 62 | number),
            "modes": json.dumps(plan["modes"]),
            "exports": json.dumps(plan["exports"]),
        }
        op.execute(statement.bindparams(**values))
