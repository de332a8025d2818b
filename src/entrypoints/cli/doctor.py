"""What this folder's platform would use, and whether each part answers."""

import platform
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adapters.postgres.migrate import current_revision, latest_revision
from adapters.sandbox import BubblewrapSandbox
from application.operations.check_health import ProbeResult
from entrypoints.cli.platform import REPLACES, local_services, running_address
from entrypoints.container import open_container
from entrypoints.local_stack import LocalStack, StackAddresses
from entrypoints.settings import Settings, load, read
from entrypoints.version import VERSION

_PROBE_OF = {"DATABASE_URL": "database", "REDIS_URL": "redis", "S3_ENDPOINT": "object_store"}


async def examine(console: Console, root: Path, environment: Mapping[str, str]) -> bool:
    """Print what is used and whether it answers; True when all that is required does."""
    services = local_services(environment)
    addresses = LocalStack(root, services=services, environment=environment).remembered()
    table = Table(
        "Part", "Used", "Set by", "State", title="bharatbuild doctor", title_justify="left"
    )
    table.add_row(
        "Program", f"bharatbuild {VERSION}, Python {platform.python_version()}", "", _ok("")
    )
    url = await running_address(root)
    table.add_row(
        "Platform",
        url or "",
        "this folder" if url else "",
        _ok("answers") if url else "[yellow]not up[/yellow]: bharatbuild up",
    )
    healthy = True
    if services and addresses is None:
        for variable, service in REPLACES.items():
            if service in services:
                table.add_row(
                    variable, f"local {service}", "", "[yellow]never started[/yellow]: make run"
                )
    else:
        settings = _settings(environment, addresses)
        healthy = await _add_servers(table, settings, environment)
    healthy = await _add_sandbox(table) and healthy
    console.print(table)
    return healthy


def _settings(environment: Mapping[str, str], addresses: StackAddresses | None) -> Settings:
    local = addresses.environment() if addresses else {}
    return load({**local, **environment})


async def _add_servers(table: Table, settings: Settings, environment: Mapping[str, str]) -> bool:
    async with open_container(settings, process="doctor") as container:
        _, results = await container.check_health()()
    found = {result.name: result for result in results}
    shown = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "S3_ENDPOINT": settings.s3_endpoint,
    }
    for variable, address in shown.items():
        result = found.pop(_PROBE_OF[variable])
        by = "environment" if read(environment, variable) else "local stack"
        table.add_row(variable, f"{_address(address)}  {result.detail}", by, _state(result))
    if found["queue"].ok:
        table.add_row("Schema", *await _schema(settings))
    for name, result in found.items():
        by = "ANTHROPIC_API_KEY" if name == "model_provider" and not settings.offline else ""
        table.add_row(name.replace("_", " ").capitalize(), result.detail, by, _state(result))
    return all(result.ok for result in results if result.required)


async def _schema(settings: Settings) -> tuple[str, str, str]:
    at, expected = await current_revision(settings.database_url), latest_revision()
    state = _ok("current") if at == expected else "[red]behind[/red]: bharatbuild migrate"
    return f"revision {at or 'none'} of {expected}", "", state


async def _add_sandbox(table: Table) -> bool:
    availability = await BubblewrapSandbox().availability()
    if availability.available:
        table.add_row("Sandbox", availability.isolation, "", _ok("isolates"))
    else:
        table.add_row(
            "Sandbox",
            escape(availability.reason),
            "",
            "[yellow]none[/yellow]: code is delivered as not verified",
        )
    return True


def _state(result: ProbeResult) -> str:
    if result.ok:
        return _ok(f"answers in {result.latency_ms:g} ms")
    return f"[{'red' if result.required else 'yellow'}]does not answer[/]"


def _ok(text: str) -> str:
    return f"[green]ok[/green] {text}".strip()


def _address(url: str) -> str:
    """Host, port and path: no credentials."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}{parts.path}".rstrip(":")
