"""An operator: at the command line, and signed in as an administrator."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from click.testing import CliRunner

from entrypoints.cli.main import main
from entrypoints.cli.platform import Platform
from tests.integration.platform.person import PASSWORD, Person

ADDRESSES = ("DATABASE_URL", "DATABASE_DISPATCH_URL", "DATABASE_OWNER_URL", "REDIS_URL")


async def command(platform: Platform, *arguments: str) -> tuple[int, str]:
    """``bharatbuild`` with these arguments; its exit status and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "entrypoints.cli.main", *arguments),
        env={
            **os.environ,
            "COLUMNS": "400",
            **{name: platform.environment[name] for name in ADDRESSES},
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def in_process(platform: Platform, *arguments: str) -> tuple[int, str]:
    """The same without a process of its own, for what a process adds nothing to."""
    environment = {name: platform.environment[name] for name in ADDRESSES} | {"COLUMNS": "400"}
    runner = CliRunner()
    result = await asyncio.to_thread(runner.invoke, main, arguments, env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@asynccontextmanager
async def administrator(platform: Platform) -> AsyncIterator[Person]:
    """Somebody new, made an administrator and signed in as one."""
    async with Person(platform.url) as operator:
        status, said = await command(platform, "users", "grant-role", operator.email, "admin")
        assert (status, operator.email in said) == (0, True), said
        signed_in = await operator.post(
            "/auth/login", status=200, json={"email": operator.email, "password": PASSWORD}
        )
        operator.http.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
        yield operator
