"""The last active admin stays one, waiting sign-ins are forgotten, and an event's retry is told.

``keep_an_admin`` lets those who take an admin away, whoever they are and in whatever way, do so one
after another, and refuses the last one. ``bb_dispatch`` deletes sign-ins that waited too long for
their second factor, and writes down, in the transaction that does it, that an admin had a gateway's
event acted on again; nothing else can it write into the audit log.
"""

from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels = None
depends_on = None

# Of set_user_standing: each sees what the one before it left.
_LOCK = """
CREATE FUNCTION lock_standings() RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS
'SELECT pg_advisory_xact_lock(7089336938131513954)'
"""

_KEEP = """
CREATE FUNCTION keep_an_admin(leaving uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('app.operator', true), '');
BEGIN
    PERFORM public.lock_standings();
    PERFORM set_config('app.operator', 'on', true);
    PERFORM 1 FROM public.users WHERE role = 'admin' AND is_active AND id <> leaving LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no active admin would be left'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'users_last_admin';
    END IF;
    PERFORM set_config('app.operator', before, true);
END $$
"""

_TRIGGER = """
CREATE FUNCTION users_keep_an_admin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.keep_an_admin(OLD.id);
    RETURN NEW;
END $$
"""

_WRITTEN = (
    "user_id, actor_kind, actor_id, api_key_id, actor_name, address, request_id, action,"
    " subject_id, before, after"
)


def upgrade() -> None:
    op.execute(_LOCK)
    op.execute("REVOKE ALL ON FUNCTION lock_standings FROM PUBLIC")
    op.execute(_KEEP)
    op.execute("REVOKE ALL ON FUNCTION keep_an_admin FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION keep_an_admin TO bb_app")
    op.execute(_TRIGGER)
    op.execute(
        "CREATE TRIGGER users_keep_an_admin BEFORE UPDATE OF role, is_active ON users FOR EACH ROW"
        " WHEN (OLD.role = 'admin' AND OLD.is_active"
        " AND NOT (NEW.role = 'admin' AND NEW.is_active))"
        " EXECUTE FUNCTION users_keep_an_admin()"
    )
    op.execute("CREATE INDEX sign_in_challenges_over ON sign_in_challenges (expires_at)")
    op.execute("GRANT SELECT (digest, expires_at), DELETE ON sign_in_challenges TO bb_dispatch")
    op.execute(
        "CREATE POLICY over ON sign_in_challenges TO bb_dispatch"
        " USING (expires_at < now() - interval '1 hour')"
    )
    op.execute(f"GRANT INSERT ({_WRITTEN}) ON audit_log TO bb_dispatch")
    op.execute(
        "CREATE POLICY retried ON audit_log FOR INSERT TO bb_dispatch"
        " WITH CHECK (action = 'gateway_event.retried' AND actor_kind = 'person')"
    )


def downgrade() -> None:
    op.execute("DROP POLICY retried ON audit_log")
    op.execute(f"REVOKE INSERT ({_WRITTEN}) ON audit_log FROM bb_dispatch")
    op.execute("DROP POLICY over ON sign_in_challenges")
    op.execute("REVOKE ALL ON sign_in_challenges FROM bb_dispatch")
    op.execute("REVOKE ALL (digest, expires_at) ON sign_in_challenges FROM bb_dispatch")
    op.execute("DROP INDEX sign_in_challenges_over")
    op.execute("DROP TRIGGER users_keep_an_admin ON users")
    op.execute("DROP FUNCTION users_keep_an_admin")
    op.execute("DROP FUNCTION keep_an_admin")
    op.execute("DROP FUNCTION lock_standings")
