"""A laboratory: an HTTP process with callers of every kind, for requests made of the document."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis.asyncio

from domain.identity.user import PERMISSIONS, Permission, Role
from domain.keys.scopes import GRANTABLE
from entrypoints.local_stack import StackAddresses
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.http_process import answering, http_environment, http_process
from tests.integration.platform.partner import Partner
from tests.integration.platform.person import PASSWORD
from tests.integration.redis.private_valkey import PrivateValkey

SAVED_BUYER = {"name": "Uday & Sons", "address": "Plot 9\nMumbai", "state": "27"}


@dataclass
class Laboratory:
    """Where the process answers, who calls, and what there is to call for.

    No worker and no dispatcher runs: what is accepted is never executed. ``known`` has ids of
    things that are there, by the name of the path parameter that asks for them.
    """

    url: str
    owner_url: str
    log: Path
    valkey: PrivateValkey
    callers: dict[str, dict[str, str]] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    _persons: dict[str, Partner] = field(default_factory=dict)
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def settle(self) -> None:
        """Bring in an admin, a partner, a member, and programs of the first two."""
        for role in (Role.ADMIN, Role.PARTNER, Role.MEMBER):
            person = await self._opened.enter_async_context(Partner(self.url))
            if role is not Role.MEMBER:
                await person.become(role, self.owner_url)
            token = person.http.headers["Authorization"]
            self.callers[role.value] = {"Authorization": token}
            self._persons[role.value] = person
            if Permission.KEYS_ISSUE in PERMISSIONS[role]:
                key = await person.issue(scopes=sorted(PERMISSIONS[role] & GRANTABLE))
                self.callers[f"{role}'s key"] = {"X-API-Key": key["secret"]}
            if role is Role.ADMIN:
                self.known = await _belongings(person)

    async def bring_back(self, *roles: str) -> None:
        """Let everybody in whom an operation has ended, and forget what held sign-ins up."""
        async with redis.asyncio.from_url(self.valkey.url) as client:
            await client.flushall()
        for role in roles or self._persons:
            person = self._persons[role]
            answer = await person.http.post(
                "/auth/login", json={"email": person.email, "password": PASSWORD}
            )
            if answer.status_code == httpx.codes.OK:
                self.callers[role] = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def close(self) -> None:
        """Let everybody go."""
        await self._opened.aclose()

    async def still_in(self) -> bool:
        """Whether every caller is still let in: an operation may have ended one."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            shown = await asyncio.gather(
                *(
                    client.get("/api/v1/auth/me", headers=headers)
                    for headers in self.callers.values()
                )
            )
        return all(answer.status_code == httpx.codes.OK for answer in shown)

    def faults(self) -> str:
        """The end of what the process said went wrong."""
        lines = [line for line in self.log.read_text().splitlines() if "unexpected" in line]
        return "\n".join(lines[-3:])[-6000:]


async def _belongings(person: Partner) -> dict[str, str]:
    project = await person.project()
    run = await person.post(f"/projects/{project['id']}/execute", status=202)
    key = await person.issue(name="another program")
    endpoint = await person.post(
        "/webhook-endpoints", json={"url": "https://partner.example.com/hooks"}
    )
    delivery = await person.post(
        f"/webhook-endpoints/{endpoint['endpoint']['id']}/test", status=202
    )
    order = await person.post("/billing/orders", json={"pack": "starter"})
    coupon = await person.post(
        "/admin/coupons", json={"code": f"LAB-{uuid4().hex[:8]}", "percent": 5}
    )
    return {
        "project_id": project["id"],
        "run_id": run["id"],
        "key_id": key["id"],
        "endpoint_id": endpoint["endpoint"]["id"],
        "event_id": delivery["event_id"],
        "order_id": order["id"],
        "coupon_id": coupon["id"],
        "number": "1",
    }


@pytest.fixture(scope="session")
async def laboratory(
    stack: StackAddresses, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Laboratory]:
    """The laboratory, with limits that are not reached."""
    log = tmp_path_factory.mktemp("laboratory") / "http.log"
    # Its own, to be emptied: wrong proofs are counted there, and hostile ones are many.
    valkey = PrivateValkey(log.parent)
    valkey.start()
    environment = http_environment(stack) | {
        "REDIS_URL": valkey.url,
        "ADDRESS_PER_MINUTE": "100000",
        "UNVERIFIED_PER_MINUTE": "100000",
        "KEY_PER_DAY": "10000000",
    }
    try:
        async with http_process(environment, log, choose_free_port()) as url:
            await answering(url)
            found = Laboratory(
                url=url, owner_url=stack.database_owner_url or "", log=log, valkey=valkey
            )
            try:
                await found.settle()
                yield found
            finally:
                await found.close()
    finally:
        valkey.kill()


@pytest.fixture
async def at_home(laboratory: Laboratory) -> AsyncIterator[Laboratory]:
    """The laboratory with everybody let in, whatever the test before has ended."""
    if not await laboratory.still_in():
        await laboratory.bring_back()
    if not await laboratory.still_in():
        await laboratory.settle()
    yield laboratory


def problem_of(answer: Any) -> str:
    """A line about an answer, for a failure."""
    return f"{answer.status_code} {answer.text[:300]}"


def not_set_up(answer: Any) -> bool:
    """Whether it says that the operator has not set this up, as the laboratory's has not."""
    said = answer.json() if "problem+json" in answer.headers.get("content-type", "") else {}
    return said.get("code") == "provider_not_configured"
