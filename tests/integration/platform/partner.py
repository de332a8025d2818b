"""A partner, who issues keys, and a program that calls with one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from adapters.postgres.oversight import grant_role
from domain.audit.origin import Origin
from domain.identity.user import Role
from tests.described import as_documented
from tests.integration.platform.person import PASSWORD, Person

SCOPES = [
    "projects:read",
    "projects:create",
    "projects:execute",
    "projects:delete",
    "account:read",
]


class Partner(Person):
    """A person whose role lets them issue keys."""

    async def become(self, role: Role, owner_url: str) -> None:
        """Be given a role by an operator, and sign in anew."""
        assert await grant_role(owner_url, self.email, role, Origin.of_operator("tests"))
        answer = await self.post(
            "/auth/login", status=200, json={"email": self.email, "password": PASSWORD}
        )
        self.http.headers["Authorization"] = f"Bearer {answer['access_token']}"

    async def issue(self, **body: Any) -> dict[str, Any]:
        """A new key, its text in ``secret``."""
        wanted = {"name": "a program", "scopes": SCOPES, **body}
        issued: dict[str, Any] = await self.post("/api-keys", json=wanted)
        return issued


@asynccontextmanager
async def partner_of(url: str, owner_url: str) -> AsyncIterator[Partner]:
    """A new partner of the platform at ``url``."""
    async with Partner(url) as person:
        await person.become(Role.PARTNER, owner_url)
        yield person


@asynccontextmanager
async def program(url: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls with a key."""
    async with httpx.AsyncClient(
        base_url=f"{url}/api/v1",
        timeout=30,
        trust_env=False,
        headers={"X-API-Key": key},
        event_hooks={"response": [as_documented]},
    ) as opened:
        yield opened
