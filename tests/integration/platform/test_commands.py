"""The console command, as a person types it: real processes, real signals."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from entrypoints.cli.platform import running_address
from entrypoints.local_stack import LocalStack, StackAddresses
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.platform.person import Person

BHARATBUILD = Path(sys.executable).parent / "bharatbuild"
SECONDS = 60


def _environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **more}


async def _command(folder: Path, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(BHARATBUILD),
        *arguments,
        cwd=folder,
        env=_environment(**environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _output(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    process = await _command(folder, *arguments, **environment)
    async with asyncio.timeout(SECONDS):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@asynccontextmanager
async def _up(folder: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await _command(folder, "up", "--port", str(port))
    reading = asyncio.ensure_future(_drain(process))
    try:
        async with asyncio.timeout(SECONDS):
            while await running_address(folder) is None:
                assert process.returncode is None, (await reading)[-2000:]
                await asyncio.sleep(0.1)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(SECONDS):
                await process.wait()
        await reading


async def _drain(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.read()).decode()


@pytest.fixture(scope="module")
async def up(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Path, asyncio.subprocess.Process, str]]:
    """A platform of its own, up: its folder, its process, its address."""
    folder, port = tmp_path_factory.mktemp("up"), choose_free_port()
    async with _up(folder, port) as process:
        yield folder, process, f"http://127.0.0.1:{port}"


async def test_a_second_up_in_the_same_folder_is_refused_and_names_the_first(
    up: tuple[Path, asyncio.subprocess.Process, str],
) -> None:
    folder, process, _ = up
    code, output = await _output(folder, "up")
    assert code == 2
    assert f"process {process.pid}" in " ".join(output.split())
    assert "Traceback" not in output


async def test_doctor_says_what_is_used_and_that_it_answers(
    up: tuple[Path, asyncio.subprocess.Process, str],
) -> None:
    folder, _, _ = up
    code, output = await _output(folder, "doctor", COLUMNS="200")
    assert code == 0, output
    for part in ("PostgreSQL 18", "Valkey", "S3_ENDPOINT", "local stack", "bubblewrap"):
        assert part in output
    assert "not answer" not in output
    assert ":" + "//bb_app" not in output  # no credentials


async def test_an_operator_needs_no_address_in_the_folder_of_a_platform(
    up: tuple[Path, asyncio.subprocess.Process, str], tmp_path: Path
) -> None:
    folder, _, url = up
    async with Person(url) as person:
        code, output = await _output(folder, "users", "grant-role", person.email, "admin")
        assert (code, "is admin" in output) == (0, True), output
    assert await _output(folder, "runs", "dead") == (0, "No run is dead.\n")
    code, output = await _output(tmp_path, "runs", "dead")
    assert code == 2
    assert "DATABASE_DISPATCH_URL" in output


async def test_doctor_knows_a_folder_that_was_never_started(tmp_path: Path) -> None:
    code, output = await _output(tmp_path, "doctor", COLUMNS="200")
    assert code == 0
    assert "never started" in output


async def test_build_uses_the_platform_that_is_up_and_delivers_a_folder(
    up: tuple[Path, asyncio.subprocess.Process, str],
) -> None:
    folder, _, _ = up
    idea = 'A "blood bank" register; donors donate & hospitals request <units>.'
    code, output = await _output(folder, "build", idea, COLUMNS="160")
    assert code == 0, output
    assert "Verified: built, started, " in output
    assert "₹0.00" in output
    (project,) = [path for path in (folder / "out").iterdir() if path.is_dir()]
    assert (project / "code" / "README.md").exists()
    assert len(list((project / "documents").iterdir())) == 8


async def test_an_idea_too_short_to_build_is_refused_in_a_sentence(
    up: tuple[Path, asyncio.subprocess.Process, str],
) -> None:
    folder, _, _ = up
    code, output = await _output(folder, "build", "short")
    assert code == 1
    assert "idea: Describe the idea in at least 10 characters." in " ".join(output.split())


async def test_an_occupied_port_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, output = await _output(tmp_path, "up", "--port", str(port))
    assert code == 2
    said = " ".join(output.split())
    assert f"Port {port}" in said
    assert str(os.getpid()) in said


async def test_a_service_command_without_settings_says_which_are_missing(tmp_path: Path) -> None:
    for command in ("http", "worker", "dispatcher", "migrate", "bootstrap"):
        code, output = await _output(tmp_path, command)
        assert code == 2, command
        assert "Not set: DATABASE" in output
        assert "Traceback" not in output


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all_of_it_and_the_next_start_finds_its_data(
    tmp_path: Path, signal_: signal.Signals
) -> None:
    port = choose_free_port()
    body = {"email": "a@example.com", "password": "correct horse battery", "name": "A"}
    base_url = f"http://127.0.0.1:{port}/api/v1"
    async with (
        _up(tmp_path, port) as process,
        httpx.AsyncClient(base_url=base_url, trust_env=False) as client,
    ):
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 6
        assert (await client.post("/auth/register", json=body)).status_code == 202
        process.send_signal(signal_)
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0
    assert not [member for member in family if member.is_running()]
    credentials = {name: body[name] for name in ("email", "password")}
    async with (
        _up(tmp_path, port),
        httpx.AsyncClient(base_url=base_url, trust_env=False) as client,
    ):
        assert (await client.post("/auth/login", json=credentials)).status_code == 200


async def test_a_worker_killed_in_the_middle_costs_the_run_nothing_but_time(
    up: tuple[Path, asyncio.subprocess.Process, str],
) -> None:
    _, process, url = up
    async with Person(url) as person:
        project = await person.project()
        run = await person.post(f"/projects/{project['id']}/execute", status=202)
        while not (await person.get(f"/runs/{run['id']}"))["tasks"]:
            await asyncio.sleep(0.02)
        (worker,) = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if child.cmdline()[-1:] == ["worker"]
        ]
        worker.kill()
        detail = await person.finished(run["id"], seconds=60)
        assert detail["run"]["status"] == "succeeded"
        page = await person.get(f"/runs/{run['id']}/events")
        assert [e["seq"] for e in page["items"]] == list(range(1, page["last_event"] + 1))
        finished = [e["data"]["step"] for e in page["items"] if e["type"] == "step.finished"]
        assert sorted(finished) == ["code", "idea", "prd", "srs", "verify"]


async def test_bootstrap_makes_the_bucket_and_may_be_repeated(
    stack: StackAddresses, tmp_path: Path
) -> None:
    bucket = f"made-{uuid4().hex[:8]}"
    secrets = {"DATABASE_OWNER_PASSWORD": "a", "DATABASE_APP_PASSWORD": "b"}
    environment = {
        **stack.environment(),
        **secrets,
        "DATABASE_DISPATCH_PASSWORD": "c",
        "S3_BUCKET": bucket,
    }
    async with LocalStack(tmp_path, services={"postgres"}) as own:
        state = json.loads((tmp_path / ".bharatbuild" / "stack.json").read_text())
        password = state["secrets"]["postgres_superuser_password"]
        host = (own.database_url or "").rpartition("@")[2].partition("/")[0]
        environment["DATABASE_SUPERUSER_URL"] = f"postgresql://postgres:{password}@{host}/postgres"
        for _ in range(2):
            code, output = await _output(tmp_path, "bootstrap", **environment)
            assert code == 0, output
            assert f"The bucket {bucket} is there." in output
