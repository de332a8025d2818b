"""``bharatbuild``: the commands of the house.

Each command imports what it needs itself: the service processes are started through
here, and a second of imports that they do not need is a second of waiting.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.shared.errors import DomainError
from entrypoints.errors import OperatorError
from entrypoints.settings import Settings, first_rate, load, read, required
from entrypoints.version import VERSION

console = Console()
errors = Console(stderr=True)

_OPERATORS = ("audit", "ledger", "runs", "secrets", "signing-keys", "users")


class _Group(click.Group):
    """Turns the errors a person can mend into a sentence and exit status 2.

    The operators' groups are imported when they are named: no service process needs them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_OPERATORS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _OPERATORS:
            return super().get_command(ctx, cmd_name)
        from entrypoints.cli import operators
        from entrypoints.cli.audit import audit
        from entrypoints.cli.ledger import ledger
        from entrypoints.cli.secrets import secrets
        from entrypoints.cli.signing_keys import signing_keys

        return {
            "audit": audit,
            "ledger": ledger,
            "runs": operators.runs,
            "secrets": secrets,
            "signing-keys": signing_keys,
            "users": operators.users,
        }[cmd_name]

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (OperatorError, DomainError) as error:
            errors.print(f"[red]bharatbuild:[/red] {escape(str(error))}", highlight=False)
            ctx.exit(2)


@click.group(cls=_Group)
@click.version_option(VERSION, prog_name="bharatbuild")
def main() -> None:
    """An idea goes in; requirements, documents and a verified codebase come out."""


@main.command()
@click.option("--port", default=None, type=click.IntRange(1, 65535), help="HTTP port [8000].")
def up(port: int | None) -> None:
    """Start the platform of this folder and keep it up until Ctrl-C."""
    from adapters.observability.logging import configure_logging

    configure_logging(os.environ.get("LOG_LEVEL", "info"), machine=False)
    asyncio.run(_up(port or int(os.environ.get("HTTP_PORT", "8000"))))


async def _up(port: int) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, stopping.set)
    starting = asyncio.ensure_future(_serve(port, stopping))
    interrupted = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({starting, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    if interrupted.done() and not starting.done():
        # Also reached while still starting: give it the chance to end in order.
        await asyncio.wait({starting}, timeout=40)
    interrupted.cancel()
    await starting


async def _serve(port: int, stopping: asyncio.Event) -> None:
    from entrypoints.cli.platform import FOLDER, running_platform

    async with running_platform(Path.cwd(), os.environ, port=port, log_to_files=False) as platform:
        table = Table(title="BharatBuild AI is up", show_header=False, title_justify="left")
        table.add_row("API", f"{platform.url}/api/v1")
        table.add_row("API description", f"{platform.url}/api/v1/schema/openapi.json")
        table.add_row("Health", f"{platform.url}/health/ready")
        table.add_row("Metrics", f"{platform.url}/metrics")
        table.add_row("Local servers", ", ".join(platform.local) or "none: all are set by address")
        table.add_row("Data and logs", str(Path.cwd() / FOLDER))
        console.print(table)
        console.print('Ctrl-C stops it. In another terminal: bharatbuild build "your idea"')
        failing = asyncio.ensure_future(platform.failed())
        waiting = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({failing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if failing.done():
            raise failing.result()
        failing.cancel()
        console.print("Stopping …")


@main.command()
@click.argument("idea")
@click.option("--title", default="", help="A title; taken from the idea if left out.")
@click.option("--out", default="out", type=click.Path(path_type=Path), help="Where to put it.")
@click.option("--fresh", is_flag=True, help="Make every step anew, even with unchanged inputs.")
def build(idea: str, title: str, out: Path, fresh: bool) -> None:
    """Build a project from IDEA and download it, with live progress."""
    from adapters.observability.logging import configure_logging
    from entrypoints.cli.build import BuildFailed, build_project
    from entrypoints.cli.platform import running_address, running_platform

    configure_logging("warning", machine=False)

    async def run() -> bool:
        address = await running_address(Path.cwd())
        if address is not None:
            return await build_project(console, address, idea, title, out, fresh=fresh)
        port = int(os.environ.get("HTTP_PORT", "8000"))
        with console.status("Starting the local stack …"):
            context = running_platform(Path.cwd(), os.environ, port=port, log_to_files=True)
            platform = await context.__aenter__()
        try:
            return await build_project(console, platform.url, idea, title, out, fresh=fresh)
        finally:
            await context.__aexit__(None, None, None)

    try:
        verified = asyncio.run(run())
    except BuildFailed as failure:
        errors.print(f"[red]bharatbuild:[/red] {failure}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("Stopped. The run was handed back; build again to go on with it.")
        sys.exit(130)
    sys.exit(0 if verified else 1)


@main.command()
def http() -> None:
    """Serve the API."""
    from entrypoints.http.server import serve

    serve(_settings("http"))


@main.command()
def worker() -> None:
    """Execute runs."""
    from entrypoints.worker import work

    work(_settings("worker"))


@main.command()
def dispatcher() -> None:
    """Announce due runs."""
    from entrypoints.dispatcher import dispatch

    dispatch(_settings("dispatcher"))


@main.command()
@click.option("--to", default="head", help="The revision to migrate to.")
def migrate(to: str) -> None:
    """Bring the database's schema up to date, as the owner role.

    Reads DATABASE_OWNER_URL, and USD_INR_PAISE for the first exchange rate of a new database.
    """
    from adapters.postgres.migrate import upgrade

    reached = asyncio.run(
        upgrade(required(os.environ, "DATABASE_OWNER_URL"), to, first_rate=first_rate(os.environ))
    )
    console.print(f"The schema is at revision {reached}.")


@main.command()
def bootstrap() -> None:
    """Make the database, its three roles and the bucket; safe to repeat.

    Reads DATABASE_SUPERUSER_URL, DATABASE_OWNER_PASSWORD, DATABASE_APP_PASSWORD and
    DATABASE_DISPATCH_PASSWORD, or the files their _FILE twins name. The bucket is made
    where S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY and S3_BUCKET are set.
    """
    from entrypoints.local_stack import RolePasswords, bootstrap_database

    names = (
        "DATABASE_SUPERUSER_URL",
        "DATABASE_OWNER_PASSWORD",
        "DATABASE_APP_PASSWORD",
        "DATABASE_DISPATCH_PASSWORD",
    )
    superuser, owner, app, dispatch_ = (required(os.environ, name) for name in names)
    asyncio.run(
        bootstrap_database(superuser, RolePasswords(owner=owner, app=app, dispatch=dispatch_))
    )
    console.print("The database and its roles bb_owner, bb_app and bb_dispatch are there.")
    if read(os.environ, "S3_ENDPOINT") is not None:
        bucket = asyncio.run(_make_bucket())
        console.print(f"The bucket {bucket} is there.")


async def _make_bucket() -> str:
    from adapters.minio import MinioObjectStore

    endpoint, access_key, secret_key = (
        required(os.environ, name) for name in ("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")
    )
    bucket = read(os.environ, "S3_BUCKET") or "bharatbuild"
    store = MinioObjectStore(
        endpoint, access_key, secret_key, bucket, read(os.environ, "S3_REGION") or "us-east-1"
    )
    try:
        await store.ensure_bucket()
    finally:
        await store.close()
    return bucket


@main.command()
def doctor() -> None:
    """Say what is used, and whether it answers."""
    from adapters.observability.logging import configure_logging
    from entrypoints.cli.doctor import examine

    configure_logging("error", machine=False)
    sys.exit(0 if asyncio.run(examine(console, Path.cwd(), os.environ)) else 1)


def _settings(process: str) -> Settings:
    if read(os.environ, "ENVIRONMENT") == "production":
        from entrypoints.secret_check import refuse_unsafe

        for warning in refuse_unsafe(os.environ, process):
            said = f"{warning.variable}: {warning.problem} {warning.remedy}"
            errors.print(f"warning: {said}", markup=False, highlight=False, soft_wrap=True)
    return load(os.environ)


if __name__ == "__main__":
    main()
