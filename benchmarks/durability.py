"""What durability costs, how soon a killed worker's runs go on, and how many may watch.

Starts the real stack and platform in a temporary folder, with a model server of its own.
Every process shares this machine's cores with the ones it is measured against, the
watchers of the fan-out included, so the figures are upper bounds. ``--only fan-out``
measures one section, ``--server uvicorn`` behind the other server.
"""

import argparse
import asyncio
import math
import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
from sqlalchemy import delete, func, text, update

from adapters.postgres.tables import projects, runs
from application.ports.live import Nudge
from application.ports.queue import JobQueue
from application.projects.create_project import CreateProject, NewProject
from application.projects.execute_project import ExecuteProject, Execution
from application.runs.dispatch_runs import DispatchRuns
from benchmarks.watchers import RECORD, Order, Seen
from domain.agents.artifacts import Mode
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Run, RunStatus
from domain.shared.events import EventType
from domain.shared.ids import PlanId, ProjectId, RunId, SubscriptionId, UserId
from entrypoints.cli.platform import Platform, running_platform
from entrypoints.container import Container, open_container
from entrypoints.local_stack import ChildProcess, Command
from entrypoints.local_stack.ports import choose_free_port
from entrypoints.settings import load

DELAY = 0.5
LEASE_SECONDS = 15.0
STEP_RUNS = 3
COMMITS = 300
STARTS = 20
KILLS = 2
RUNS_PER_KILL = 6
DUE_ROWS = (2_000, 20_000)
RUNS_AT_ONCE = 100_000
SOCKETS = 500
WATCHED_RUNS = 50
EVENTS_PER_SECOND = (2, 10)
FAN_OUT_SECONDS = 8.0
IDEA = "A tool library where neighbours lend tools: members borrow tools and return them."
PASSWORD = "correct horse battery staple"


class NoQueue(JobQueue):
    """Loses every hint."""

    async def announce_run(self, run_id: RunId) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Bench:
    """What every section measures on."""

    platform: Platform
    container: Container
    client: httpx.AsyncClient
    token: str
    user_id: UserId
    folder: Path

    def process(self, name: str) -> psutil.Process:
        """One of the platform's processes, as it runs now."""
        for process in self.platform.processes.processes:
            if process.name == name and process.pid is not None:
                return psutil.Process(process.pid)
        raise SystemExit(f"there is no process {name}")

    @contextmanager
    def stopped(self, *names: str) -> Iterator[None]:
        """Have these processes stand still meanwhile."""
        processes = [self.process(name) for name in names]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    async def accepted(self, idea: str, queue: JobQueue) -> Run:
        """A run, accepted past the API so that the queue may be another."""
        container = self.container
        create = CreateProject(container.uow(), container.clock(), container.ids())
        execute = ExecuteProject(container.uow(), queue, container.clock(), container.ids())
        project = await create(NewProject(user_id=self.user_id, idea=idea, mode=Mode.DEVELOPER))
        return await execute(Execution(user_id=self.user_id, project_id=project.id))

    async def executed(self, idea: str) -> str:
        """A run's id, accepted by the API."""
        project = await self.client.post("/projects", json={"idea": idea})
        project.raise_for_status()
        run = await self.client.post(f"/projects/{project.json()['id']}/execute")
        run.raise_for_status()
        return str(run.json()["id"])

    async def events(self, run_id: object) -> list[dict[str, Any]]:
        """The run's log."""
        answer = await self.client.get(f"/runs/{run_id}/events", params={"limit": 500})
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def until(self, run_id: object, *types: str) -> list[dict[str, Any]]:
        """The log, once an entry of one of these types is in it."""
        while True:
            log = await self.events(run_id)
            if any(entry["type"] in types for entry in log):
                return log
            await asyncio.sleep(0.05)

    async def cancelled(self, run_id: object) -> None:
        """Cancel a run and wait for its end."""
        await self.client.post(f"/runs/{run_id}/cancel")
        await self.until(run_id, "run.finished")


async def measure_steps(bench: Bench) -> None:
    """From a step's finish to the start of the next, and what a commit costs."""
    gaps = []
    for number in range(STEP_RUNS + 1):
        run_id = await bench.executed(f"{IDEA} Branch {number}.")
        log = await bench.until(run_id, "run.finished")
        if number == 0:
            continue  # the first one pays for imports and connections
        at = {(entry["type"], entry["data"].get("step")): _time(entry) for entry in log}
        for before, after in (("idea", "srs"), ("idea", "prd"), ("code", "verify")):
            gaps.append(at["step.started", after] - at["step.finished", before])
    run = await bench.accepted(f"{IDEA} For commits.", NoQueue())
    claim = await bench.container.claims().claim(run.id, 60)
    if claim is None:
        raise SystemExit("a fresh run could not be claimed")
    commits = []
    for _ in range(COMMITS):
        began = time.perf_counter()
        async with bench.container.uow().begin(bench.user_id) as tx:
            await tx.runs.lock(run.id, claim.fence)
            await tx.runs.append_event(run.id, EventType.STEP_STARTED, {"step": "bench"})
        commits.append(time.perf_counter() - began)
    await bench.container.claims().hand_back(run.id, claim.fence, delay_seconds=0)
    await bench.cancelled(run.id)
    _print("step to step (finish's commit, begin's statements)", gaps, "target median 50 ms", 0.05)
    _print("one fenced commit (lock, event, fsync), one after another", commits)


async def measure_starts(bench: Bench) -> None:
    """From the commit that accepts a run to the start of its work."""

    async def starts(queue: JobQueue, name: str) -> list[float]:
        waits = []
        for number in range(STARTS):
            # Or each would begin at the dispatcher's last look, which ended the one before.
            await asyncio.sleep(random.uniform(0, 1))
            run = await bench.accepted(f"{IDEA} {name} {number}.", queue)
            log = await bench.until(run.id, "run.started")
            at = {entry["type"]: _time(entry) for entry in log}
            waits.append(at["run.started"] - at["run.queued"])
            await bench.cancelled(run.id)
        return waits

    direct = await starts(bench.container.queue(), "With a hint")
    _print("commit to start, with the hint", direct, "target p99 150 ms", p99=0.15)
    lost = await starts(NoQueue(), "Without a hint")
    _print("commit to start, hint lost (dispatcher looks every second)", lost, p99=2.0)


async def measure_recovery(bench: Bench) -> None:
    """From a worker's SIGKILL to its runs' going on."""
    waits: list[float] = []
    for kill in range(KILLS):
        ids = await asyncio.gather(
            *(bench.executed(f"{IDEA} Kill {kill}, {number}.") for number in range(RUNS_PER_KILL))
        )
        await asyncio.gather(*(bench.until(run_id, "step.started") for run_id in ids))
        worker = bench.process("worker")
        killed = time.time()
        os.kill(worker.pid, signal.SIGKILL)
        for run_id in ids:
            log = await bench.until(run_id, "run.resumed", "run.finished")
            resumed = [entry for entry in log if entry["type"] == "run.resumed"]
            if resumed:
                waits.append(_time(resumed[0]) - killed)
        for run_id in ids:
            log = await bench.until(run_id, "run.finished")
            if log[-1]["data"]["status"] != "succeeded":
                raise SystemExit(f"a run did not survive the kill: {log[-1]}")
    _print(
        f"recovery of {len(waits)} runs from {KILLS} SIGKILLs, lease {LEASE_SECONDS:g} s",
        waits,
        "target p99 lease + 2 s",
        p99=LEASE_SECONDS + 2,
    )
    print(
        f"    Why {LEASE_SECONDS:g} s: fifteen heartbeats may be missed, and the four seconds that "
        "the database's adapter waits out a restart pass three times, before a live worker "
        "loses its run and a call is paid for twice; longer would only keep people waiting."
    )


async def measure_dispatch(bench: Bench) -> None:
    """How many due rows a second are announced, of few and of ten times as many."""
    redis = bench.container.redis()
    with bench.stopped("worker", "dispatcher"):
        for rows in DUE_ROWS:
            await _in_database(bench, text(_PROJECTS_OF_DUE_RUNS), rows=rows)
            await _in_database(bench, text(_DUE_RUNS))
            figures = []
            for queue in (NoQueue(), bench.container.queue()):
                await _in_database(bench, update(runs).values(due_at=func.now()))
                began = time.perf_counter()
                announced = await DispatchRuns(bench.container.claims(), queue)()
                figures.append(announced / (time.perf_counter() - began))
                if announced != rows:
                    raise SystemExit(f"of {rows} due rows, {announced} were announced")
            await _in_database(bench, delete(projects).where(projects.c.title.like("Due %")))
            await redis.delete("dramatiq:runs", "dramatiq:runs.msgs")
            print(
                f"dispatcher, {rows:,} due rows of one person, all announced: "
                f"{figures[0]:,.0f} a second without a queue, {figures[1]:,.0f} into the real one"
            )


async def measure_fan_out(bench: Bench) -> None:
    """From an entry's commit to each of its watchers' sockets."""
    with bench.stopped("worker", "dispatcher"):
        ids: list[RunId] = []
        async with bench.container.uow().begin(bench.user_id) as tx:
            for number in range(WATCHED_RUNS):
                ids.append(await _insert_run(bench, tx, f"Watched {number}"))
        http = bench.process("http")
        before, out = _memory(http), bench.folder / "watched"
        async with _watchers(bench, ids, out) as stop:
            await asyncio.sleep(1)
            grown = _memory(http) - before
            rounds = []
            for rate in EVENTS_PER_SECOND:
                used = _cpu(http)
                published, took = await _write(bench, ids, rate)
                await asyncio.sleep(1)
                rounds.append((published, took, (_cpu(http) - used) / took))
            seen = await stop()
        await _in_database(bench, delete(projects).where(projects.c.title.like("Watched %")))
    came = list(RECORD.iter_unpack(out.read_bytes()))
    for published, took, share in rounds:
        waits = [at - published[run, seq] for _, run, seq, at in came if (run, seq) in published]
        _print(
            f"fan-out: {SOCKETS} sockets on {WATCHED_RUNS} runs, "
            f"{len(published) / WATCHED_RUNS / took:.1f} events a second each",
            waits,
            "target p99 100 ms",
            p99=0.1,
        )
        print(
            f"    {len(waits):,} of {len(published) * SOCKETS // WATCHED_RUNS:,} entries came, "
            f"the HTTP process used {100 * share:.0f} % of a core"
        )
    print(
        f"    {seen.gaps} sockets saw a gap or a repeat, closed: {seen.closed or 'none'}; "
        f"{grown / SOCKETS / 1024:.0f} KiB a socket. Watchers ({seen.cpu_seconds:.1f} s of "
        f"processor), writer and database share the {os.cpu_count()} cores with the server."
    )


SECTIONS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "steps": measure_steps,
    "starts": measure_starts,
    "dispatch": measure_dispatch,
    "fan-out": measure_fan_out,
    "recovery": measure_recovery,
}


async def main(only: Sequence[str], server: str) -> None:
    """Measure and print."""
    load_average = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load_average:.1f} before the start, HTTP by {server}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with _opened(folder, server) as bench:
            for section, measure in SECTIONS.items():
                if not only or section in only:
                    await measure(bench)


@asynccontextmanager
async def _opened(folder: Path, server: str) -> AsyncIterator[Bench]:
    model_port = choose_free_port()
    passed = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    model = ChildProcess(
        Command(
            name="model server",
            argv=(
                *(sys.executable, "-m", "tests.servers.messages_api"),
                *("--port", str(model_port), "--delay", str(DELAY), "--answers", "offline"),
            ),
            environment=passed,
            directory=Path.cwd(),
            log_file=folder / "model.log",
        )
    )
    await model.start()
    try:
        await _listening(model_port)
        environment = {
            **passed,
            "ANTHROPIC_API_KEY": "benchmark",
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{model_port}",
            "STARTING_GRANT": "100000000",
            "LOG_LEVEL": "warning",
            "HTTP_SERVER": server,
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "WORKER_CONCURRENCY": str(RUNS_PER_KILL),
            "ACCESS_TOKEN_SECONDS": "3600",
        }
        async with (
            running_platform(
                folder, environment, port=choose_free_port(), log_to_files=True
            ) as platform,
            open_container(load(platform.environment), process="bench") as container,
            httpx.AsyncClient(
                base_url=f"{platform.url}/api/v1", timeout=60, trust_env=False
            ) as client,
        ):
            body = {"email": "bench@example.com", "password": PASSWORD}
            registered = await client.post("/auth/register", json={**body, "name": "Bench"})
            registered.raise_for_status()
            token = (await client.post("/auth/login", json=body)).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            async with container.uow().begin(None) as tx:
                user = await tx.users.by_email(body["email"])
            if user is None:
                raise SystemExit("the registered person is not there")
            await _let_run_at_once(container, user.id)
            yield Bench(platform, container, client, token, user.id, folder)
    finally:
        await model.stop()


async def _let_run_at_once(container: Container, user_id: UserId) -> None:
    """A plan without a limit that is met here: of Free's runs, three at once are announced."""
    now = container.clock().now()
    async with container.uow().begin(user_id) as tx:
        pro = await tx.plans.current("pro")
        if pro is None:
            raise SystemExit("there is no plan to begin with")
        plan = replace(
            pro,
            id=PlanId(container.ids().new()),
            version=pro.version + 1,
            concurrent_runs=RUNS_AT_ONCE,
            created_at=now,
        )
        await tx.plans.add(plan, by=user_id)
        await tx.entitlements.put(
            SubscriptionId(container.ids().new()), plan.id, now + timedelta(days=1), now
        )


@asynccontextmanager
async def _watchers(
    bench: Bench, ids: Sequence[RunId], out: Path
) -> AsyncIterator[Callable[[], Awaitable[Seen]]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.watchers"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise SystemExit("the watchers have no pipes")
    stdin, stdout = process.stdin, process.stdout

    async def stop() -> Seen:
        stdin.write(b"stop\n")
        await stdin.drain()
        return msgspec.json.decode(await stdout.readline(), type=Seen)

    try:
        order = Order(
            url=bench.platform.url,
            token=bench.token,
            runs=[str(run_id) for run_id in ids],
            sockets=SOCKETS,
            out=str(out),
        )
        stdin.write(msgspec.json.encode(order) + b"\n")
        await stdin.drain()
        async with asyncio.timeout(60):
            if await stdout.readline() != b"open\n":
                raise SystemExit("the watchers could not open their sockets")
        yield stop
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _write(
    bench: Bench, ids: Sequence[RunId], rate: int
) -> tuple[dict[tuple[int, int], float], float]:
    """Append and publish, ten runs to a transaction; when each entry was committed."""
    published: dict[tuple[int, int], float] = {}
    groups = [range(start, start + 10) for start in range(0, len(ids), 10)]
    every = 1 / rate / len(groups)
    began = time.perf_counter()
    ticks = round(FAN_OUT_SECONDS / every)
    for tick in range(ticks):
        await asyncio.sleep(max(0.0, began + tick * every - time.perf_counter()))
        group = groups[tick % len(groups)]
        appended = []
        async with bench.container.uow().begin(bench.user_id) as tx:
            for place in group:
                data = {"step": "idea", "agent": "idea", "title": "A step", "attempt": tick}
                entry = await tx.runs.append_event(ids[place], EventType.STEP_STARTED, data)
                appended.append((place, entry))
        now = time.time()
        published.update(dict.fromkeys(((place, entry.seq) for place, entry in appended), now))
        live = bench.container.live()
        await asyncio.gather(
            *(live.publish(ids[place], Nudge.of(entry)) for place, entry in appended)
        )
    return published, time.perf_counter() - began


async def _insert_run(bench: Bench, tx: Any, title: str) -> RunId:
    """A queued run of a new project, in a transaction of many."""
    container, now = bench.container, bench.container.clock().now()
    project_id, run_id = container.ids().new(), container.ids().new()
    await tx.projects.add(
        Project(
            id=ProjectId(project_id),
            user_id=bench.user_id,
            title=title,
            idea=IDEA,
            mode=Mode.DEVELOPER,
            status=ProjectStatus.RUNNING,
            progress=0,
            created_at=now,
            updated_at=now,
        )
    )
    run = Run(
        id=RunId(run_id),
        project_id=ProjectId(project_id),
        user_id=bench.user_id,
        mode=Mode.DEVELOPER,
        pipeline_version=1,
        status=RunStatus.QUEUED,
        progress=0,
        reuse=True,
        retry_of=None,
        attempts=0,
        fence=0,
        cancel_requested=False,
        event_seq=0,
        error_code="",
        error="",
        created_at=now,
        started_at=None,
        finished_at=None,
    )
    await tx.runs.add(run)
    return run.id


_PROJECTS_OF_DUE_RUNS = """
INSERT INTO projects (id, user_id, title, idea, mode, status)
SELECT gen_random_uuid(), current_setting('app.user_id')::uuid, 'Due ' || n, 'An idea.',
       'developer', 'running'
FROM generate_series(1, :rows) AS n
"""
_DUE_RUNS = """
INSERT INTO runs (id, project_id, user_id, mode, pipeline_version, status)
SELECT gen_random_uuid(), id, user_id, mode, 1, 'queued' FROM projects WHERE title LIKE 'Due %'
"""


async def _in_database(bench: Bench, statement: Any, **values: object) -> None:
    """Do what no port offers, as the person."""
    async with bench.container.app_engine().begin() as connection:
        await connection.execute(
            text("SELECT set_config('app.user_id', :user_id, true)"),
            {"user_id": str(bench.user_id)},
        )
        await connection.execute(statement, values)


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _memory(process: psutil.Process) -> int:
    return sum(member.memory_info().rss for member in _family(process))


def _cpu(process: psutil.Process) -> float:
    return sum(sum(member.cpu_times()[:2]) for member in _family(process))


def _print(
    what: str,
    seconds: Sequence[float],
    target: str = "",
    median: float | None = None,
    *,
    p99: float | None = None,
) -> None:
    ordered = sorted(seconds)
    middle = statistics.median(ordered)
    highest = ordered[math.ceil(0.99 * len(ordered)) - 1]
    verdicts = [
        f"{figure / limit:.2f} of the target"
        for figure, limit in ((middle, median), (highest, p99))
        if limit is not None and target
    ]
    shown = f" ({target}: {', '.join(verdicts)})" if verdicts else ""
    print(f"{what}: n {len(ordered)}, median {_ms(middle)}, p99 {_ms(highest)}{shown}", flush=True)


def _ms(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 2 else f"{1000 * seconds:.1f} ms"


def _time(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()


async def _listening(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        await asyncio.sleep(0.05)
    raise SystemExit("the model server does not come up")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=(), choices=tuple(SECTIONS))
    parser.add_argument("--server", default="granian", choices=("granian", "uvicorn"))
    options = parser.parse_args()
    asyncio.run(main(options.only, options.server))
