"""Run as a script: hold the stack of a folder, say what runs, and wait to be ended.

    python stack_holder.py FOLDER [SERVICE …]

Imports nothing but the stack, so that any interpreter with its dependencies will do.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from entrypoints.local_stack import ALL_SERVICES, LocalStack


async def main(folder: str, *services: str) -> None:
    stack = LocalStack(Path(folder), services=services or ALL_SERVICES)
    async with stack as addresses:
        pids = {server.name: server.pid for server in stack.servers}
        said = {"uid": os.geteuid(), "pids": pids, "environment": addresses.environment()}
        print("STARTED " + json.dumps(said), flush=True)
        # The end of standard input is the request to stop.
        await asyncio.to_thread(sys.stdin.read)
    print("STOPPED", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
