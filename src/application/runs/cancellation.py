"""Ending tasks for certain."""

import asyncio
from typing import Any

_ASK_AGAIN_SECONDS = 0.25


async def stop(*tasks: asyncio.Future[Any]) -> None:
    """Cancel the tasks and wait for their ends, asking again where a cancellation was lost.

    ``asyncio.wait_for`` of Python 3.11, which clients of servers use inside, can swallow
    one (CPython #86296, mended in 3.12); asked once, such a task would go on unheard.
    Cancelled itself, this goes on until they have ended, and passes that on then.
    """
    interrupted: asyncio.CancelledError | None = None
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=_ASK_AGAIN_SECONDS)
        except asyncio.CancelledError as error:
            interrupted = error
        pending = {task for task in pending if not task.done()}
    # Their ends are seen here, so that none is reported as never retrieved.
    await asyncio.gather(*tasks, return_exceptions=True)
    if interrupted is not None:
        raise interrupted
