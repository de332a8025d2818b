"""Secrets are judged before production starts, moved to newer keys, and in nobody's logs."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from entrypoints.cli.platform import Platform
from tests.integration.platform.partner import partner_of
from tests.integration.platform.person import PASSWORD

BHARATBUILD = Path(sys.executable).parent / "bharatbuild"
SECONDS = 60
DEFAULTS = {
    "DATABASE_URL": "postgresql://postgres:postgres@localhost/bharatbuild",
    "DATABASE_DISPATCH_URL": "postgresql://postgres:postgres@localhost/bharatbuild",
    "REDIS_URL": "redis://localhost",
    "S3_ENDPOINT": "http://localhost:9000",
    "S3_ACCESS_KEY": "minioadmin",
    "S3_SECRET_KEY": "minioadmin",
    "SECRET_BOX_KEYS": "1:" + "00" * 32,
    "BHARATBUILD_FAILPOINT": "after-claim",
}


async def _command(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        str(BHARATBUILD),
        *arguments,
        cwd=folder,
        env={**kept, "COLUMNS": "200", **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("process", ["http", "worker", "dispatcher"])
async def test_production_does_not_start_on_what_the_check_refuses(
    tmp_path: Path, process: str
) -> None:
    checked = await _command(tmp_path, "secrets", "check", "--for", process, **DEFAULTS)
    started = await _command(tmp_path, process, ENVIRONMENT="production", **DEFAULTS)
    assert (checked[0], started[0]) == (1, 2)
    refused = {name for name in DEFAULTS if name not in ("REDIS_URL", "S3_ENDPOINT")}
    refused |= {"JWT_SIGNING_KEY", "API_KEY_PEPPERS"} if process == "http" else set()
    for _, output in (checked, started):
        assert set(re.findall(r"\b([A-Z0-9_]{8,}): ", output)) == refused
        assert "minioadmin" not in output
        assert "Traceback" not in output


async def test_settings_of_ones_own_are_found_good(tmp_path: Path) -> None:
    password = generate_pepper()[2:]
    settings = {
        "DATABASE_URL": f"postgresql://bb_app:{password}@db/bharatbuild",
        "DATABASE_DISPATCH_URL": f"postgresql://bb_dispatch:{password}@db/bharatbuild",
        "REDIS_URL": "redis://cache.elsewhere.net",
        "S3_ENDPOINT": "https://s3.ap-south-1.amazonaws.com",
        "S3_ACCESS_KEY": password[:20],
        "S3_SECRET_KEY": password,
        "JWT_SIGNING_KEY": generate_signing_key()[1],
        "API_KEY_PEPPERS": generate_pepper(),
        "SECRET_BOX_KEYS": generate_box_key(),
    }
    code, output = await _command(tmp_path, "secrets", "check", **settings)
    assert code == 0, output
    assert "warning  REDIS_URL" in output


async def test_an_operator_seals_anew_and_is_told_how_many(platform: Platform) -> None:
    folder = _folder(platform)
    async with partner_of(platform.url, platform.environment["DATABASE_OWNER_URL"]) as person:
        await person.post("/webhook-endpoints", json={"url": "http://127.0.0.1:9/in"})
        first = platform.environment["SECRET_BOX_KEYS"]
        # Under the newest key already: there is nothing to do.
        code, output = await _command(folder, "secrets", "reseal", SECRET_BOX_KEYS=first)
        assert (code, "0 webhook secrets sealed anew" in output) == (0, True), output
        # Without the key that sealed it, it stays and is told.
        other = "2:" + generate_pepper()[2:]
        code, output = await _command(folder, "secrets", "reseal", SECRET_BOX_KEYS=other)
        assert (code, "webhook secrets are under another key" in output) == (1, True), output


async def test_no_secret_is_in_any_output(platform: Platform) -> None:
    secrets = {
        f"{name} {part[:4]}…": part
        for name, value in platform.environment.items()
        for part in _secrets_in(name, value)
    }
    assert len(secrets) >= 9, secrets.keys()
    secrets |= await _provoked(platform)
    assert all(len(value) >= 8 for value in secrets.values())

    logs = {path.name: path.read_text(errors="replace") for path in _logs(platform)}
    assert {"http.log", "worker.log", "dispatcher.log"} <= logs.keys()
    assert "redaction_is_tried" in logs["http.log"]  # the database's error is told, by name
    assert "[parameters: " not in logs["http.log"]  # hashes, sealed secrets, people's words
    assert "webhook attempted" in logs["worker.log"]
    told = {
        f"{name} in {file}"
        for name, value in secrets.items()
        for file, text in logs.items()
        if value in text or json.dumps(value)[1:-1] in text
    }
    assert told == set()


async def _provoked(platform: Platform) -> dict[str, str]:
    """Errors of every kind that a secret could be told in; returns the secrets."""
    wrong, long = "an entirely wrong battery", "too long a password " * 20
    kept: dict[str, str] = {"password": PASSWORD, "wrong password": wrong, "long password": long}
    async with partner_of(platform.url, platform.environment["DATABASE_OWNER_URL"]) as person:
        api = person.http
        login = {"email": person.email, "password": PASSWORD, "refresh_in": "body"}
        signed_in = (await api.post("/auth/login", json=login)).json()
        kept["access token"] = signed_in["access_token"]
        kept["refresh token"] = signed_in["refresh_token"]
        kept["first access token"] = api.headers["Authorization"].removeprefix("Bearer ")
        key: dict[str, Any] = await person.post(
            "/api-keys", json={"name": "redaction", "scopes": ["projects:read"]}
        )
        kept["API key"] = key["secret"]
        added = await person.post("/webhook-endpoints", json={"url": "http://127.0.0.1:9/in"})
        kept["webhook secret"] = added["secret"]

        token = kept["refresh token"]
        # A client that holds no answer against the document: some of these are no requests of it.
        async with httpx.AsyncClient(
            base_url=f"{platform.url}/api/v1", trust_env=False, timeout=60
        ) as other:
            refused = [
                await other.post(path, **body)
                for path, body in (
                    ("/auth/login", _json(email=person.email, password=wrong)),
                    ("/auth/login", _json(email=person.email, password=[PASSWORD])),
                    ("/auth/register", _json(email="a@example.com", password=long, name="A")),
                    ("/auth/register", _json(email=1, password=PASSWORD, name=wrong)),
                    ("/auth/register", _json(**{PASSWORD: 1})),
                    ("/auth/refresh", _json(refresh_token=token + "x")),
                    ("/auth/refresh", _json(refresh_token=[token])),
                    ("/auth/refresh", {"content": f'{{"refresh_token": "{token}'.encode()}),
                )
            ]
            refused += [
                await other.get("/projects", headers={name: value.encode("latin-1")})
                for name, value in (
                    ("Authorization", f"Bearer {kept['access token']}x"),
                    ("Authorization", f"Basic {kept['access token']}"),
                    ("Authorization", f"Bearer {kept['API key']}"),
                    ("X-API-Key", kept["API key"][:-1]),
                    ("X-API-Key", kept["API key"] + "\xe9"),
                    ("X-API-Key", kept["access token"]),
                )
            ]
            assert {answer.status_code // 100 for answer in refused} == {4}, refused
            async with _breaking_keys(platform):
                broken = await other.post(
                    "/api-keys",
                    json={"name": "redaction", "scopes": ["projects:read"]},
                    headers={"Authorization": api.headers["Authorization"]},
                )
            assert broken.status_code == 500, broken.text

        # The worker tells of an endpoint that cannot be reached; the dispatcher announces it.
        await person.executed()
        await _until_attempted(platform)
    return kept


def _json(**body: object) -> dict[str, Any]:
    return {"json": body}


@asynccontextmanager
async def _breaking_keys(platform: Platform) -> AsyncIterator[None]:
    """Within it the database refuses to keep any API key called ``redaction``."""
    connection = await asyncpg.connect(platform.environment["DATABASE_OWNER_URL"])
    try:
        await connection.execute(
            "ALTER TABLE api_keys ADD CONSTRAINT redaction_is_tried"
            " CHECK (name <> 'redaction') NOT VALID"
        )
        yield
    finally:
        await connection.execute("ALTER TABLE api_keys DROP CONSTRAINT redaction_is_tried")
        await connection.close()


async def _until_attempted(platform: Platform) -> None:
    worker = next(path for path in _logs(platform) if path.name == "worker.log")
    async with asyncio.timeout(SECONDS):
        while "webhook attempted" not in worker.read_text(errors="replace"):
            await asyncio.sleep(0.1)


def _secrets_in(name: str, value: str) -> list[str]:
    """The secret parts of a setting."""
    if name in ("API_KEY_PEPPERS", "SECRET_BOX_KEYS"):
        return [word.partition(":")[2] for word in value.split()]
    if name == "JWT_SIGNING_KEY_FILE":
        lines = Path(value).read_text().splitlines()
        return [line for line in lines if len(line) > 40 and " " not in line]
    if name in ("S3_ACCESS_KEY", "S3_SECRET_KEY"):
        return [value]
    return [password] if (password := urlsplit(value).password) else []


def _folder(platform: Platform) -> Path:
    """Whose platform it is."""
    return Path(platform.environment["JWT_SIGNING_KEY_FILE"]).parents[1]


def _logs(platform: Platform) -> list[Path]:
    """What our processes and the servers of the folder have said."""
    return list((_folder(platform) / ".bharatbuild").rglob("*.log*"))
