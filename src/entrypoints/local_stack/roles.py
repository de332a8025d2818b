"""The database and its three roles, made by a superuser that no service knows.

==============  ==========================================================================
``bb_owner``    owns the database and its schema; runs migrations; no service uses it
``bb_app``      the HTTP service and the workers; owns nothing
``bb_dispatch`` the dispatcher; owns nothing
==============  ==========================================================================

None of them is a superuser or bypasses row-level security. On tables, ``bb_app`` and
``bb_dispatch`` have what migrations grant them, and nothing before that.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from entrypoints.local_stack.credentials import RolePasswords
from entrypoints.local_stack.errors import LocalStackError

DATABASE = "bharatbuild"
OWNER_ROLE = "bb_owner"
APP_ROLE = "bb_app"
DISPATCH_ROLE = "bb_dispatch"

_SCRAM_ITERATIONS = 4096  # PostgreSQL's default, scram_iterations
_LOCK = 0x62625F626F6F74  # "bb_boot": any number that nothing else in the server uses


class RoleTooPowerful(LocalStackError):
    """A role of ours has an attribute that no service may have, and it cannot be taken away."""


async def bootstrap_database(superuser_dsn: str, credentials: RolePasswords) -> None:
    """Make, or bring back to what they should be, the roles, the database and its grants.

    Safe to repeat and to run concurrently. Works with any PostgreSQL 15 or newer. A managed
    server's master user is enough, if it may create roles and databases.

    Args:
        superuser_dsn: ``postgresql://…`` of the bootstrap superuser, on a maintenance database.
        credentials: the roles' passwords, set at every call. They reach the server only as SCRAM
            verifiers (RFC 5802), so that no statement log can hold them.

    Raises:
        ValueError: a password is empty or not printable ASCII.
        RoleTooPowerful: a role is a superuser or bypasses row-level security, and stays so.
        asyncpg.PostgresError: the server refused a statement.
    """
    passwords = {
        OWNER_ROLE: credentials.owner,
        APP_ROLE: credentials.app,
        DISPATCH_ROLE: credentials.dispatch,
    }
    verifiers = {role: _scram_verifier(password) for role, password in passwords.items()}
    async with _connection(superuser_dsn) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        for role, verifier in verifiers.items():
            await _make_role(connection, role, verifier)
        await _make_database(connection)
    async with _connection(superuser_dsn, database=DATABASE) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(_SCHEMA_GRANTS)


async def close_other_databases(superuser_dsn: str) -> None:
    """Keep everybody but the superuser out of the databases that every cluster comes with.

    For a cluster that is ours alone; on a shared one they are somebody else's to decide about.
    """
    async with _connection(superuser_dsn) as connection:
        await connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")


_DATABASE_GRANTS = f"""
    REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC, {APP_ROLE}, {DISPATCH_ROLE};
    GRANT CONNECT ON DATABASE {DATABASE} TO {APP_ROLE}, {DISPATCH_ROLE};
"""
_SCHEMA_GRANTS = f"""
    ALTER SCHEMA public OWNER TO {OWNER_ROLE};
    REVOKE ALL ON SCHEMA public FROM PUBLIC, {APP_ROLE}, {DISPATCH_ROLE};
    GRANT USAGE ON SCHEMA public TO {APP_ROLE}, {DISPATCH_ROLE};
"""


@asynccontextmanager
async def _connection(
    dsn: str, database: str | None = None
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn, database=database, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


async def _make_role(
    connection: "asyncpg.Connection[asyncpg.Record]", role: str, verifier: str
) -> None:
    attributes = "LOGIN NOCREATEDB NOCREATEROLE"
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await connection.execute(f"CREATE ROLE {role} {attributes}")
    await connection.execute(f"ALTER ROLE {role} {attributes} PASSWORD '{verifier}'")
    # Only a true superuser may even mention these, so they are mentioned only when needed.
    powers = "SELECT rolsuper OR rolbypassrls OR rolreplication FROM pg_roles WHERE rolname = $1"
    if await connection.fetchval(powers, role):
        try:
            await connection.execute(f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS NOREPLICATION")
        except asyncpg.InsufficientPrivilegeError as error:
            raise RoleTooPowerful(
                f"{role} is a superuser, bypasses row-level security or may replicate; have a "
                f"superuser run: ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS NOREPLICATION"
            ) from error


async def _make_database(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    # Who is not a superuser can only give things to a role that it may become. From PostgreSQL 16
    # on, having made the role is not enough for that; up to 15, granting it again changes nothing.
    if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        await connection.execute(f"GRANT {OWNER_ROLE} TO CURRENT_USER")
    owner = await connection.fetchval(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1", DATABASE
    )
    if owner is None:
        await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}")
    elif owner != OWNER_ROLE:
        await connection.execute(f"ALTER DATABASE {DATABASE} OWNER TO {OWNER_ROLE}")
    await connection.execute(_DATABASE_GRANTS)


def _scram_verifier(password: str) -> str:
    """PostgreSQL's stored form of a password, as ``pg_authid`` documents it (RFC 5802, 7677)."""
    # Printable ASCII is its own SASLprep (RFC 4013); more would need its tables.
    if not (password and password.isascii() and password.isprintable()):
        raise ValueError("A database password must be non-empty, printable ASCII.")
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    salt_text, stored_text, server_text = (
        base64.b64encode(part).decode() for part in (salt, stored_key, server_key)
    )
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{salt_text}${stored_text}:{server_text}"
