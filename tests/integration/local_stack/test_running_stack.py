"""One running stack: who can reach what in it."""

import asyncio
import itertools
import json
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
import pytest_asyncio
import urllib3
from minio.error import S3Error
from redis.exceptions import AuthenticationError

from entrypoints.local_stack import (
    LocalStack,
    PortTaken,
    RolePasswords,
    StackAddresses,
    StackAlreadyRunning,
    bootstrap_database,
)
from entrypoints.local_stack.credentials import StackState, load_or_create
from entrypoints.local_stack.postgres import PostgresServer
from tests.integration.local_stack.clients import database, eventually, redis, s3, write_everywhere

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "what-nobody-else-may-read"


@dataclass(frozen=True)
class Running:
    root: Path
    stack: LocalStack
    addresses: StackAddresses
    state: StackState

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(
            next(server.pid for server in self.stack.servers if server.name == name)
        )

    def listening(self, name: str) -> dict[int, str]:
        """The addresses that a server's processes listen on, by port."""
        leader = self.process(name)
        return {
            connection.laddr.port: connection.laddr.ip
            for process in (leader, *leader.children(recursive=True))
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM
        }

    @property
    def superuser_dsn(self) -> str:
        server = next(server for server in self.stack.servers if server.name == "postgres")
        assert isinstance(server, PostgresServer)
        return server.superuser_dsn


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Running]:
    root = Path(tempfile.mkdtemp(prefix="bb-", dir="/tmp"))
    stack = LocalStack(root)
    async with stack as addresses:
        await write_everywhere(addresses, SECRET)
        yield Running(root, stack, addresses, load_or_create(stack.state_file))
    shutil.rmtree(root)


async def test_everything_listens_on_the_loopback_interface_only(running: Running) -> None:
    for server in running.stack.servers:
        ports = set(server.ports.values())
        # SeaweedFS opens its console's port some time after it serves objects.
        await eventually(
            lambda ports=ports, name=server.name: ports <= set(running.listening(name))
        )
        listening = running.listening(server.name)
        assert set(listening.values()) == {"127.0.0.1"}, server.name
        assert set(listening) == ports, server.name


async def test_no_secret_is_on_a_command_line_or_in_a_servers_environment(
    running: Running,
) -> None:
    secrets = asdict(running.state.secrets).values()
    for server in running.stack.servers:
        process = running.process(server.name)
        visible = " ".join([*process.cmdline(), *process.environ().values()])
        assert not any(secret in visible for secret in secrets), server.name


async def test_every_file_with_a_secret_is_its_owners_alone(running: Running) -> None:
    secrets = [secret.encode() for secret in asdict(running.state.secrets).values()]
    folder = running.stack.state_file.parent
    holding = [
        file
        for file in (*folder.iterdir(), *folder.glob("*/*"), *folder.glob("postgres/data/*"))
        if file.is_file() and any(secret in file.read_bytes() for secret in secrets)
    ]
    assert {file.name for file in holding} == {
        "stack.json",
        "valkey.conf",
        "security.toml",
        "identities.json",
    }
    assert {stat.S_IMODE(file.stat().st_mode) for file in holding} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_second_start_in_the_folder_is_refused_and_names_the_holder(
    running: Running,
) -> None:
    holder = Path(__file__).with_name("stack_holder.py")
    second = await asyncio.create_subprocess_exec(
        sys.executable,
        holder,
        running.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, error = await second.communicate()
    assert second.returncode == 1
    assert f"already run by process {psutil.Process().pid}" in error.decode()
    with pytest.raises(StackAlreadyRunning) as refused:
        await LocalStack(running.root).start()
    assert refused.value.pid == psutil.Process().pid
    assert (await asyncio.to_thread(s3(running.addresses).list_buckets))[0].name == "bharatbuild"


async def test_the_environment_has_the_settings_and_not_the_superuser(running: Running) -> None:
    environment = running.addresses.environment()
    assert set(environment) == {
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "DATABASE_DISPATCH_URL",
        "REDIS_URL",
        "S3_ENDPOINT",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
        "S3_BUCKET",
    }
    superuser = running.state.secrets.postgres_superuser_password
    assert superuser not in json.dumps(environment)


# --- PostgreSQL ------------------------------------------------------------------------------


async def test_no_role_is_powerful_and_only_the_owner_owns(running: Running) -> None:
    async with database(
        running.superuser_dsn.removesuffix("postgres") + "bharatbuild"
    ) as superuser:
        roles = await superuser.fetch(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication, "
            "       (SELECT count(*) FROM pg_shdepend WHERE refobjid = r.oid AND deptype = 'o') "
            "FROM pg_roles r WHERE rolname LIKE 'bb\\_%' ORDER BY 1"
        )
        owners = await superuser.fetchrow(
            "SELECT pg_get_userbyid(datdba), "
            "       (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public') "
            "FROM pg_database WHERE datname = 'bharatbuild'"
        )
        memberships = await superuser.fetchval(
            "SELECT count(*) FROM pg_auth_members WHERE member::regrole::text LIKE 'bb\\_%'"
        )
    assert [role["rolname"] for role in roles] == ["bb_app", "bb_dispatch", "bb_owner"]
    assert not any(power for role in roles for power in tuple(role)[1:6])
    assert [role["count"] for role in roles][:2] == [0, 0]
    assert owners is not None
    assert tuple(owners) == ("bb_owner", "bb_owner")
    assert memberships == 0


@pytest.mark.parametrize("role", ["database_url", "database_dispatch_url"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "CREATE TEMP TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "SELECT * FROM kept",
        "SET ROLE bb_owner",
        "COPY (SELECT 1) TO '/tmp/out'",
    ],
)
async def test_a_services_role_may_do_nothing_that_was_not_granted(
    running: Running, role: str, statement: str
) -> None:
    async with database(getattr(running.addresses, role)) as service:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(statement)


async def test_a_services_role_gets_into_no_other_database(running: Running) -> None:
    url = running.addresses.database_url
    assert url
    for other in ("postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database(url.replace("/bharatbuild", f"/{other}")):
                pass


async def test_a_wrong_database_password_is_refused(running: Running) -> None:
    url = running.addresses.database_url
    assert url
    wrong = url.replace(running.state.secrets.postgres_app_password, "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with database(wrong):
            pass


async def test_what_is_committed_is_on_disk_and_text_is_unicode(running: Running) -> None:
    async with database(running.addresses.database_url) as app:
        for setting in ("fsync", "synchronous_commit", "data_checksums", "full_page_writes"):
            assert await app.fetchval(f"SHOW {setting}") == "on", setting
        assert await app.fetchval("SELECT lower('ÉCOLE विद्यालय')") == "école विद्यालय"


async def test_bootstrap_takes_back_a_power_that_a_role_was_given(running: Running) -> None:
    async with database(running.superuser_dsn) as superuser:
        await superuser.execute("ALTER ROLE bb_app BYPASSRLS SUPERUSER CREATEROLE")
        await bootstrap_database(running.superuser_dsn, running.state.secrets.roles)
        powers = await superuser.fetchval(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles "
            "WHERE rolname = 'bb_app'"
        )
    assert powers is False


async def test_bootstraps_at_the_same_time_do_not_disturb_each_other(running: Running) -> None:
    again = (
        bootstrap_database(running.superuser_dsn, running.state.secrets.roles) for _ in range(4)
    )
    await asyncio.gather(*again)
    async with database(running.addresses.database_url) as app:
        assert await app.fetchval("SELECT current_user") == "bb_app"


@pytest.mark.parametrize("password", ["", "пароль", "new\nline"])
async def test_a_password_that_could_be_misread_is_refused(running: Running, password: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        await bootstrap_database(running.superuser_dsn, RolePasswords(password, "a", "b"))


# --- Valkey ----------------------------------------------------------------------------------


async def test_a_wrong_or_missing_redis_password_is_refused(running: Running) -> None:
    url = running.addresses.redis_url
    assert url
    password = running.state.secrets.valkey_password
    for wrong in (url.replace(password, "wrong"), url.replace(f":{password}@", "")):
        async with redis(wrong) as client:
            with pytest.raises(AuthenticationError):
                await client.get("kept")


async def test_redis_refuses_writes_rather_than_forgetting(running: Running) -> None:
    async with redis(running.addresses.redis_url) as client:
        settings = await client.config_get("maxmemory-policy", "appendonly", "save")
    assert settings == {"maxmemory-policy": "noeviction", "appendonly": "yes", "save": ""}


# --- S3 --------------------------------------------------------------------------------------


def anonymous(method: str, port: int, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    body = b"overwritten" if method in ("PUT", "POST") else None
    with urllib3.PoolManager(retries=False, timeout=5) as pool:
        return pool.request(method, f"http://127.0.0.1:{port}{path}", body=body, headers=headers)


def kept_object(running: Running) -> str:
    return s3(running.addresses).get_object("bharatbuild", "kept").data.decode()


PARTS = ("filer", "master", "volume", "admin")

# Health, topology (volumes, free space) and counters: read-only, and all there is for strangers.
STATUS = [
    ("s3", "/healthz"),
    ("s3", "/status"),
    ("master", "/"),
    ("master", "/healthz"),
    ("master", "/cluster/healthz"),
    ("master", "/cluster/status"),
    ("volume", "/healthz"),
    ("volume", "/status"),
    ("admin", "/metrics"),
]


async def test_a_wrong_s3_secret_is_refused(running: Running) -> None:
    with pytest.raises(S3Error) as refused:
        await asyncio.to_thread(
            s3(running.addresses, secret_key="wrong" * 8).get_object, "bharatbuild", "kept"
        )
    assert refused.value.code == "SignatureDoesNotMatch"


async def test_a_bucket_of_a_wrong_name_is_not_made_by_writing_to_it(running: Running) -> None:
    client = s3(running.addresses)
    with pytest.raises(S3Error) as refused:
        await asyncio.to_thread(client.fput_object, "mistyped", "key", __file__)
    assert refused.value.code == "NoSuchBucket"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/bharatbuild",
        "/bharatbuild/",
        "/bharatbuild?list-type=2",
        "/bharatbuild/kept",
        "/bharatbuild/new",
        "/buckets",
        "/buckets/?pretty=y",
        "/buckets/bharatbuild/",
        "/buckets/bharatbuild/kept",
        "/buckets/bharatbuild/kept?metadata=true",
        "/buckets/bharatbuild/new",
        "/buckets/bharatbuild?recursive=true",
        "/etc/iam/identity.json",
        "/.tus/buckets/bharatbuild/new",
        "/1,01637037d6",
        "/dir/assign",
        "/dir/lookup?volumeId=1",
        "/dir/status",
        "/vol/grow?count=1",
        "/vol/vacuum",
        "/vol/status",
        "/col/delete?collection=bharatbuild",
        "/submit",
        "/api/users",
        "/object-store/buckets",
        "/debug/pprof/",
        "/metrics",
    ],
)
async def test_no_http_port_reads_changes_or_lists_anything_for_strangers(
    running: Running, path: str
) -> None:
    methods, names = ("GET", "HEAD", "PUT", "POST", "DELETE"), ("s3", *PARTS)
    for method, name in itertools.product(methods, names):
        port = getattr(running.state.ports, f"seaweedfs_{name}")
        response = anonymous(method, port, path)
        if (name, path) in STATUS:
            assert_only_status(running, response)
            continue
        assert response.status in (400, 401, 403, 404, 405, 412), (method, name)
        assert SECRET.encode() not in response.data
    assert kept_object(running) == SECRET
    objects = s3(running.addresses).list_objects("bharatbuild")
    assert [item.object_name for item in objects] == ["kept"]


async def test_what_answers_strangers_is_status_without_names(running: Running) -> None:
    for name, path in STATUS:
        port = getattr(running.state.ports, f"seaweedfs_{name}")
        response = await asyncio.to_thread(anonymous, "GET", port, path)
        assert response.status == 200, path
        assert_only_status(running, response)


def assert_only_status(running: Running, response: urllib3.BaseHTTPResponse) -> None:
    secrets = asdict(running.state.secrets).values()
    for private in (SECRET, "kept", *secrets):
        assert private.encode() not in response.data


@pytest.mark.skipif(shutil.which("openssl") is None, reason="gRPC is protected with openssl only")
@pytest.mark.parametrize("part", ["s3", *PARTS])
async def test_no_grpc_port_talks_to_strangers(running: Running, part: str) -> None:
    port = getattr(running.state.ports, f"seaweedfs_{part}_grpc")
    assert await asyncio.to_thread(greets, port, None) is False
    without_certificate = ssl.create_default_context()
    without_certificate.check_hostname = False
    without_certificate.verify_mode = ssl.CERT_NONE
    without_certificate.set_alpn_protocols(["h2"])
    assert await asyncio.to_thread(greets, port, without_certificate) is False
    # The same greeting with the servers' own certificate is answered: the test can fail.
    own = running.root / ".bharatbuild" / "seaweedfs"
    without_certificate.load_cert_chain(own / "grpc.crt", own / "grpc.key")
    assert await asyncio.to_thread(greets, port, without_certificate) is True


def greets(port: int, encryption: ssl.SSLContext | None) -> bool:
    """Whether the port answers the HTTP/2 preface with settings, as a gRPC server must."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            encryption.wrap_socket(plain) if encryption else plain as channel,
        ):
            channel.sendall(preface)
            frame = channel.recv(9)
    except OSError:  # includes ssl.SSLError: a certificate is required
        return False
    return len(frame) == 9 and frame[3] == 4


# --- Ports -----------------------------------------------------------------------------------


async def test_a_taken_port_is_named_with_its_service_and_holder(folder: Path) -> None:
    stack = LocalStack(folder, services={"redis"})
    async with stack as addresses:
        port = urlsplit(addresses.redis_url or "").port
    assert port
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken) as refused:
        await stack.start()
    assert (refused.value.port, refused.value.service) == (port, "Valkey")
    assert f"(pid {psutil.Process().pid})" in refused.value.holder
    assert 'remove "ports"' in str(refused.value)
    async with stack as again:
        assert again == addresses
