"""The audit log at the command line: to look into, and as a file."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console

from adapters.postgres.audit_log import PostgresAuditOversight
from adapters.postgres.engine import open_operator_engine
from adapters.postgres.people import PostgresPeopleOversight
from application.audit.read_audit import OverseeAudit
from application.ports.audit import AuditEntry, AuditQuery
from application.ports.paging import Page
from application.ports.people import PeopleQuery
from domain.audit.act import AuditAction
from domain.shared.errors import NotFound
from domain.shared.ids import UserId
from entrypoints.cli.operators import setting
from entrypoints.http.audit_files import ExportFormat, OverseenAuditEntryView, written

console = Console()


class _Moment(click.ParamType[datetime]):
    """A moment in ISO 8601; without an offset it is UTC."""

    name = "moment"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no moment such as 2026-12-01 or 2026-12-01T09:00+05:30.")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _narrowing(command: Any) -> Any:
    """The options that both commands are narrowed by."""
    for option in (
        click.option("--email", default="", help="Whose record, by their present address."),
        click.option("--user-id", default=None, type=click.UUID, help="Whose record, by their id."),
        click.option(
            "--action", default=None, type=click.Choice([each.value for each in AuditAction])
        ),
        click.option("--since", default=None, type=_Moment(), help="From this moment on."),
        click.option("--until", default=None, type=_Moment(), help="Before this moment."),
        click.option("--subject-id", default="", help="What was acted on."),
    ):
        command = option(command)
    return command


@click.group()
def audit() -> None:
    """Read the audit log. Reads DATABASE_DISPATCH_URL, or this folder's."""


@audit.command("list")
@click.option("--limit", default=50, type=click.IntRange(1, 1000), help="Entries to list.")
@_narrowing
def list_(limit: int, **narrowed: Any) -> None:
    """List what was done, newest first."""

    async def find() -> list[AuditEntry]:
        async with _log() as (oversee, people):
            user_id = await _whose(people, narrowed)
            return list(await oversee(_query(limit, narrowed), user_id))

    for entry in asyncio.run(find()):
        origin, act = entry.origin, entry.act
        who = origin.name or origin.person or "-"
        line = (
            f"{entry.at:%Y-%m-%d %H:%M:%S}  {act.action.value}  of {entry.user_id}"
            f"  by {origin.kind.value} {who}  {origin.address or '-'}"
        )
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@audit.command()
@click.option(
    "--format",
    "kind",
    default=ExportFormat.CSV.value,
    type=click.Choice([each.value for each in ExportFormat]),
    help="Comma-separated, or a JSON object a line.",
)
@click.option(
    "--output",
    default=None,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file to write, readable by you alone [standard output].",
)
@_narrowing
def export(kind: str, output: Path | None, **narrowed: Any) -> None:
    """Write all of it that fits, newest first."""

    async def write(to: BinaryIO) -> None:
        async with _log() as (oversee, people):
            user_id = await _whose(people, narrowed)
            batches = await oversee.export(_query(1, narrowed), user_id)
            view = OverseenAuditEntryView
            async for piece in written(batches, view.of, view, ExportFormat(kind)):
                to.write(piece)

    if output is None:
        asyncio.run(write(sys.stdout.buffer))
        return
    output.touch(mode=0o600)
    output.chmod(0o600)  # also one that was there before
    with output.open("wb") as file:
        asyncio.run(write(file))


@asynccontextmanager
async def _log() -> AsyncIterator[tuple[OverseeAudit, PostgresPeopleOversight]]:
    engine = open_operator_engine(setting("DATABASE_DISPATCH_URL"))
    try:
        yield OverseeAudit(PostgresAuditOversight(engine)), PostgresPeopleOversight(engine)
    finally:
        await engine.dispose()


async def _whose(people: PostgresPeopleOversight, narrowed: dict[str, Any]) -> UserId | None:
    """Whose record is asked for, if anybody's.

    Raises:
        NotFound: nobody has that address.
    """
    email = narrowed["email"].strip().lower()
    if not email:
        return None if narrowed["user_id"] is None else UserId(narrowed["user_id"])
    found = await people.people(PeopleQuery(page=Page(limit=100), search=email))
    for person in found:
        if person.email == email:
            return person.id
    raise NotFound("user", email)


def _query(limit: int, narrowed: dict[str, Any]) -> AuditQuery:
    action = narrowed["action"]
    return AuditQuery(
        limit=limit,
        action=None if action is None else AuditAction(action),
        since=narrowed["since"],
        until=narrowed["until"],
        subject_id=narrowed["subject_id"],
    )
