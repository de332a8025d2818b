"""The usage log: a row for each request with a key, by month, and sums of each hour.

Rows refer to users, keys and runs without foreign keys: a log refuses nothing that happened.
``bb_dispatch`` adds rows and sums; it makes and drops months through two functions that run as
the owner and do nothing else. Months are UTC's. A month's own table is nobody's to read: grants
and the policy are the parent's.
"""

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE usage_logs (
        id uuid NOT NULL,
        user_id uuid NOT NULL,
        api_key_id uuid NOT NULL,
        at timestamptz NOT NULL,
        route text NOT NULL,
        status smallint NOT NULL,
        latency_us integer NOT NULL,
        request_id text NOT NULL,
        run_id uuid,
        CONSTRAINT usage_logs_pkey PRIMARY KEY (user_id, at, id)
    ) PARTITION BY RANGE (at)
    """,
    "CREATE INDEX usage_logs_of_key ON usage_logs (api_key_id, at, id)",
    """
    CREATE TABLE usage_hours (
        user_id uuid NOT NULL,
        api_key_id uuid NOT NULL,
        hour timestamptz NOT NULL,
        route text NOT NULL,
        status_class smallint NOT NULL,
        requests bigint NOT NULL,
        latency_us bigint NOT NULL,
        CONSTRAINT usage_hours_pkey PRIMARY KEY (user_id, hour, api_key_id, route, status_class)
    )
    """,
)

_MAKE = """
CREATE FUNCTION usage_logs_make_month(wanted timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    month timestamptz := date_trunc('month', wanted);
    name text := 'usage_logs_' || to_char(month, 'YYYYMM');
BEGIN
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    IF month NOT BETWEEN now() - interval '10 years' AND now() + interval '3 months' THEN
        RAISE EXCEPTION 'no month of the usage log: %', month USING ERRCODE = '22008';
    END IF;
    PERFORM set_config('lock_timeout', '5s', true);
    PERFORM pg_advisory_xact_lock(hashtext('usage_logs'));
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Made first and attached then, which lets others read and write the log meanwhile.
    EXECUTE format('CREATE TABLE public.%I (LIKE public.usage_logs)', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE public.usage_logs ATTACH PARTITION public.%I'
        ' FOR VALUES FROM (%L) TO (%L)', name, month, month + interval '1 month');
END
$$
"""

_DROP = """
CREATE FUNCTION usage_logs_drop_months(kept integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    oldest text := 'usage_logs_' || to_char(
        date_trunc('month', now()) - make_interval(months => greatest(kept, 1)), 'YYYYMM');
    old text;
    dropped integer := 0;
BEGIN
    PERFORM set_config('lock_timeout', '5s', true);
    PERFORM pg_advisory_xact_lock(hashtext('usage_logs'));
    FOR old IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.usage_logs'::regclass AND c.relname < oldest
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE public.%I', old);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$
"""

_OWN = "(user_id = nullif(current_setting('app.user_id', true), '')::uuid)"


def upgrade() -> None:
    for statement in (*_TABLES, _MAKE, _DROP):
        op.execute(statement)
    for table in ("usage_logs", "usage_hours"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"GRANT SELECT ON {table} TO bb_app")
        op.execute(f"CREATE POLICY tenant ON {table} FOR SELECT TO bb_app USING {_OWN}")
        op.execute(f"CREATE POLICY draining ON {table} TO bb_dispatch USING (true)")
    op.execute(
        "GRANT INSERT, SELECT (user_id, api_key_id, at, route, status, latency_us)"
        " ON usage_logs TO bb_dispatch"
    )
    op.execute("GRANT INSERT, SELECT, UPDATE (requests, latency_us) ON usage_hours TO bb_dispatch")
    for function in ("usage_logs_make_month(timestamptz)", "usage_logs_drop_months(integer)"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO bb_dispatch")
    for months in range(3):
        op.execute(f"SELECT usage_logs_make_month(now() + make_interval(months => {months}))")


def downgrade() -> None:
    op.execute("DROP TABLE usage_logs, usage_hours")
    op.execute("DROP FUNCTION usage_logs_make_month, usage_logs_drop_months")
