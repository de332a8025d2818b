"""The whole platform of one folder: the local servers it needs, and our three processes."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec

from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from entrypoints.local_stack import (
    ChildProcess,
    Command,
    LocalStack,
    LocalStackError,
    PortTaken,
    ProcessFailed,
    ProcessSupervisor,
)
from entrypoints.local_stack.ports import holder_of, is_free
from entrypoints.settings import first_rate, read

FOLDER = Path(".bharatbuild")
REPLACES: Mapping[str, str] = {
    "DATABASE_URL": "postgres",
    "REDIS_URL": "redis",
    "S3_ENDPOINT": "s3",
}
"""Which local server a variable replaces."""

_READY_SECONDS = 120.0
"""Longer than a start takes on a machine whose cores are all taken; a process that fails for good
ends the wait at once."""
SIGNING_KEY_FILE = FOLDER / "signing-key.pem"

_OF_HTTP = ("JWT_SIGNING_KEY", "JWT_SIGNING_KEY_FILE", "API_KEY_PEPPERS")
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH")


class AddressFile(msgspec.Struct):
    """Where the running platform of a folder answers, for commands in the same folder."""

    url: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A running platform. ``local`` names the servers that were started for it."""

    url: str
    local: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    stack: LocalStack = field(repr=False)
    processes: ProcessSupervisor = field(repr=False)

    async def failed(self) -> ProcessFailed:
        """Wait until a server or a process has ended too often to be started again."""
        waits = [asyncio.ensure_future(part.failed()) for part in (self.stack, self.processes)]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for wait in waits:
                wait.cancel()


def local_services(environment: Mapping[str, str]) -> frozenset[str]:
    """The servers to start here: those that no variable replaces."""
    return frozenset(
        service for variable, service in REPLACES.items() if read(environment, variable) is None
    )


@asynccontextmanager
async def running_platform(
    root: Path, environment: Mapping[str, str], *, port: int, log_to_files: bool
) -> AsyncIterator[Platform]:
    """Start servers, migrate, start HTTP, worker and dispatcher; end all of it at exit.

    ``log_to_files`` sends our processes' logs to ``.bharatbuild/logs`` instead of here.

    Raises:
        LocalStackError: something is in the way; the message says what to do.
    """
    stack = LocalStack(root, services=local_services(environment), environment=environment)
    async with stack as addresses:
        # Only once the stack's lock is ours: nobody else of this folder holds the port.
        if not is_free(port):
            raise PortTaken(port, "HTTP", holder_of(port), "the HTTP_PORT setting")
        settings = {
            **_own_settings(environment),
            **addresses.environment(),
            **_signing_key(root, environment),
            "API_KEY_PEPPERS": read(environment, "API_KEY_PEPPERS")
            or _kept(root / FOLDER / "api-key-peppers", generate_pepper),
            "SECRET_BOX_KEYS": read(environment, "SECRET_BOX_KEYS")
            or _kept(root / FOLDER / "secret-box-keys", generate_box_key),
            "HTTP_PORT": str(port),
            # Here nobody waits for a mail to try what was built; set it to false to.
            "OPEN_REGISTRATION": read(environment, "OPEN_REGISTRATION") or _open(environment),
        }
        owner_url = settings.get("DATABASE_OWNER_URL") or settings.get("DATABASE_URL", "")
        from adapters.postgres.migrate import upgrade  # alembic: only a start needs it

        await upgrade(owner_url, first_rate=first_rate(environment))
        url = f"http://127.0.0.1:{port}"
        processes = ProcessSupervisor(
            [
                ChildProcess(
                    Command(
                        name=name,
                        argv=(sys.executable, "-m", "entrypoints.cli.main", name),
                        environment=_child_environment(name, settings, environment),
                        log_file=root / FOLDER / "logs" / f"{name}.log" if log_to_files else None,
                        grace_seconds=25.0,
                    )
                )
                for name in ("http", "worker", "dispatcher")
            ]
        )
        async with processes:
            address_file = root / FOLDER / "platform.json"
            await _until_ready(url, processes)
            address_file.write_bytes(msgspec.json.encode(AddressFile(url=url, pid=os.getpid())))
            try:
                yield Platform(
                    url=url,
                    local=tuple(sorted(local_services(environment))),
                    environment=settings,
                    stack=stack,
                    processes=processes,
                )
            finally:
                address_file.unlink(missing_ok=True)


async def running_address(root: Path) -> str | None:
    """The address of this folder's platform, if one is up and answers."""
    try:
        known = msgspec.json.decode(
            (root / FOLDER / "platform.json").read_bytes(), type=AddressFile
        )
    except (OSError, msgspec.DecodeError):
        return None
    return known.url if await _answers(known.url) else None


async def _until_ready(url: str, processes: ProcessSupervisor) -> None:
    failing = asyncio.ensure_future(processes.failed())
    try:
        async with asyncio.timeout(_READY_SECONDS):
            while not await _answers(url):
                if failing.done():
                    raise failing.result()
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise LocalStackError(
            f"The platform does not answer at {url} after {_READY_SECONDS:g} s. Its logs, "
            f"here or in {FOLDER}/logs, say why."
        ) from None
    finally:
        failing.cancel()


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
            return (await client.get(f"{url}/health/ready")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _own_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings' variables, and nothing else of the environment."""
    from msgspec.structs import fields

    from entrypoints.settings import Settings

    names = {field.name.upper() for field in fields(Settings)} | {"DATABASE_OWNER_URL"}
    # The file is passed on by its name: HTTP reads it again when it changes.
    names.discard("JWT_SIGNING_KEY_FILE")
    if "JWT_SIGNING_KEY_FILE" in environment:
        names.discard("JWT_SIGNING_KEY")
    given = {name: read(environment, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _child_environment(
    name: str, settings: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """What one process gets: no role gets the owner's address, only HTTP knows who calls, and
    workers know nothing of the payment gateway and the mail server. Only one may serve metrics on
    one port.
    """
    passed = {key: environment[key] for key in _PASSED_ON if key in environment}
    withheld = {"DATABASE_OWNER_URL"}
    if name != "http":
        withheld.update(_OF_HTTP)
    if name == "worker":
        withheld.update(
            key for key in settings if key.startswith(("RAZORPAY_", "PAYMENT_", "SMTP_"))
        )
    if name == "dispatcher":
        withheld.add("METRICS_PORT")
    kept = {key: value for key, value in settings.items() if key not in withheld}
    return {**passed, "PYTHONUNBUFFERED": "1", "BHARATBUILD_PROCESS": name, **kept}


def _open(environment: Mapping[str, str]) -> str:
    return "true" if (read(environment, "ENVIRONMENT") or "local") == "local" else "false"


def _signing_key(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Where the ring of signing keys is: a file, unless a variable holds it, for it may change."""
    if environment.get("JWT_SIGNING_KEY"):
        return {}
    given = environment.get("JWT_SIGNING_KEY_FILE")
    path = Path(given) if given else root / SIGNING_KEY_FILE
    if not given:
        _kept(path, lambda: generate_signing_key()[1])
    return {"JWT_SIGNING_KEY_FILE": str(path)}


def _kept(path: Path, generate: Callable[[], str]) -> str:
    """The folder's own secret, made at the first start, readable by its owner alone."""
    if not path.exists():
        temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(generate())
        temporary.replace(path)
    return path.read_text()
