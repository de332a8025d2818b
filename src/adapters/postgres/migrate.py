"""Bringing the schema up to date."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

_LOCK = 0x42_42_41_49  # any constant: the advisory lock all migrators share


async def upgrade(owner_url: str, revision: str = "head", *, first_rate: int | None = None) -> str:
    """Migrate to ``revision`` as the owner role; returns the revision reached.

    Safe to start many times over at once: the others wait, then find nothing to do.
    ``first_rate`` is the first exchange rate's paise a US dollar, for the migration that makes
    that table; later rates are rows that are added.
    """

    def migrate(config: Config) -> None:
        config.attributes["first_rate"] = first_rate
        command.upgrade(config, revision)

    return await _under_lock(owner_url, migrate)


async def downgrade(owner_url: str, revision: str) -> str:
    """Migrate back to ``revision``, or to ``base`` for none."""
    return await _under_lock(owner_url, lambda config: command.downgrade(config, revision))


def latest_revision() -> str:
    """The revision this code expects."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


async def current_revision(url: str) -> str:
    """The revision the database is at, or the empty string for none."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_revision)
    finally:
        await engine.dispose()


async def _under_lock(owner_url: str, migrate: Callable[[Config], None]) -> str:
    engine = create_async_engine(owner_url.replace("postgresql://", "postgresql+asyncpg://", 1))

    def apply(connection: Connection) -> str:
        config = _config()
        config.attributes["connection"] = connection
        migrate(config)
        return _revision(connection)

    try:
        async with engine.connect() as lock, engine.connect() as connection:
            await lock.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            reached = await connection.run_sync(apply)
            await connection.commit()
            return reached
    finally:
        await engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""
