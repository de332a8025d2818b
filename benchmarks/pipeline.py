"""How much the platform adds to what the model and the sandbox need.

Starts the real stack and platform in a temporary folder, with a model server of its own
that answers each call after a second, and prints:

- a run's wall time against its critical path: the longest chain of calls, each at the
  server's delay, plus the time the same checks take in the same sandbox alone;
- the orchestration of a step: its recorded duration less its share of that path and less
  the publishing of its documents, which the worker measures;
- the time from the execute request to the start of the first step on an idle queue.
"""

import asyncio
import io
import math
import os
import socket
import statistics
import sys
import tempfile
import time
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from adapters.sandbox import BubblewrapSandbox
from application.runs.artifact_store import CodeManifest
from application.runs.verify_codebase import run_checks
from application.runs.write_codebase import BATCH_FILES, PARALLEL_BATCHES
from entrypoints.cli.platform import running_platform
from entrypoints.local_stack import ChildProcess, Command
from entrypoints.local_stack.ports import choose_free_port

DELAY = 1.0
RUNS = int(os.environ.get("RUNS", "5"))
STARTS = int(os.environ.get("STARTS", "100"))
IDEA = "A tool library where neighbours lend tools: members borrow tools and return them."
PASSWORD = "correct horse battery staple"


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        model_port = choose_free_port()
        model = ChildProcess(
            Command(
                name="model server",
                argv=(
                    sys.executable,
                    "-m",
                    "tests.servers.messages_api",
                    "--port",
                    str(model_port),
                    "--delay",
                    str(DELAY),
                    "--answers",
                    "offline",
                ),
                environment={"PATH": os.environ["PATH"]},
                directory=Path.cwd(),
                log_file=Path(folder) / "model.log",
            )
        )
        await model.start()
        try:
            await _listening(model_port)
            environment = {
                "PATH": os.environ["PATH"],
                "ANTHROPIC_API_KEY": "benchmark",
                "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{model_port}",
                "STARTING_GRANT": "100000000",
                "LOG_LEVEL": "info",
            }
            async with (
                running_platform(
                    Path(folder), environment, port=choose_free_port(), log_to_files=True
                ) as platform,
                httpx.AsyncClient(
                    base_url=f"{platform.url}/api/v1", timeout=60, trust_env=False
                ) as client,
            ):
                await _sign_in(client)
                await _measure_runs(client, Path(folder) / ".bharatbuild" / "logs" / "worker.log")
                await _measure_starts(client)
        finally:
            await model.stop()


async def _measure_runs(client: httpx.AsyncClient, worker_log: Path) -> None:
    walls: list[float] = []
    paths: list[float] = []
    overheads: dict[str, list[float]] = {}
    publishing: dict[str, list[float]] = {}
    for number in range(RUNS + 1):
        detail = await _run(client, f"{IDEA} Branch {number}.")
        if number == 0:
            continue  # the first one pays for imports and connections
        tasks = {task["step"]: task for task in detail["tasks"]}
        sandbox = await _sandbox_seconds(client, detail["run"]["project_id"])
        calls = _calls_on_path(tasks)
        ideal = {step: count * DELAY for step, count in calls.items()}
        ideal["verify"] = sandbox
        wall = _seconds(detail["run"]["started_at"], detail["run"]["finished_at"])
        walls.append(wall)
        paths.append(sum(ideal[step] for step in ("idea", "srs", "code", "verify")))
        for step, seconds in ideal.items():
            took = _seconds(tasks[step]["started_at"], tasks[step]["finished_at"])
            published = _published_seconds(worker_log, detail["run"]["id"], step)
            overheads.setdefault(step, []).append(took - seconds - published)
            publishing.setdefault(step, []).append(published)
    ratio = statistics.median(wall / path for wall, path in zip(walls, paths, strict=True))
    print(f"runs: {RUNS}, model delay {DELAY:g} s a call")
    print(f"wall time median {statistics.median(walls):.2f} s,", end=" ")
    print(f"critical path median {statistics.median(paths):.2f} s,", end=" ")
    print(f"ratio {ratio:.3f} (target 1.10)")
    for what, figures in (
        ("orchestration a step, beside calls, sandbox and publishing (target 50 ms)", overheads),
        ("publishing a step: rendering its documents and storing them", publishing),
    ):
        every = [figure for values in figures.values() for figure in values]
        print(f"{what}: median {1000 * statistics.median(every):.0f} ms;", end=" ")
        print(
            ", ".join(
                f"{step} {1000 * statistics.median(values):.0f}" for step, values in figures.items()
            )
        )


def _published_seconds(worker_log: Path, run_id: str, step: str) -> float:
    """What the worker measured of a step's publishing."""
    for line in worker_log.read_text().splitlines():
        if "step made" in line and f"run_id={run_id}" in line and f"step={step} " in line:
            return int(line.split("publish_ms=", 1)[1].split(" ", 1)[0]) / 1000
    raise SystemExit(f"the worker's log does not tell of {step}")


async def _measure_starts(client: httpx.AsyncClient) -> None:
    waits = []
    for number in range(STARTS):
        project = (await client.post("/projects", json={"idea": f"{IDEA} Start {number}."})).json()
        began = time.time()
        run = (await client.post(f"/projects/{project['id']}/execute")).json()
        while True:
            page = (await client.get(f"/runs/{run['id']}/events")).json()
            started = [entry for entry in page["items"] if entry["type"] == "step.started"]
            if started:
                break
            await asyncio.sleep(0.02)
        waits.append(datetime.fromisoformat(started[0]["at"]).timestamp() - began)
        await client.post(f"/runs/{run['id']}/cancel")
        while (await client.get(f"/runs/{run['id']}")).json()["run"]["status"] == "running":
            await asyncio.sleep(0.05)
    waits.sort()
    p99 = waits[min(len(waits) - 1, math.ceil(0.99 * len(waits)) - 1)]
    print(f"execute to first step, {STARTS} times on an idle queue:", end=" ")
    print(f"median {1000 * statistics.median(waits):.0f} ms, p99 {1000 * p99:.0f} ms", end=" ")
    print("(target 150 ms)")


def _calls_on_path(tasks: dict[str, Any]) -> dict[str, int]:
    """Calls one after another in each step.

    Code is a plan, then files in parallel batches: the first one begins alone, to write the
    prompt cache that the others read, and these go in waves.
    """
    files = int(tasks["code"]["summary"].split(" ", 1)[0])
    batches = math.ceil(files / BATCH_FILES)
    return {"idea": 1, "srs": 1, "prd": 1, "code": 2 + math.ceil((batches - 1) / PARALLEL_BATCHES)}


async def _sandbox_seconds(client: httpx.AsyncClient, project_id: str) -> float:
    """How long building, starting and testing the delivered code takes, sandbox and all."""
    answer = await client.get(f"/projects/{project_id}/documents", params={"type": "codebase"})
    (manifest,) = answer.json()["items"]
    data = (await client.get(f"/documents/{manifest['id']}/download")).content
    described = msgspec.json.decode(data, type=CodeManifest)
    archive = zipfile.ZipFile(
        io.BytesIO((await client.get(f"/projects/{project_id}/archive")).content)
    )
    texts = {
        name.split("/code/", 1)[1]: archive.read(name).decode()
        for name in archive.namelist()
        if "/code/" in name
    }
    codebase = described.filled(texts)
    sandbox = BubblewrapSandbox()
    await sandbox.availability()
    began = time.perf_counter()
    checks = await run_checks(sandbox, codebase)
    if not all(check.passed for check in checks):
        raise SystemExit("the delivered code does not pass here")
    return time.perf_counter() - began


async def _run(client: httpx.AsyncClient, idea: str) -> dict[str, Any]:
    project = (await client.post("/projects", json={"idea": idea})).json()
    run = (await client.post(f"/projects/{project['id']}/execute")).json()
    while True:
        detail: dict[str, Any] = (await client.get(f"/runs/{run['id']}")).json()
        if detail["run"]["status"] not in ("queued", "running"):
            if detail["run"]["status"] != "succeeded":
                raise SystemExit(f"a run failed: {detail['run']}")
            return detail
        await asyncio.sleep(0.2)


async def _sign_in(client: httpx.AsyncClient) -> None:
    body = {"email": "bench@example.com", "password": PASSWORD}
    (await client.post("/auth/register", json={**body, "name": "Bench"})).raise_for_status()
    token = (await client.post("/auth/login", json=body)).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"


async def _listening(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        await asyncio.sleep(0.05)
    raise SystemExit("the model server does not come up")


def _seconds(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


if __name__ == "__main__":
    asyncio.run(main())
