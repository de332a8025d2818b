"""Webhooks as a partner uses them: HTTP, dispatcher, worker and a receiver on real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from entrypoints.cli.platform import Platform
from tests.integration.platform.partner import partner_of
from tests.integration.platform.person import Person
from tests.integration.webhooks.receiver import Receiver, answering, receiver


@pytest.fixture(scope="module")
async def partner(platform: Platform) -> AsyncIterator[Person]:
    async with partner_of(platform.url, platform.environment["DATABASE_OWNER_URL"]) as opened:
        yield opened


async def came(here: Receiver, number: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while len(here.requests) < number:
        assert time.monotonic() < deadline, f"{len(here.requests)} of {number} came"
        await asyncio.sleep(0.05)


async def ended(partner: Person, path: str) -> dict[str, Any]:
    """The delivery's detail once it is no longer pending."""
    deadline = time.monotonic() + 30
    while True:
        detail: dict[str, Any] = await partner.get(path)
        if detail["delivery"]["status"] != "pending":
            return detail
        assert time.monotonic() < deadline, detail
        await asyncio.sleep(0.05)


async def test_a_run_is_told_from_its_acceptance_to_its_end(partner: Person) -> None:
    async with receiver(answering()) as here:
        url = f"http://127.0.0.1:{here.port}/in"
        added = await partner.post("/webhook-endpoints", json={"url": url, "events": ["run.*"]})
        project, run = await partner.executed()
        await came(here, 2)
        said = [
            Webhook(added["secret"]).verify(request.body, request.headers)
            for request in here.requests
        ]
        assert sorted(each["type"] for each in said) == ["run.accepted", "run.succeeded"]
        for each in said:
            assert each["data"]["run_id"] == run["run"]["id"]
            assert each["data"]["project_id"] == project["id"]
        (finished,) = [each for each in said if each["type"] == "run.succeeded"]
        assert finished["data"]["credits"] == run["credits"]
        path = f"/webhook-endpoints/{added['endpoint']['id']}"
        page = await partner.get(f"{path}/deliveries", params={"type": "run.succeeded"})
        (delivery,) = page["items"]
        detail = await ended(partner, f"{path}/deliveries/{delivery['event_id']}")
        assert detail["attempts"][0]["http_status"] == 200
        replayed = await partner.post(
            f"{path}/deliveries/{delivery['event_id']}/replay", status=202
        )
        assert replayed["replays"] == 1
        await came(here, 3)
        assert here.requests[2].headers["webhook-id"] == delivery["event_id"]
        assert here.requests[2].body.decode() == detail["payload"]
        assert (await partner.http.delete(path)).status_code == 204
        await partner.get(path, status=404)


async def test_a_cancelled_run_is_told_too(partner: Person) -> None:
    async with receiver(answering()) as here:
        url = f"http://127.0.0.1:{here.port}/in"
        added = await partner.post(
            "/webhook-endpoints", json={"url": url, "events": ["run.cancelled", "run.succeeded"]}
        )
        project = await partner.project()
        run = await partner.post(f"/projects/{project['id']}/execute", status=202)
        await partner.http.post(f"/runs/{run['id']}/cancel")
        detail = await partner.finished(run["id"])
        await came(here, 1)
        said = Webhook(added["secret"]).verify(here.requests[0].body, here.requests[0].headers)
        assert said["type"] == f"run.{detail['run']['status']}"
        await partner.http.delete(f"/webhook-endpoints/{added['endpoint']['id']}")


async def test_a_secret_is_shown_once(partner: Person) -> None:
    body = {"url": "http://127.0.0.1:9/in", "description": "nobody"}
    key = {"Idempotency-Key": str(uuid4())}
    first = await partner.http.post("/webhook-endpoints", json=body, headers=key)
    again = await partner.http.post("/webhook-endpoints", json=body, headers=key)
    assert first.json()["secret"].startswith("whsec_")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == {"endpoint": first.json()["endpoint"], "secret": None}
    path = f"/webhook-endpoints/{first.json()['endpoint']['id']}"
    secret = first.json()["secret"]
    for answer in (
        await partner.http.get(path),
        await partner.http.get("/webhook-endpoints"),
        await partner.http.patch(path, json={"events": ["payment.*"], "enabled": False}),
    ):
        assert answer.status_code == 200
        assert secret not in answer.text
        assert "secret" not in answer.text
    rotated = await partner.post(f"{path}/rotate-secret", status=200, json={"overlap_seconds": 60})
    assert rotated["secret"] != secret
    assert rotated["endpoint"]["rotating_until"] is not None
    refused = await partner.post(f"{path}/test", status=409)
    assert refused["code"] == "webhook_endpoint_disabled"
    await partner.http.delete(path)


async def test_a_test_tells_what_came_of_it_and_failures_are_replayed(partner: Person) -> None:
    async with receiver(answering("500 Broken", b"boom")) as here:
        added = await partner.post(
            "/webhook-endpoints", json={"url": f"http://127.0.0.1:{here.port}/in"}
        )
        path = f"/webhook-endpoints/{added['endpoint']['id']}"
        made = await partner.post(f"{path}/test", status=202)
        detail = await ended(partner, f"{path}/deliveries/{made['event_id']}")
        assert (detail["delivery"]["status"], detail["delivery"]["error"]) == ("failed", "http_500")
        (attempt,) = detail["attempts"]
        assert (attempt["http_status"], attempt["excerpt"], attempt["address"]) == (
            500,
            "boom",
            "127.0.0.1",
        )
        body = {"since": made["created_at"]}
        again = await partner.post(f"{path}/deliveries/replay-failed", status=202, json=body)
        assert again == {"replayed": 1}
        await came(here, 2)
        page = await partner.get(f"{path}/deliveries", params={"until": made["created_at"]})
        assert page == {"items": [], "next_cursor": None}
        await partner.http.delete(path)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://user:pass@example.com"}, "url"),
        ({"url": "http://127.0.0.1:9/", "events": ["run.exploded"]}, "events"),
        ({"url": "http://127.0.0.1:9/", "description": "x" * 201}, "description"),
        ({"url": "http://127.0.0.1:9/", "colour": "red"}, "colour"),
        ({}, "url"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(
    partner: Person, body: dict[str, object], field: str
) -> None:
    refused = await partner.post("/webhook-endpoints", status=422, json=body)
    assert refused["errors"][0]["field"] == field


async def test_others_have_nothing_to_do_with_it(
    partner: Person, person: Person, client: httpx.AsyncClient, platform: Platform
) -> None:
    added = await partner.post("/webhook-endpoints", json={"url": "http://127.0.0.1:9/"})
    path = f"/webhook-endpoints/{added['endpoint']['id']}"
    assert (await person.get("/webhook-endpoints", status=403))["code"] == "permission_denied"
    assert (await client.get("/webhook-endpoints")).status_code == 401
    async with partner_of(platform.url, platform.environment["DATABASE_OWNER_URL"]) as other:
        assert (await other.get("/webhook-endpoints"))["items"] == []
        for method, where, body in (
            ("GET", path, None),
            ("PATCH", path, {"enabled": False}),
            ("DELETE", path, None),
            ("POST", f"{path}/rotate-secret", {}),
            ("POST", f"{path}/test", None),
            ("GET", f"{path}/deliveries", None),
            ("GET", f"{path}/deliveries/{uuid4()}", None),
            ("POST", f"{path}/deliveries/{uuid4()}/replay", None),
            ("POST", f"{path}/deliveries/replay-failed", {"since": "2026-01-01T00:00:00Z"}),
        ):
            refused = await other.http.request(method, where, json=body)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), where
    await partner.http.delete(path)
