"""Prices, quotes and usage over HTTP, on real parts."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from entrypoints.cli.platform import Platform
from tests.integration.platform.person import PASSWORD, Person

DAY = (datetime.now(UTC) + timedelta(days=30)).date()
BAND = {
    "input": 3000,
    "output": 15000,
    "cache_write": 3750,
    "cache_write_1h": 6000,
    "cache_read": 300,
}


def price(**changes: Any) -> dict[str, Any]:
    return {
        "model": f"model-{uuid4().hex}",
        "valid_from": DAY.isoformat(),
        "source": "https://example.org/prices",
        "bands": [BAND],
        **changes,
    }


@pytest.fixture(scope="module")
async def admin(platform: Platform) -> AsyncIterator[Person]:
    """An operator, who got the role from another."""
    async with Person(platform.url) as person:
        owner = await asyncpg.connect(platform.environment["DATABASE_OWNER_URL"])
        try:
            await owner.execute("SET app.operator = 'on'")
            await owner.execute("UPDATE users SET role = 'admin' WHERE email = $1", person.email)
        finally:
            await owner.close()
        answer = await person.http.post(
            "/auth/login", json={"email": person.email, "password": PASSWORD}
        )
        person.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield person


@pytest.mark.parametrize("path", ["/admin/model-prices", "/admin/exchange-rates"])
async def test_a_member_may_neither_see_nor_add(person: Person, path: str) -> None:
    assert (await person.get(path, status=403))["code"] == "permission_denied"
    body = {"paise_per_usd": 1, "source": "x"} if "rates" in path else price()
    assert (await person.post(path, status=403, json=body))["code"] == "permission_denied"


async def test_a_price_is_added_once_with_its_bands_and_never_changed(admin: Person) -> None:
    body = price(bands=[{**BAND, "prompt_up_to": 100_000}, BAND])
    key = {"Idempotency-Key": uuid4().hex}
    first = await admin.post("/admin/model-prices", json=body, headers=key)
    again = await admin.post("/admin/model-prices", json=body, headers=key)
    assert again == first
    assert [row["prompt_up_to"] for row in first["items"]] == [100_000, None]
    refused = await admin.post("/admin/model-prices", status=409, json=body)
    assert refused["code"] == "price_exists"
    listed = await admin.get("/admin/model-prices", params={"model": body["model"], "limit": 1})
    rest = await admin.get(
        "/admin/model-prices", params={"model": body["model"], "cursor": listed["next_cursor"]}
    )
    assert [*rest["items"], *listed["items"]] == first["items"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bands": []}, "bands"),
        ({"bands": [{**BAND, "output": 0}]}, "output"),
        ({"model": "claude-sonnet-5-5", "valid_from": "2026-11-01"}, "valid_from"),
        ({"valid_from": "soon"}, "valid_from"),
        ({"currency": "EUR"}, "currency"),
    ],
)
async def test_what_does_not_fit_is_named(
    admin: Person, changes: dict[str, Any], field: str
) -> None:
    refused = await admin.post("/admin/model-prices", status=422, json=price(**changes))
    assert [error["field"] for error in refused["errors"]] == [field]
    assert refused["errors"][0]["message"]


async def test_a_rate_is_added_for_the_time_to_come(admin: Person) -> None:
    moment = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    body = {"paise_per_usd": 9_150, "source": "the central bank", "valid_from": moment}
    added = await admin.post("/admin/exchange-rates", json=body)
    assert (added["base"], added["quote"], added["paise_per_usd"]) == ("USD", "INR", 9_150)
    page = await admin.get("/admin/exchange-rates", params={"limit": 1})
    assert page["items"] == [added]
    assert page["next_cursor"]
    refused = await admin.post("/admin/exchange-rates", status=409, json=body)
    assert refused["code"] == "price_exists"
    past = {**body, "valid_from": "2026-01-01T00:00:00Z"}
    refused = await admin.post("/admin/exchange-rates", status=422, json=past)
    assert refused["errors"][0]["field"] == "valid_from"


async def test_quotes_are_free_of_effect_and_say_how_they_came_about(person: Person) -> None:
    project = await person.project()
    of_idea = await person.post("/quotes", status=200, json={"idea_length": 400})
    of_project = await person.post(f"/projects/{project['id']}/quote", status=200)
    for quoted in (of_idea, of_project):
        assert quoted["offline"]
        assert "without a language model" in quoted["notice"]
        assert quoted["high"] == {"credits": 0, "cost": "₹0.00"}
        assert [step["step"] for step in quoted["steps"]] == [
            "idea",
            "srs",
            "prd",
            "code",
            "verify",
        ]
        assert quoted["method"]["version"] == 1
        assert quoted["exchange_rate"]["paise_per_usd"] == 9_000
        assert (quoted["credits_available"], quoted["affordable"]) == (50_000, True)
    refused = await person.post("/quotes", status=422, json={"idea_length": 400, "idea": "A list."})
    assert refused["errors"][0]["field"] == "idea"
    assert (await person.get(f"/projects/{project['id']}"))["latest_run"] is None


async def test_a_stranger_gets_no_quote_of_anothers_project(
    person: Person, stranger: Person
) -> None:
    project = await person.project()
    refused = await stranger.post(f"/projects/{project['id']}/quote", status=404)
    assert refused["code"] == "not_found"


async def test_nobody_used_anything_yet(newcomer: Person) -> None:
    page = await newcomer.get("/usage")
    assert (page["items"], page["next_cursor"], page["total"]["credits"]) == ([], None, 0)
    answer = await newcomer.http.get("/usage/export")
    assert len(answer.text.splitlines()) == 1


async def test_usage_of_a_run_by_day_project_and_model_and_line_by_line(newcomer: Person) -> None:
    project, detail = await newcomer.executed()
    by_project = await newcomer.get("/usage", params={"group_by": "project"})
    (group,) = by_project["items"]
    assert (group["key"], group["title"]) == (project["id"], project["title"])
    assert (group["steps"], group["runs"], group["credits"]) == (5, 1, detail["credits"])
    by_day = await newcomer.get("/usage", params={"group_by": "day"})
    assert len(by_day["items"]) == 1
    assert by_day["time_zone"] == "Asia/Kolkata"
    (by_model, *_) = (await newcomer.get("/usage", params={"group_by": "model"}))["items"]
    assert by_model["tokens"] == 0
    answer = await newcomer.http.get("/usage/export", params={"from": by_day["items"][0]["key"]})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment;")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert {line["step"] for line in lines} == {task["step"] for task in detail["tasks"]}
    assert sum(int(line["credits"]) for line in lines) == detail["credits"]
    nothing = await newcomer.get("/usage", params={"to": "2026-01-01"})
    assert (nothing["items"], nothing["total"]["steps"]) == ([], 0)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"from": "2026-11-24", "to": "2026-11-23"}, "to"),
        ({"from": "0001-01-01"}, "from"),
        ({"limit": 101}, "limit"),
        ({"cursor": "!!"}, "cursor"),
        ({"cursor": "bm90IGEgZGF5"}, "cursor"),
        ({"cursor": "bm90IGEgZGF5", "group_by": "project"}, "cursor"),
        ({"group_by": "colour"}, "group_by"),
        ({"from": "yesterday"}, "from"),
    ],
)
async def test_a_question_that_does_not_fit_is_named(
    person: Person, parameters: dict[str, Any], field: str
) -> None:
    refused = await person.get("/usage", status=422, params=parameters)
    assert field in [error["field"] for error in refused["errors"]]


async def test_many_quotes_at_once_are_answered_alike(person: Person) -> None:
    body = {"json": {"idea_length": 400}}
    answers = await asyncio.gather(*(person.post("/quotes", status=200, **body) for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
