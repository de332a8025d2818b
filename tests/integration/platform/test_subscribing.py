"""A subscription as ``bharatbuild up`` offers it: over HTTP alone, on the local gateway."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from entrypoints.cli.platform import Platform
from tests.integration.platform.person import PASSWORD, Person
from tests.integration.platform.test_dead_runs import command

SUBSCRIPTION = "/billing/subscription"


@pytest.fixture
async def page(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a session, for the gateway's page."""
    async with httpx.AsyncClient(base_url=platform.url, timeout=30, trust_env=False) as opened:
        yield opened


async def approved(person: Person, page: httpx.AsyncClient, shown: dict[str, Any]) -> None:
    """Pay what waits on the gateway's page."""
    order_id = shown["subscription"]["charge"]["order_id"]
    order = (await person.get(f"/billing/orders/{order_id}"))["order"]
    answer = await page.post(
        f"{order['checkout']['url']}/approve", headers={"Accept": "application/json"}
    )
    assert answer.is_success, answer.text


async def until(person: Person, plan: str, seconds: float = 60) -> dict[str, Any]:
    """What the person has once that plan holds for them."""
    deadline = time.monotonic() + seconds
    while True:
        shown: dict[str, Any] = await person.get(SUBSCRIPTION)
        if shown["plan"]["code"] == plan:
            return shown
        assert time.monotonic() < deadline, f"{plan} did not come to hold: {shown}"
        await asyncio.sleep(0.1)


async def test_a_plan_is_bought_upgraded_and_cancelled(
    newcomer: Person, page: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    plans = {plan["code"]: plan for plan in (await client.get("/plans")).json()["items"]}
    assert next(iter(plans)) == "free"
    before = (await newcomer.get("/auth/me"))["credits_available"]
    key = {"Idempotency-Key": "start"}
    started = await newcomer.post(SUBSCRIPTION, json={"plan": "student"}, headers=key)
    assert started == await newcomer.post(SUBSCRIPTION, json={"plan": "student"}, headers=key)
    assert (started["plan"]["code"], started["subscription"]["status"]) == ("free", "pending")
    await approved(newcomer, page, started)
    held = await until(newcomer, "student")
    assert held["subscription"]["status"] == "active"
    credits = (await newcomer.get("/auth/me"))["credits_available"]
    assert credits == before + plans["student"]["credits"]

    preview = await newcomer.post(f"{SUBSCRIPTION}/preview", status=200, json={"plan": "pro"})
    assert preview["takes_effect"] == "now"
    assert 0 < preview["due_paise"] <= plans["pro"]["price_paise"]
    changed = await newcomer.post(f"{SUBSCRIPTION}/change", status=200, json={"plan": "pro"})
    assert changed["plan"]["code"] == "student"
    await approved(newcomer, page, changed)
    await until(newcomer, "pro")

    ending = await newcomer.post(f"{SUBSCRIPTION}/cancel", status=200)
    assert ending["subscription"]["at_period_end"] == "cancel"
    again = await newcomer.post(SUBSCRIPTION, status=409, json={"plan": "student"})
    assert again["code"] == "already_subscribed"
    history = await newcomer.get(f"{SUBSCRIPTION}/history", params={"limit": 1})
    assert history["items"][0]["kind"] == "subscription.cancel_scheduled"
    assert history["next_cursor"]


async def test_a_seat_is_given_and_taken_back(
    newcomer: Person, stranger: Person, page: httpx.AsyncClient
) -> None:
    none = await newcomer.get("/billing/seats", status=409)
    assert none["code"] == "no_subscription"
    started = await newcomer.post(SUBSCRIPTION, json={"plan": "team", "seats": 2})
    await approved(newcomer, page, started)
    await until(newcomer, "team")
    email = f"nobody-{uuid4()}@example.org"
    nobodys = await newcomer.post("/billing/seats", json={"email": email})
    await newcomer.http.delete(f"/billing/seats/{nobodys['number']}")
    given = await newcomer.post("/billing/seats", json={"email": stranger.email})
    # Nothing tells whether an address has an account.
    assert nobodys.keys() == given.keys() == {"number", "email", "assigned_at"}
    assert given["number"] == 2
    await until(stranger, "team")
    seats = await newcomer.get("/billing/seats")
    assert (seats["seats"], seats["free"], len(seats["items"])) == (2, 0, 2)
    gone = await newcomer.http.delete("/billing/seats/2")
    assert gone.status_code == 204
    await until(stranger, "free")


async def test_an_admin_writes_a_version_and_others_may_not(
    platform: Platform, newcomer: Person, client: httpx.AsyncClient
) -> None:
    version = {
        "code": "evening",
        "name": "Evening",
        "price_paise": 9_900,
        "credits": 9_000,
        "concurrent_runs": 1,
        "modes": ["developer"],
        "exports": ["md"],
    }
    refused = await newcomer.post("/admin/plans", status=403, json=version)
    assert refused["code"] == "permission_denied"
    status, said = await command(platform, "users", "grant-role", newcomer.email, "admin")
    assert status == 0, said
    signed_in = await newcomer.post(
        "/auth/login", status=200, json={"email": newcomer.email, "password": PASSWORD}
    )
    newcomer.http.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
    odd = await newcomer.post("/admin/plans", status=422, json={**version, "exports": ["exe"]})
    assert odd["errors"][0]["field"] == "exports"
    first = await newcomer.post("/admin/plans", json=version)
    second = await newcomer.post("/admin/plans", json={**version, "on_sale": False})
    assert (first["version"], second["version"]) == (1, 2)
    offered = [plan["code"] for plan in (await client.get("/plans")).json()["items"]]
    assert "evening" not in offered
    versions = await newcomer.get("/admin/plans", params={"code": "evening"})
    assert [plan["version"] for plan in versions["items"]] == [2, 1]
    everybodys = await newcomer.get("/admin/subscriptions", params={"limit": 1})
    found = await newcomer.get(f"/admin/subscriptions/{everybodys['items'][0]['id']}")
    assert found["subscription"] == everybodys["items"][0]
