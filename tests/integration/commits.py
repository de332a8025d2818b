"""Commits that do not wait for the disk, for servers whose death no test is about.

Tests make tens of thousands of them, and a disk takes milliseconds for each. What is committed
is seen by everybody at once all the same; only a crash of the server could lose the last of it.
"""

import asyncpg


async def let_commits_not_wait(owner_url: str) -> None:
    """Of every connection to the owner's database that is opened from now on."""
    connection = await asyncpg.connect(owner_url)
    try:
        database = await connection.fetchval("SELECT current_database()")
        await connection.execute(f'ALTER DATABASE "{database}" SET synchronous_commit TO off')
    finally:
        await connection.close()
