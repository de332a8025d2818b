"""Build a project over the API, as any client would, and show it happening."""

import asyncio
import contextlib
import os
import secrets
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import msgspec
import websockets
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column, Table

from domain.shared.money import rupees
from entrypoints.cli.platform import FOLDER

_TIMEOUT = httpx.Timeout(30, read=120)
_RECONNECT_SECONDS = 0.5
_MOST_RECONNECTS = 60
_UNPACKED_LIMIT = 64 * 1024 * 1024
"""Bytes. What an archive may unpack to; the path policy allows an eighth of it."""


class BuildFailed(Exception):
    """The build did not bring a project; the message says why and what to do."""


class Account(msgspec.Struct):
    """The command line's own account on the platform of this folder."""

    email: str
    password: str


async def build_project(
    console: Console, url: str, idea: str, title: str, out: Path, *, fresh: bool
) -> bool:
    """Register, create, execute, follow, download; returns whether the code was verified.

    Raises:
        BuildFailed: the platform refused, or the run ended without a result.
    """
    began = time.monotonic()
    async with httpx.AsyncClient(
        base_url=f"{url}/api/v1", timeout=_TIMEOUT, trust_env=False
    ) as client:
        account = await _sign_in(client, url)
        project = await _call(client, "POST", "/projects", json={"idea": idea, "title": title})
        quoted = await _call(client, "POST", f"/projects/{project['id']}/quote")
        run = await _call(
            client, "POST", f"/projects/{project['id']}/execute", json={"reuse": not fresh}
        )
        console.print(
            f"[bold]{escape(project['title'])}[/bold]  project {project['id']}", highlight=False
        )
        if not quoted["offline"]:
            console.print(
                f"Probably {quoted['expected']['cost']}, at least {quoted['low']['cost']}, "
                f"hardly more than {quoted['high']['cost']}; you have "
                f"{rupees(quoted['credits_available'])}.",
                highlight=False,
            )
        board = _Board(console, began)
        with Live(board, console=console, refresh_per_second=8):
            await _follow(client, url, run["id"], board)
        detail = await _call(client, "GET", f"/runs/{run['id']}")
        if detail["run"]["status"] != "succeeded":
            raise BuildFailed(
                f"The run ended as {detail['run']['status']}: {detail['run']['error']} "
                "What was finished is kept; build again to go on from there."
            )
        folder = await _download(client, project["id"], out)
    summary = next(
        (task["summary"] for task in detail["tasks"] if task["agent_type"] == "verify"), ""
    )
    _report(console, folder, detail, summary, account, time.monotonic() - began)
    return bool(summary.startswith("Verified"))


async def _sign_in(client: httpx.AsyncClient, url: str) -> Account:
    """Sign in as this folder's account; register it at the first time."""
    path = FOLDER / "cli-account.json"
    try:
        account = msgspec.json.decode(path.read_bytes(), type=Account)
    except FileNotFoundError:
        account = Account(
            email=f"builder-{secrets.token_hex(4)}@example.com", password=secrets.token_urlsafe(18)
        )
    credentials = {"email": account.email, "password": account.password}
    answer = await client.post("/auth/login", json=credentials)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        await _call(client, "POST", "/auth/register", json={**credentials, "name": "Builder"})
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(account))
        answer = await client.post("/auth/login", json=credentials)
    token = _checked(answer, url)["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return account


async def _call(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> dict[str, Any]:
    try:
        answer = await client.request(method, path, **more)
    except httpx.HTTPError as error:
        raise BuildFailed(f"The platform does not answer ({type(error).__name__}).") from error
    return _checked(answer, path)


def _checked(answer: httpx.Response, what: str) -> dict[str, Any]:
    if answer.is_success:
        body: dict[str, Any] = answer.json()
        return body
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    fields = "; ".join(
        f"{entry['field']}: {entry['message']}" for entry in problem.get("errors", [])
    )
    raise BuildFailed(fields or problem.get("detail") or f"{what} answered {answer.status_code}.")


async def _follow(client: httpx.AsyncClient, url: str, run_id: str, board: "_Board") -> None:
    """Follow the stream to the run's end, through any number of cut connections."""
    after = 0
    for _ in range(_MOST_RECONNECTS):
        permit = await _call(client, "POST", f"/runs/{run_id}/stream-ticket")
        address = url.replace("http", "ws", 1) + permit["stream_url"]
        with contextlib.suppress(OSError, websockets.WebSocketException):
            async with websockets.connect(
                f"{address}?ticket={permit['ticket']}&after={after}", proxy=None
            ) as socket:
                async for message in socket:
                    update = msgspec.json.decode(message)
                    after = update.get("seq", after)
                    board.take(update)
                    if update["type"] == "run.finished":
                        return
        await asyncio.sleep(_RECONNECT_SECONDS)
    raise BuildFailed("The live stream broke again and again; look at the run's events instead.")


async def _download(client: httpx.AsyncClient, project_id: str, out: Path) -> Path:
    """Stream the archive to disk and unpack it to ``out/<project>``, in place of an older one."""
    await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
    archive = out / f".{project_id}.zip"
    async with client.stream("GET", f"/projects/{project_id}/archive") as answer:
        if not answer.is_success:
            await answer.aread()
            _checked(answer, "the archive")
        with archive.open("wb") as file:
            async for chunk in answer.aiter_bytes():
                file.write(chunk)
    return await asyncio.to_thread(_unpack, archive, out)


def _unpack(archive: Path, out: Path) -> Path:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        if sum(member.file_size for member in members) > _UNPACKED_LIMIT:
            raise BuildFailed("The archive is larger than a project can be; it was not unpacked.")
        folder = out / members[0].filename.split("/", 1)[0]
        for member in members:
            target = (out / member.filename).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise BuildFailed(f"The archive names a file outside of it: {member.filename}")
        if folder.exists():
            shutil.rmtree(folder)
        opened.extractall(out)
    archive.replace(folder.with_suffix(".zip"))
    return folder


class _Board:
    """A bar an agent, with tokens and cost; redrawn by rich."""

    def __init__(self, console: Console, began: float) -> None:
        self._began = began
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓[/green]", table_column=_fixed(1)),
            TextColumn("{task.description}", table_column=_fixed(21)),
            BarColumn(bar_width=8, table_column=_fixed(8)),
            TextColumn("{task.fields[tokens]:>7} tok", table_column=_fixed(11)),
            TextColumn("{task.fields[cost]:>7}", table_column=_fixed(7)),
            TextColumn("{task.fields[note]}"),
            console=console,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._credits = 0
        self._tokens: dict[str, int] = {}
        self._progress = 0
        self._status = "queued"

    def __rich__(self) -> Group:
        elapsed = time.monotonic() - self._began
        line = (
            f"{self._status}  {self._progress:>3} %   {sum(self._tokens.values()):,} tokens   "
            f"{rupees(self._credits)}   {elapsed:.0f} s"
        )
        return Group(self._bars, line)

    def take(self, update: dict[str, Any]) -> None:
        """Show one update of the stream."""
        data = update.get("data", {})
        match update["type"]:
            case "run.queued":
                for step in data["steps"]:
                    self._tasks[step["name"]] = self._bars.add_task(
                        step["title"], total=1, start=False, tokens="0", cost="", note=""
                    )
            case "run.started" | "run.resumed":
                self._status = "running"
            case "step.started":
                self._bars.update(self._tasks[data["step"]], total=None, note="working")
                self._bars.start_task(self._tasks[data["step"]])
            case "step.progress":
                self._tokens[update["step"]] = update["output_tokens"]
                self._bars.update(
                    self._tasks[update["step"]], tokens=f"{update['output_tokens']:,}"
                )
            case "step.finished":
                self._finish(data)
            case "run.finished":
                self._status, self._progress = data["status"], data["progress"]
            case _:
                pass

    def _finish(self, data: dict[str, Any]) -> None:
        self._credits += data["credits"]
        self._tokens[data["step"]] = data["tokens"]
        self._progress = data["progress"]
        note = data["summary"]
        if data["status"] == "reused":
            note += " (unchanged, reused)"
        if data["findings"]:
            note += f", {data['findings']} findings"
        if data["status"] == "failed":
            note = f"[red]{escape(data['error'])}[/red]"
        self._bars.update(
            self._tasks[data["step"]],
            total=1,
            completed=0 if data["status"] == "failed" else 1,
            tokens=f"{data['tokens']:,}",
            cost=rupees(data["credits"]),
            note=note,
        )


def _fixed(width: int) -> Column:
    """A column that a narrow terminal does not squeeze: the note gives way instead."""
    return Column(min_width=width, no_wrap=True)


def _report(
    console: Console,
    folder: Path,
    detail: dict[str, Any],
    summary: str,
    account: Account,
    seconds: float,
) -> None:
    documents = sorted((folder / "documents").iterdir())
    formats = ", ".join(sorted({path.suffix.removeprefix(".") for path in documents}))
    table = Table(show_header=False, box=None, pad_edge=False)
    good = summary.startswith("Verified")
    table.add_row("Verification", f"[{'green' if good else 'red'}]{escape(summary)}[/]")
    table.add_row("Code", str(folder / "code"))
    table.add_row("Documents", f"{folder / 'documents'}  ({len(documents)} files: {formats})")
    table.add_row("Archive", str(folder.with_suffix(".zip")))
    table.add_row("Cost", f"{detail['cost']} ({detail['tokens_used']:,} tokens)")
    table.add_row("Time", f"{seconds:.1f} s")
    table.add_row("Account", f"{account.email} (password in {FOLDER}/cli-account.json)")
    if detail["notice"]:
        table.add_row("Note", detail["notice"])
    console.print()
    console.print(Panel(table, title="Done", title_align="left", expand=False))
    console.print(f"Try it:  cd {folder / 'code'} && python3 -m app", highlight=False)
