"""Servers and supervisors that are killed, and what is there afterwards."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from entrypoints.local_stack import LocalStack, StackAddresses, bootstrap_database
from entrypoints.local_stack.child_process import Identity
from entrypoints.local_stack.credentials import RolePasswords, load_or_create
from entrypoints.local_stack.postgres import PostgresServer
from entrypoints.local_stack.processes import ChildProcess, Command
from tests.integration.local_stack.clients import (
    database,
    eventually,
    read_everywhere,
    redis,
    write_everywhere,
)

HOLDER = Path(__file__).with_name("stack_holder.py")


async def test_data_and_addresses_survive_kills_of_every_server_and_a_second_start(
    folder: Path,
) -> None:
    stack = LocalStack(folder)
    async with stack as addresses:
        await write_everywhere(addresses, "first")
        killed = {server.name: server.pid for server in stack.servers}
        for pid in killed.values():
            assert pid
            psutil.Process(pid).kill()
        await eventually(lambda: all(server.pid != killed[server.name] for server in stack.servers))
        assert await read_when_back(addresses) == ("first", "first", "first")
        await write_everywhere(addresses, "second")
    async with LocalStack(folder) as again:
        assert again == addresses
        assert await read_everywhere(again) == ("second", "second", "second")


async def read_when_back(addresses: StackAddresses) -> tuple[str, str, str]:
    """Read everywhere, as a client with patience does while servers restart."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await read_everywhere(addresses)
            except Exception:  # each client has its own errors for "not there yet"
                await asyncio.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
async def test_a_killed_supervisor_leaves_no_server_and_the_next_start_has_the_data(
    folder: Path,
) -> None:
    async with holder(sys.executable, folder) as (process, said):
        servers = [psutil.Process(pid) for pid in said["pids"].values()]
        family = [*servers, *(child for one in servers for child in one.children(recursive=True))]
        addresses = addresses_from(said["environment"])
        await write_everywhere(addresses, "kept")
        process.kill()
        await process.wait()
        # At once: the next start has to cope with servers that are still on their way out.
        async with LocalStack(folder) as again:
            assert not [one for one in family if one.is_running()]
            assert again == addresses
            assert await read_everywhere(again) == ("kept", "kept", "kept")


async def test_a_server_that_was_left_behind_is_ended_by_the_next_start(folder: Path) -> None:
    stack = LocalStack(folder, services={"redis"})
    async with stack as addresses, redis(addresses.redis_url) as client:
        await client.set("kept", "here")
        binary = psutil.Process(stack.servers[0].pid).exe()
    # As after a killed supervisor where the system does not end its children.
    orphan = run_by_hand(binary, "valkey.conf", folder=stack.servers[0].directory)
    bystander = run_by_hand(binary, "--port", "0", "--unixsocket", "b.sock", folder=folder)
    try:
        async with stack as again, redis(again.redis_url) as client:
            assert await client.get("kept") == b"here"
            await eventually(lambda: orphan.poll() is not None)
            assert bystander.poll() is None
    finally:
        for process in (orphan, bystander):
            process.kill()
            process.wait()


def run_by_hand(*argv: str, folder: Path) -> "subprocess.Popen[bytes]":
    """A process that nothing supervises or ties to us."""
    return subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL)


async def test_a_lock_file_with_another_process_id_does_not_stop_postgres(folder: Path) -> None:
    stack = LocalStack(folder, services={"postgres"})
    async with stack:
        pass
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    data = folder / ".bharatbuild" / "postgres" / "data"
    (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n1\n")
    try:
        async with stack as addresses, database(addresses.database_url) as app:
            assert await app.fetchval("SELECT 1") == 1
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_stack_that_cannot_start_leaves_nothing_and_can_be_started_later(
    folder: Path,
) -> None:
    broken = LocalStack(folder, environment={"POSTGRES_BIN": "/bin"})
    with pytest.raises(Exception, match="POSTGRES_BIN"):
        await broken.start()
    async with LocalStack(folder, services={"redis"}) as addresses:
        assert set(addresses.environment()) == {"REDIS_URL"}


async def test_a_deep_folder_has_no_unix_sockets_and_works(folder: Path) -> None:
    deep = folder / 'with a space, a comma and "quotes"' / ("d" * 100)
    deep.mkdir(parents=True)
    async with LocalStack(deep) as addresses:
        await write_everywhere(addresses, "kept")
        assert await read_everywhere(addresses) == ("kept", "kept", "kept")


# --- Other PostgreSQLs and other users -------------------------------------------------------


def postgres_folders() -> list[str]:
    """The wheel's, and each that the system has."""
    return ["", *(str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")))]


@pytest.mark.parametrize("bin_folder", postgres_folders())
async def test_a_master_user_who_is_no_superuser_can_bootstrap(
    folder: Path, bin_folder: str
) -> None:
    environment = {"POSTGRES_BIN": bin_folder}
    stack = LocalStack(folder, services={"postgres"}, environment=environment)
    async with stack as addresses:
        server = stack.servers[0]
        assert isinstance(server, PostgresServer)
        async with database(server.superuser_dsn) as superuser:
            await superuser.execute("DROP DATABASE bharatbuild")
            await superuser.execute("DROP ROLE bb_app, bb_dispatch, bb_owner")
            # What a managed server gives its customers, in the parts that matter here.
            await superuser.execute("CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'm'")
            await superuser.execute("GRANT CONNECT ON DATABASE postgres TO master")
        dsn = f"postgresql://master:m@127.0.0.1:{server.port}/postgres"
        passwords = load_or_create(stack.state_file).secrets.roles
        await bootstrap_database(dsn, RolePasswords("o", "a", "d"))
        await bootstrap_database(dsn, passwords)
        async with database(addresses.database_owner_url) as owner:
            await owner.execute("CREATE TABLE made (a int); GRANT SELECT ON made TO bb_app")
        async with database(addresses.database_url) as app:
            assert await app.fetch("SELECT * FROM made") == []


@pytest.mark.skipif(psutil.Process().uids().effective != 0, reason="only root has to step down")
async def test_root_without_namespaces_runs_postgres_as_nobody(folder: Path) -> None:
    stack = LocalStack(folder, services={"postgres"})
    async with stack:
        bin_directory = Path(psutil.Process(stack.servers[0].pid).exe()).parent
    state = load_or_create(stack.state_file)
    server = PostgresServer(
        bin_directory=bin_directory,
        directory=folder / ".bharatbuild" / "postgres",
        log_file=folder / "log",
        port=state.ports.postgres,
        superuser_password=state.secrets.postgres_superuser_password,
        roles=state.secrets.roles,
        identity=Identity.NOBODY,
    )
    await server.start()
    try:
        assert psutil.Process(server.pid).uids().effective == 65534
    finally:
        await server.stop()
    # And back: the folder follows whoever runs it.
    async with stack as addresses, database(addresses.database_url) as app:
        assert await app.fetchval("SELECT 1") == 1


async def test_an_ordinary_user_can_run_the_whole_stack(folder: Path) -> None:
    interpreter = ordinary_interpreter()
    if interpreter is None:
        pytest.skip("we are root, and no interpreter of this version is open to other users")
    if psutil.Process().uids().effective == 0:
        shutil.chown(folder, 65534, 65534)
    async with holder(interpreter, folder) as (process, said):
        assert said["uid"] != 0
        addresses = addresses_from(said["environment"])
        await write_everywhere(addresses, "kept")
        assert await read_everywhere(addresses) == ("kept", "kept", "kept")
        assert process.stdin
        process.stdin.close()
        assert process.stdout
        assert b"STOPPED" in await process.stdout.read()
        assert await process.wait() == 0


def as_ordinary_user() -> dict[str, Any]:
    """Options for a subprocess that leaves root behind; none where we are not root."""
    if psutil.Process().uids().effective != 0:
        return {}
    return {"user": 65534, "group": 65534, "extra_groups": []}


def ordinary_interpreter() -> str | None:
    """An interpreter of our version that an ordinary user can run with our packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/local/bin/{version}", f"/usr/bin/{version}"):
        try:
            done = subprocess.run(
                [candidate, "-c", "import entrypoints.local_stack"],
                env=search_path(),
                cwd="/",
                capture_output=True,
                check=False,
                **as_ordinary_user(),
            )
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return None


def search_path() -> dict[str, str]:
    paths = [path for path in sys.path if path]
    return {"PYTHONPATH": ":".join(paths), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}


@asynccontextmanager
async def holder(
    interpreter: str, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """A process that holds the folder's stack, and what it has said of it."""
    options = as_ordinary_user() if interpreter != sys.executable else {}
    process = await asyncio.create_subprocess_exec(
        interpreter,
        HOLDER,
        folder,
        env=search_path(),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **options,
    )
    assert process.stdout
    try:
        said = b""
        while not said.startswith(b"STARTED "):
            said = await asyncio.wait_for(process.stdout.readline(), timeout=60)
            assert said, "the holder ended before its stack had started"
        yield process, json.loads(said.removeprefix(b"STARTED "))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def addresses_from(environment: dict[str, str]) -> StackAddresses:
    return StackAddresses(
        database_url=environment["DATABASE_URL"],
        database_owner_url=environment["DATABASE_OWNER_URL"],
        database_dispatch_url=environment["DATABASE_DISPATCH_URL"],
        redis_url=environment["REDIS_URL"],
        s3_endpoint=environment["S3_ENDPOINT"],
        s3_access_key=environment["S3_ACCESS_KEY"],
        s3_secret_key=environment["S3_SECRET_KEY"],
        s3_bucket=environment["S3_BUCKET"],
    )


async def test_a_server_that_cannot_stay_up_is_given_up_by_name(folder: Path) -> None:
    stack = LocalStack(folder, services={"redis"})
    async with stack:
        # A file where the server wants to write its data: every further start must fail.
        server = stack.servers[0]
        append_only = server.directory / "appendonlydir"
        shutil.rmtree(append_only)
        append_only.write_text("in the way")
        assert server.pid
        psutil.Process(server.pid).kill()
        failure = await asyncio.wait_for(stack.failed(), timeout=30)
    assert failure.name == "valkey"


def test_a_command_shows_no_environment_when_printed() -> None:
    command = Command(name="x", argv=("x",), environment={"KEY": "sk-secret"})
    assert "sk-secret" not in repr(command)
    assert "sk-secret" not in repr(ChildProcess(command))
