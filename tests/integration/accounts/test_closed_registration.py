"""HTTP where addresses must be confirmed, over a database in which nobody else is an admin."""

import asyncio
import email
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from aiosmtpd.controller import Controller

from adapters.postgres.engine import open_engine
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.security import Argon2PasswordHasher
from domain.identity.user import Role
from entrypoints.local_stack import StackAddresses
from entrypoints.local_stack.ports import choose_free_port
from tests.contracts.samples import keep_user
from tests.integration.databases import own_database
from tests.integration.http_process import answering, http_environment, http_process
from tests.integration.platform.person import PASSWORD

SECONDS = 60.0


class Server:
    """Takes every message, and leaves the sender without an answer as long as it is told to."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.silent = True

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append(email.message_from_bytes(envelope.content, policy=default))
        while self.silent:
            await asyncio.sleep(0.02)
        return "250 OK"

    async def has(self, count: int) -> None:
        """Wait until it has taken so many."""
        async with asyncio.timeout(SECONDS):
            while len(self.taken) < count:
                await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Place:
    """HTTP where addresses must be confirmed, over a database of its own, and its mail server."""

    http: httpx.AsyncClient
    environment: Mapping[str, str]
    addresses: StackAddresses
    server: Server


@pytest.fixture(scope="module")
def smtp() -> Iterator[tuple[Server, int]]:
    handler, port = Server(), choose_free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    handler.silent = False
    controller.stop()


@pytest.fixture(scope="module")
async def place(
    stack: StackAddresses,
    superuser_url: str,
    smtp: tuple[Server, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Place]:
    server, smtp_port = smtp
    port = choose_free_port()
    async with own_database(stack, superuser_url) as addresses:
        environment = {
            **http_environment(addresses),
            # Usage and limits are nobody else's either.
            "REDIS_URL": urlsplit(addresses.redis_url or "")._replace(path="/7").geturl(),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
            "SMTP_TLS": "none",
            "MAIL_FROM": "BharatBuild AI <no-reply@example.com>",
        }
        del environment["OPEN_REGISTRATION"]
        log = tmp_path_factory.mktemp("closed") / "http.log"
        async with (
            http_process(environment, log, port) as url,
            httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as http,
        ):
            await answering(url)
            yield Place(http, environment, addresses, server)


@asynccontextmanager
async def dispatcher(
    environment: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "entrypoints.cli.main", "dispatcher"),
            env=dict(environment),
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_mail_outlives_the_dispatcher_that_was_killed_while_sending_it(
    place: Place, superuser_url: str, tmp_path: Path
) -> None:
    http, server, log = place.http, place.server, tmp_path / "dispatcher.log"
    who = {"email": "asha@example.org", "password": PASSWORD}
    registered = await http.post("/auth/register", json={**who, "name": "Asha Rao"})
    assert registered.status_code == 202, registered.text
    # There is no account yet, and nothing tells that one is on its way.
    assert (await http.post("/auth/login", json=who)).status_code == 401

    async with dispatcher(place.environment, log) as killed:
        await server.has(1)  # the server has it, and the dispatcher no answer
        killed.kill()
        await killed.wait()
    server.silent = False
    await lease_lapses(superuser_url, place.addresses)
    async with dispatcher(place.environment, log):
        await server.has(2)
        await all_sent(superuser_url, place.addresses)
        first, again = server.taken
        assert first["Message-ID"] == again["Message-ID"]
        assert first["To"] == "asha@example.org"
        assert first["Subject"] == "Confirm your email address"
        token = link_in(again)
        assert link_in(first) == token

        confirm = {"token": token, "password": PASSWORD}
        wrong = await http.post(
            "/auth/register/confirm", json={**confirm, "password": "another one entirely"}
        )
        assert wrong.status_code == 401
        opened = await http.post("/auth/register/confirm", json=confirm)
        assert opened.status_code == 201, opened.text
        assert (await http.post("/auth/login", json=who)).status_code == 200
        twice = await http.post("/auth/register/confirm", json=confirm)
        assert (twice.status_code, twice.json()["code"]) == (401, "link_refused")

        # Whoever has an account is answered alike, and told of it by mail alone.
        once_more = await http.post("/auth/register", json={**who, "name": "Another"})
        assert (once_more.status_code, once_more.json()) == (202, registered.json())
        await server.has(3)
        assert server.taken[2]["Subject"] != first["Subject"]
        assert len(server.taken) == 3


async def test_of_two_admins_that_delete_their_accounts_at_once_one_is_kept(place: Place) -> None:
    engine = open_engine(place.environment["DATABASE_URL"], pool_size=2, application="tests")
    uow, password_hash = PostgresUnitOfWork(engine), await Argon2PasswordHasher().hash(PASSWORD)
    admins = [await keep_user(uow, role=Role.ADMIN, password_hash=password_hash) for _ in range(2)]
    await engine.dispose()
    sessions = []
    for admin in admins:
        body = {"email": admin.email, "password": PASSWORD}
        opened = (await place.http.post("/auth/login", json=body)).json()
        sessions.append({"Authorization": f"Bearer {opened['access_token']}"})
    proof = {"password": PASSWORD}

    async def leave(session: dict[str, str]) -> tuple[int, str]:
        answer = await place.http.post("/auth/account/delete", json=proof, headers=session)
        return answer.status_code, answer.json().get("code", "")

    answers = await asyncio.gather(*map(leave, sessions))
    assert sorted(answers) == [(200, ""), (409, "last_admin")]
    kept = sessions[answers.index((409, "last_admin"))]
    assert (await place.http.get("/auth/me", headers=kept)).status_code == 200


def link_in(message: Any) -> str:
    (token,) = set(re.findall(r"#token=([\w-]+)", message.get_body(["plain"]).get_content()))
    return str(token)


async def lease_lapses(superuser_url: str, addresses: StackAddresses) -> None:
    connection = await asyncpg.connect(there(superuser_url, addresses))
    changed = await connection.execute("UPDATE mails SET due_at = now() WHERE done_at IS NULL")
    assert changed == "UPDATE 1"
    await connection.close()


async def all_sent(superuser_url: str, addresses: StackAddresses) -> None:
    connection = await asyncpg.connect(there(superuser_url, addresses))
    async with asyncio.timeout(SECONDS):
        while await connection.fetchval("SELECT count(*) FROM mails WHERE done_at IS NULL"):
            await asyncio.sleep(0.02)
    (row,) = await connection.fetch("SELECT attempts, sealed FROM mails")
    assert (row["attempts"], row["sealed"]) == (2, b"")
    await connection.close()


def there(superuser_url: str, addresses: StackAddresses) -> str:
    """The superuser's address of the test's own database."""
    return (
        urlsplit(superuser_url)._replace(path=urlsplit(addresses.database_url or "").path).geturl()
    )
