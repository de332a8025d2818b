"""A database of a test's own on the session's server, for what nobody else's rows may be near."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg

from adapters.postgres.migrate import upgrade
from entrypoints.local_stack import StackAddresses


@asynccontextmanager
async def own_database(stack: StackAddresses, superuser_url: str) -> AsyncIterator[StackAddresses]:
    """The servers, with a database that is migrated and empty, and gone afterwards."""
    name = f"own_{secrets.token_hex(4)}"

    def there(url: str | None) -> str:
        return urlsplit(url or "")._replace(path=f"/{name}").geturl()

    addresses = replace(
        stack,
        database_url=there(stack.database_url),
        database_owner_url=there(stack.database_owner_url),
        database_dispatch_url=there(stack.database_dispatch_url),
    )
    superuser = await asyncpg.connect(superuser_url)
    try:
        await superuser.execute(f"CREATE DATABASE {name} OWNER bb_owner")
        await upgrade(there(stack.database_owner_url))
        yield addresses
    finally:
        await superuser.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await superuser.close()
