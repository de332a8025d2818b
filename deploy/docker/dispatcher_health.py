"""The dispatcher's health check: exit status 0 while due runs are announced in time.

A dispatcher moves the time of every due run on each second, but of those that wait for room
beside others of their person. A run that has been due for ``OVERDUE_SECONDS`` although nothing
of its person's is announced or at a worker says that none does, whatever the process table says.
"""

import asyncio
import os
import sys

import asyncpg

from entrypoints.settings import SettingsInvalid, read

OVERDUE_SECONDS = 15

_OVERDUE = """
    SELECT count(*) FROM runs AS due
    WHERE status IN ('queued', 'running') AND due_at < now() - make_interval(secs => $1)
        AND NOT EXISTS (
            SELECT FROM runs
            WHERE user_id = due.user_id AND status IN ('queued', 'running')
                AND due_at > now() AND not_before <= now()
        )
"""


async def overdue(url: str) -> int:
    """How many runs have waited too long to be announced."""
    connection = await asyncpg.connect(url, timeout=4, command_timeout=4)
    try:
        return int(await connection.fetchval(_OVERDUE, OVERDUE_SECONDS))
    finally:
        await connection.close()


def main() -> int:
    """Say what is wrong, and return the exit status."""
    try:
        url = read(os.environ, "DATABASE_DISPATCH_URL")
        if url is None:
            raise SettingsInvalid("Not set: DATABASE_DISPATCH_URL.")
        waiting = asyncio.run(overdue(url))
    except (SettingsInvalid, OSError, TimeoutError, asyncpg.PostgresError) as error:
        sys.stderr.write(f"cannot look for due runs: {type(error).__name__}: {error}\n")
        return 1
    if waiting:
        sys.stderr.write(f"{waiting} runs have been due for {OVERDUE_SECONDS} s\n")
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main())
