"""A partner reads what was asked for with their keys."""

import asyncio
import csv
import io
from typing import Any

import pytest

from entrypoints.cli.platform import Platform
from tests.integration.platform.partner import Partner, partner_of, program
from tests.integration.platform.person import IDEA, Person

SHOW = "GET /api/v1/projects/{project_id}"
EXECUTE = "POST /api/v1/projects/{project_id}/execute"


@pytest.fixture
async def partner(platform: Platform) -> Any:
    async with partner_of(platform.url, platform.environment["DATABASE_OWNER_URL"]) as opened:
        yield opened


async def logged(partner: Partner, count: int, **only: str) -> list[dict[str, Any]]:
    """The log, once it has so many rows."""
    async with asyncio.timeout(20):
        while True:
            page = await partner.get("/usage/requests", params={"limit": 100, **only})
            if len(page["items"]) >= count:
                assert page["next_cursor"] is None
                return list(page["items"])
            await asyncio.sleep(0.1)


async def test_each_request_leaves_a_row_that_says_what_became_of_it(
    platform: Platform, partner: Partner, stranger: Person
) -> None:
    scopes = ["projects:read", "projects:create", "projects:execute"]
    key = await partner.issue(scopes=scopes, environment="test")
    async with program(platform.url, key["secret"]) as http:
        project = (await http.post("/projects", json={"idea": IDEA})).json()
        path = f"/projects/{project['id']}"
        named = await http.get(path, headers={"X-Request-Id": "my-own-request-name"})
        assert named.status_code == 200
        assert (await http.get(f"/projects/{key['id']}")).status_code == 404
        assert (await http.delete(path)).status_code == 403
        once = {"Idempotency-Key": "the first run"}
        run = (await http.post(f"{path}/execute", headers=once)).json()
        again = await http.post(f"{path}/execute", headers=once)
        assert again.json() == run
        assert again.headers["Idempotency-Replayed"] == "true"
        # Of no key: nothing proves whose it is.
        wrong = await http.get(path, headers={"X-API-Key": "bb_live_nonsense"})
        assert wrong.status_code == 401
    rows = await logged(partner, 6)
    assert [(row["route"], row["status"]) for row in reversed(rows)] == [
        ("POST /api/v1/projects", 201),
        (SHOW, 200),
        (SHOW, 404),
        ("DELETE /api/v1/projects/{project_id}", 403),
        (EXECUTE, 202),
        (EXECUTE, 202),
    ]
    assert {row["api_key_id"] for row in rows} == {key["id"]}
    assert [row["run_id"] for row in rows] == [None, run["id"], None, None, None, None]
    assert rows[4]["request_id"] == "my-own-request-name"
    assert len({row["request_id"] for row in rows}) == 6
    assert all(row["latency_ms"] > 0 for row in rows)
    assert (await stranger.get("/usage/requests"))["items"] == []


async def test_rows_are_narrowed_paged_summed_and_exported(
    platform: Platform, partner: Partner
) -> None:
    key, other = await partner.issue(), await partner.issue()
    async with program(platform.url, key["secret"]) as http:
        for _ in range(5):
            await http.get("/projects")
        await http.get(f"/projects/{key['id']}")
    async with program(platform.url, other["secret"]) as http:
        await http.get("/projects")
    rows = await logged(partner, 7)
    assert len(await logged(partner, 6, key_id=key["id"])) == 6
    assert [row["status"] for row in await logged(partner, 1, status="4xx")] == [404]
    assert len(await logged(partner, 6, route="GET /api/v1/projects")) == 6

    seen: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await partner.get("/usage/requests", params={"limit": 3, "cursor": cursor})
        seen += page["items"]
        cursor = page["next_cursor"]
    assert seen == rows

    for by in ("hour", "day"):
        sums = await partner.get("/usage/requests/sums", params={"by": by})
        assert sum(each["requests"] for each in sums["items"]) == 7
        assert sum(each["succeeded"] for each in sums["items"]) == 6
        assert sum(each["client_errors"] for each in sums["items"]) == 1
        assert all(each["begins"].endswith("+05:30") for each in sums["items"])
        assert all(each["credits"] == 0 for each in sums["items"])
    narrowed = await partner.get("/usage/requests/sums", params={"status": "4xx"})
    assert [(each["requests"], each["tokens"]) for each in narrowed["items"]] == [(1, None)]

    exported = await partner.http.get("/usage/requests/export", params={"key_id": key["id"]})
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(exported.text)))
    ours = [row for row in reversed(rows) if row["api_key_id"] == key["id"]]
    assert [(line["id"], line["request_id"]) for line in lines] == [
        (row["id"], row["request_id"]) for row in ours
    ]

    live = await partner.get(f"/api-keys/{key['id']}/usage")
    assert live["day"] == 6
    await partner.get(f"/api-keys/{rows[0]['id']}/usage", status=404)


async def test_refusals_for_the_rate_are_logged_and_the_log_is_not_for_every_key(
    platform: Platform, partner: Partner
) -> None:
    key = await partner.issue(
        scopes=["projects:read"], limits=[{"quota": 2, "window_seconds": 86_400}]
    )
    async with program(platform.url, key["secret"]) as http:
        assert (await http.get("/usage/requests")).status_code == 403
        assert (await http.get("/projects")).status_code == 200
        assert (await http.get("/projects")).status_code == 429
    rows = await logged(partner, 3)
    assert [(row["status"], row["requests"]) for row in rows] == [(429, 1), (200, 1), (403, 1)]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-11-30", "to": "2026-11-01"},
        {"from": "yesterday"},
        {"cursor": "bm90IG91cnM"},
        {"status": "6xx"},
        {"key_id": "mine"},
        {"limit": "0"},
    ],
)
async def test_what_does_not_fit_is_refused(partner: Partner, query: dict[str, str]) -> None:
    for path in ("/usage/requests", "/usage/requests/sums"):
        answer = await partner.http.get(path, params=query)
        assert answer.status_code == 422, answer.text
