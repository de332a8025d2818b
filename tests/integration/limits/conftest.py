"""HTTP processes with little patience and little room, on the session's servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest

from entrypoints.local_stack import StackAddresses
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.http_process import answering, http_environment, http_process
from tests.integration.platform.person import PASSWORD, Person

SECONDS = {
    "HTTP_HEAD_SECONDS": "3",
    "HTTP_BODY_SECONDS": "2",
    "HTTP_HANDLER_SECONDS": "3",
    "HTTP_IDLE_SECONDS": "2",
}
PLACES = {
    "HTTP_REQUESTS": "40",
    "HTTP_ADDRESS_REQUESTS": "20",
    "HTTP_ADDRESS_CONNECTIONS": "50",
    "HTTP_SOCKETS": "30",
    "HTTP_ADDRESS_SOCKETS": "3",
}


@asynccontextmanager
async def serving(
    stack: StackAddresses, folders: pytest.TempPathFactory, server: str
) -> AsyncIterator[str]:
    """Where a process of that server answers."""
    environment = {
        **http_environment(stack),
        **SECONDS,
        **PLACES,
        "HTTP_SERVER": server,
        "ALLOWED_ORIGINS": "https://app.example.com",
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "HTTP_HSTS_SECONDS": "31536000",
        "ADDRESS_PER_MINUTE": "100000",
    }
    log = folders.mktemp("limits") / "http.log"
    async with http_process(environment, log, choose_free_port()) as url:
        await answering(url)
        yield url


@pytest.fixture(scope="package")
async def served(
    stack: StackAddresses, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """Where a process of the server of production answers."""
    async with serving(stack, tmp_path_factory, "granian") as url:
        yield url


@pytest.fixture(scope="package")
async def person(served: str) -> AsyncIterator[Person]:
    """Somebody who is registered and signed in there."""
    async with PatientPerson(served) as registered:
        yield registered


class PatientPerson(Person):
    """Signs in as often as it takes: hashing a password may take longer than the limits here."""

    async def __aenter__(self) -> Self:
        body = {"email": self.email, "password": PASSWORD, "name": "A Person"}
        await self._done("/auth/register", body)
        answer = await self._done("/auth/login", body | {"name": None})
        self.http.headers["Authorization"] = f"Bearer {answer['access_token']}"
        return self

    async def _done(self, path: str, body: dict[str, str | None]) -> dict[str, Any]:
        fields = {name: value for name, value in body.items() if value is not None}
        while (answer := await self.http.post(path, json=fields)).status_code == 504:
            await asyncio.sleep(0.5)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found
