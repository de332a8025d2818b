"""An operator's commands, straight on the database: they work when HTTP does not."""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import open_operator_engine
from adapters.postgres.oversight import PostgresRunOversight, grant_role, switch_person
from adapters.postgres.people import PostgresPeopleOversight
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.redis import RedisKeyChanges, open_redis
from adapters.system import SystemClock, UuidMaker
from application.operations.manage_people import MAX_REASON_LENGTH, OverseePeople
from application.operations.oversee_runs import Evidence, ExamineRun, OverseeRuns, RetryAnyRun
from application.ports.live import Nudge, StepProgress
from application.ports.paging import Page
from application.ports.people import PeopleQuery, PersonSummary
from application.projects.retry_run import RetryRun
from application.runs.cancel_run import CancelRun
from domain.audit.origin import Origin
from domain.identity.user import Role
from domain.projects.run import RunNotLive, RunStatus
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import RunId, UserId, WebhookEndpointId
from entrypoints.cli.platform import local_services
from entrypoints.local_stack import LocalStack
from entrypoints.settings import SettingsInvalid, read

console = Console()


@click.group()
def runs() -> None:
    """Look after runs. Reads DATABASE_URL and DATABASE_DISPATCH_URL, or this folder's."""


@runs.command()
@click.option("--limit", default=50, type=click.IntRange(1, 1000), help="Runs to list.")
def dead(limit: int) -> None:
    """List dead runs, newest first."""

    async def find() -> None:
        async with _databases() as (dispatch, _):
            found = await OverseeRuns(PostgresRunOversight(dispatch))(
                RunStatus.DEAD, Page(limit=limit)
            )
        for run in found:
            when = f"{run.finished_at:%Y-%m-%d %H:%M}" if run.finished_at else "-"
            console.print(f"{run.id}  {when}  {run.error_code}  {run.error}", markup=False)
        console.print(f"{len(found)} dead" if found else "No run is dead.")

    asyncio.run(find())


@runs.command()
@click.argument("run_id", type=click.UUID)
def show(run_id: UUID) -> None:
    """Show what is known of a run: steps, the end of its log, failed model calls."""

    async def examine() -> Evidence:
        async with _databases() as (dispatch, app):
            return await ExamineRun(PostgresRunOversight(dispatch), PostgresUnitOfWork(app))(
                RunId(run_id)
            )

    _print(asyncio.run(examine()))


@runs.command()
@click.argument("run_id", type=click.UUID)
def retry(run_id: UUID) -> None:
    """Accept a new run in place of one that failed, died or was cancelled."""

    async def accept() -> RunId:
        async with _databases() as (dispatch, app):
            accepting = RetryRun(
                PostgresUnitOfWork(app), _DispatcherFindsIt(), SystemClock(), UuidMaker()
            )
            return (
                await RetryAnyRun(PostgresRunOversight(dispatch), accepting)(
                    RunId(run_id), origin=operator()
                )
            ).id

    console.print(f"Accepted as run {asyncio.run(accept())}; it goes on from what is finished.")


@click.group()
def users() -> None:
    """Look after people. Reads DATABASE_OWNER_URL, or this folder's."""


@users.command("list")
@click.option("--search", default="", help="Words in address or name.")
@click.option("--role", default=None, type=click.Choice([role.value for role in Role]))
@click.option("--suspended", is_flag=True, help="Only those who may do nothing.")
@click.option("--limit", default=50, type=click.IntRange(1, 1000), help="People to list.")
def list_(search: str, role: str | None, suspended: bool, limit: int) -> None:
    """List people, newest first. Reads DATABASE_DISPATCH_URL and DATABASE_URL."""
    query = PeopleQuery(
        page=Page(limit=limit),
        search=search.strip(),
        role=None if role is None else Role(role),
        is_active=False if suspended else None,
    )

    async def find() -> Sequence[PersonSummary]:
        async with _databases() as (dispatch, _):
            return await OverseePeople(PostgresPeopleOversight(dispatch))(query)

    for person in asyncio.run(find()):
        state = "active" if person.is_active else "suspended"
        line = f"{person.id}  {person.role.value}  {state}  {person.email}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@users.command("grant-role")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
def grant(email: str, role: str) -> None:
    """Give the person with EMAIL a ROLE, in place of the one they have."""
    address = email.strip().lower()

    async def change() -> bool:
        changed = await grant_role(setting("DATABASE_OWNER_URL"), address, Role(role), operator())
        return await _told(changed, address)

    console.print(f"{address} is {role} {_from(asyncio.run(change()))}.", markup=False)


@users.command()
@click.argument("email")
@click.option("--reason", required=True, help="Why, for the audit log.")
def suspend(email: str, reason: str) -> None:
    """Keep the person with EMAIL, and their keys, from doing anything; stop what runs for them.

    Reads DATABASE_OWNER_URL, and DATABASE_URL and DATABASE_DISPATCH_URL to stop their runs.
    """
    address = email.strip().lower()

    async def change() -> bool:
        user_id = await _switched(address, False, reason)
        told = await _told(user_id, address)
        async with _databases() as (_, app):
            uow = PostgresUnitOfWork(app)
            cancel = CancelRun(uow, _WatchersLook(), SystemClock(), _DispatcherFindsIt())
            async with uow.begin(user_id) as tx:
                live = await tx.runs.live_ids()
            for run_id in live:
                try:
                    await cancel(user_id, run_id)
                except RunNotLive:
                    continue  # it ended by itself meanwhile
        return told

    console.print(f"{address} is suspended {_from(asyncio.run(change()))}.", markup=False)


@users.command()
@click.argument("email")
@click.option("--reason", required=True, help="Why, for the audit log.")
def reinstate(email: str, reason: str) -> None:
    """Let the person with EMAIL act again. They sign in anew; what was stopped stays so."""
    address = email.strip().lower()

    async def change() -> bool:
        return await _told(await _switched(address, True, reason), address)

    console.print(f"{address} may act again {_from(asyncio.run(change()))}.", markup=False)


async def _switched(address: str, active: bool, reason: str) -> UserId:
    if not 1 <= len(reason.strip()) <= MAX_REASON_LENGTH:
        raise InvalidValue("reason", f"Say why, in 1 to {MAX_REASON_LENGTH} characters.")
    user_id = await switch_person(
        setting("DATABASE_OWNER_URL"), address, active, reason.strip(), operator()
    )
    if user_id is None:
        raise NotFound("user", address)
    return user_id


async def _told(user_id: UserId | None, address: str) -> bool:
    """Tell every process of the change, where REDIS_URL says how to; whether it does.

    Raises:
        NotFound: there was nobody to change.
    """
    if user_id is None:
        raise NotFound("user", address)
    try:
        url = setting("REDIS_URL")
    except SettingsInvalid:
        return False
    redis = open_redis(url)
    try:
        await RedisKeyChanges(redis).announce(user_id)
    finally:
        await redis.aclose()
    return True


def _from(told: bool) -> str:
    return "from now on" if told else "within 30 seconds (REDIS_URL tells every process at once)"


def _print(evidence: Evidence) -> None:
    run = evidence.run
    table = Table(show_header=False)
    for name in ("id", "user_id", "project_id", "mode", "status", "progress", "attempts"):
        table.add_row(name, str(getattr(run, name)))
    table.add_row("retry_of", str(run.retry_of or "-"))
    table.add_row("error", escape(f"{run.error_code}: {run.error}" if run.error_code else "-"))
    console.print(table)
    for task in evidence.tasks:
        said = f"{task.error_code}: {task.error}" if task.error_code else task.summary
        line = f"step {task.step}: {task.status.value}, attempt {task.attempt}. {said}"
        console.print(line, markup=False)
    for event in evidence.events:
        console.print(f"{event.seq:>4} {event.at:%H:%M:%S} {event.type.value}", markup=False)
    for call in evidence.failures:
        console.print(f"call {call.id} of {call.step}: {call.failure}", markup=False)


@asynccontextmanager
async def _databases() -> AsyncIterator[tuple[AsyncEngine, AsyncEngine]]:
    """The database as ``bb_dispatch``, which reads every run's row, and as ``bb_app``."""
    names = "DATABASE_DISPATCH_URL", "DATABASE_URL"
    dispatch, app = (open_operator_engine(setting(name)) for name in names)
    try:
        yield dispatch, app
    finally:
        await dispatch.dispose()
        await app.dispose()


@dataclass(frozen=True, slots=True)
class _DispatcherFindsIt:
    """No hint is sent: the dispatcher announces what is due, once a second."""

    async def announce_run(self, run_id: RunId) -> None:
        """Nothing."""

    async def announce_webhooks(self, endpoint_id: WebhookEndpointId) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class _WatchersLook:
    """Nobody is nudged: who watches a run looks into its log every few seconds."""

    async def publish(self, run_id: RunId, update: Nudge | StepProgress) -> None:
        """Nothing."""


def operator() -> Origin:
    """Who is at the command line: their account on this machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = f"uid {os.getuid()}"
    return Origin.of_operator(name)


def setting(name: str) -> str:
    """A setting, from the environment or else of the local servers of this folder.

    Raises:
        SettingsInvalid: neither has it.
    """
    services = local_services(os.environ)
    local = LocalStack(Path.cwd(), services=services, environment=os.environ).remembered()
    value = read(os.environ, name) or (local.environment().get(name) if local else None)
    if value is None:
        raise SettingsInvalid(
            f"Not set: {name}. Set it, or go to a folder whose platform is up (bharatbuild up)."
        )
    return value
