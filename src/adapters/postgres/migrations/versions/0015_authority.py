"""Whose row of ``users`` is whose, who may change roles, and adjustments by two admins.

``bb_app`` sees a person's row as that person, or by naming their exact email, which is how
somebody signs in before it is known who they are. ``bb_dispatch`` sees everybody for admins, and
no password's hash. The owner sees people where it says that it operates.

No service can write a role. ``set_user_standing`` can, in the owner's name: it holds whatever
calls it to an active admin who is somebody else, one call after another: so an active admin is
left after each.
"""

from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels = None
depends_on = None

_STANDING = """
CREATE FUNCTION set_user_standing(target uuid, admin uuid, new_role text, new_active boolean)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF target IS NULL OR admin IS NULL OR target = admin THEN
        RAISE EXCEPTION 'nobody changes their own standing'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'users_own_standing';
    END IF;
    PERFORM pg_advisory_xact_lock(7089336938131513954);
    PERFORM set_config('app.operator', 'on', true);
    PERFORM 1 FROM public.users WHERE id = admin AND role = 'admin' AND is_active FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is no active admin', admin
            USING ERRCODE = 'check_violation', CONSTRAINT = 'users_changed_by_admin';
    END IF;
    UPDATE public.users SET role = coalesce(new_role, role),
        is_active = coalesce(new_active, is_active) WHERE id = target;
    PERFORM set_config('app.operator', '', true);
END $$
"""

_ADJUSTMENTS = """
CREATE TABLE adjustments (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    credits bigint NOT NULL CONSTRAINT adjustments_credits_check CHECK (credits <> 0),
    reason text NOT NULL,
    proposed_by uuid NOT NULL,
    proposed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'proposed',
    decided_by uuid,
    decided_at timestamptz,
    CONSTRAINT adjustments_status_check CHECK (
        status IN ('proposed', 'approved', 'rejected')
        AND (status = 'proposed') = (decided_by IS NULL)
        AND (decided_by IS NULL) = (decided_at IS NULL)
    ),
    CONSTRAINT adjustments_four_eyes_check CHECK (
        status <> 'approved' OR (decided_by <> proposed_by AND decided_by <> user_id)
    )
)
"""

_ME = "nullif(current_setting('app.user_id', true), '')::uuid"


def upgrade() -> None:
    op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE users FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON users TO bb_app USING (id = {_ME})")
    op.execute(
        "CREATE POLICY named ON users FOR SELECT TO bb_app"
        " USING (email = current_setting('app.email', true))"
    )
    op.execute(
        "GRANT SELECT (id, email, name, role, is_active, created_at) ON users TO bb_dispatch"
    )
    op.execute("CREATE POLICY oversight ON users FOR SELECT TO bb_dispatch USING (true)")
    op.execute(
        "CREATE POLICY operator ON users TO CURRENT_USER"
        " USING (current_setting('app.operator', true) = 'on')"
    )
    op.execute(_STANDING)
    op.execute("REVOKE ALL ON FUNCTION set_user_standing FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION set_user_standing TO bb_app")

    op.execute(_ADJUSTMENTS)
    op.execute("CREATE INDEX adjustments_of_user ON adjustments (user_id, id DESC)")
    op.execute("CREATE INDEX adjustments_in_order ON adjustments (status, id DESC)")
    op.execute("ALTER TABLE adjustments ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE adjustments FORCE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT, INSERT ON adjustments TO bb_app")
    op.execute("GRANT UPDATE (status, decided_by, decided_at) ON adjustments TO bb_app")
    op.execute(f"CREATE POLICY tenant ON adjustments TO bb_app USING (user_id = {_ME})")
    op.execute("GRANT SELECT ON adjustments TO bb_dispatch")
    op.execute("CREATE POLICY oversight ON adjustments FOR SELECT TO bb_dispatch USING (true)")


def downgrade() -> None:
    op.execute("DROP TABLE adjustments")
    op.execute("DROP FUNCTION set_user_standing")
    for policy in ("operator", "oversight", "named", "tenant"):
        op.execute(f"DROP POLICY {policy} ON users")
    op.execute("REVOKE ALL ON users FROM bb_dispatch")
    op.execute("ALTER TABLE users NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")
