"""Keys over HTTP: issued, used within their bounds, changed, rotated and revoked."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from domain.identity.user import Role
from domain.keys.key_text import parse
from entrypoints.cli.platform import Platform
from tests.integration.platform.partner import SCOPES, Partner, partner_of, program
from tests.integration.platform.person import IDEA, Person


@pytest.fixture
def owner_url(platform: Platform) -> str:
    return platform.environment["DATABASE_OWNER_URL"]


@pytest.fixture(scope="module")
async def partner(platform: Platform) -> AsyncIterator[Partner]:
    async with partner_of(platform.url, platform.environment["DATABASE_OWNER_URL"]) as opened:
        yield opened


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def calling(platform: Platform, key: str, method: str, path: str, **more: Any) -> Any:
    async with program(platform.url, key) as client:
        return await client.request(method, path, **more)


async def test_a_key_does_what_its_owner_does(platform: Platform, partner: Partner) -> None:
    issued = await partner.issue(name="  a \t program ")
    assert parse(issued["secret"]).text == issued["secret"]
    assert issued["secret"].startswith(issued["prefix"])
    assert issued["secret"].endswith(issued["last_four"])
    assert issued["name"] == "a program"
    async with program(platform.url, issued["secret"]) as client:
        me = await client.get("/auth/me")
        assert (me.status_code, me.json()["user"]["email"]) == (200, partner.email)
        made = await client.post("/projects", json={"idea": IDEA})
        assert made.status_code == 201, made.text
        project = made.json()["id"]
        run = await client.post(f"/projects/{project}/execute")
        assert (run.status_code, run.json()["test"]) == (202, False)
    await partner.finished(run.json()["id"])
    async with program(platform.url, issued["secret"]) as client:
        assert (await client.get(f"/projects/{project}/archive")).status_code == 200
        assert (await client.delete(f"/projects/{project}")).status_code == 204


async def test_a_secret_is_never_shown_again(
    platform: Platform, partner: Partner, owner_url: str
) -> None:
    headers = {"Idempotency-Key": f"issue-{uuid4()}"}
    body = {"name": "once", "scopes": ["projects:read"]}
    first = await partner.http.post("/api-keys", json=body, headers=headers)
    again = await partner.http.post("/api-keys", json=body, headers=headers)
    secret = first.json()["secret"]
    assert first.status_code == again.status_code == 201
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == {**first.json(), "secret": None}
    shown = await partner.http.get(f"/api-keys/{first.json()['id']}")
    listed = await partner.http.get("/api-keys")
    assert secret not in again.text + shown.text + listed.text
    keys = await partner.get("/api-keys", params={"search": "once"})
    assert [item["id"] for item in keys["items"]] == [first.json()["id"]]
    rotated = await partner.http.post(
        f"/api-keys/{first.json()['id']}/rotate", headers={"Idempotency-Key": f"rotate-{uuid4()}"}
    )
    assert rotated.json()["secret"] not in (None, secret)
    connection = await asyncpg.connect(_superuser(platform), database="bharatbuild", timeout=10)
    try:
        for table in ("api_keys", "idempotency_keys"):
            rows = await connection.fetch(f"SELECT t::text AS row FROM {table} AS t")
            for text in (secret, rotated.json()["secret"]):
                assert rows
                assert not any(text in row["row"] for row in rows)
                assert not any(text.encode().hex() in row["row"] for row in rows)
    finally:
        await connection.close()


def _superuser(platform: Platform) -> str:
    from entrypoints.local_stack.postgres import PostgresServer

    server = next(each for each in platform.stack.servers if isinstance(each, PostgresServer))
    return server.superuser_dsn


async def test_a_member_issues_no_key(person: Person) -> None:
    body = {"name": "mine", "scopes": ["projects:read"]}
    assert (await person.post("/api-keys", status=403, json=body))["code"] == "permission_denied"
    assert (await person.get("/api-keys"))["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "n" * 81}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["runs:operate"]}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"allowed_ips": ["10.0.0.1/8"]}, "allowed_ips"),
        ({"allowed_ips": ["home"]}, "allowed_ips"),
        ({"credit_cap": -1}, "credit_cap"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59.999999Z"}, "expires_at"),
        ({"allowed_ips": ["fe80::1%eth0"]}, "allowed_ips"),
        ({"limits": [{"quota": 0, "window_seconds": 60}]}, "limits"),
        ({"limits": [{"quota": 1, "window_seconds": 0}]}, "limits"),
        ({"limits": [{"quota": 1, "window_seconds": 60}] * 2}, "limits"),
        ({"modes": ["nonsense"]}, "modes"),
        ({"environment": "staging"}, "environment"),
        ({"key": "bb_live_mine"}, "key"),
    ],
)
async def test_what_does_not_fit_a_key_is_named(
    partner: Partner, body: dict[str, Any], field: str
) -> None:
    answer = await partner.http.post("/api-keys", json={"name": "k", "scopes": SCOPES, **body})
    assert answer.status_code == 422, answer.text
    assert [entry["field"].split("[")[0] for entry in answer.json()["errors"]] == [field]
    assert answer.json()["errors"][0]["message"]


async def test_a_key_does_no_more_than_its_scopes(platform: Platform, partner: Partner) -> None:
    key = (await partner.issue(scopes=["projects:read"]))["secret"]
    assert (await calling(platform, key, "GET", "/projects")).status_code == 200
    for method, path in (
        ("POST", "/projects"),
        ("GET", "/auth/me"),
        ("GET", "/api-keys"),
        ("POST", "/api-keys"),
    ):
        answer = await calling(platform, key, method, path, json={"idea": IDEA})
        assert code(answer) == (403, "insufficient_scope"), (method, path)
        assert answer.json()["permission"] in answer.json()["detail"]


async def test_a_key_manages_keys_only_within_its_own_bounds(
    platform: Platform, partner: Partner
) -> None:
    narrow = ["keys:manage", "keys:issue", "projects:read"]
    manager = (await partner.issue(scopes=narrow))["secret"]
    wide = await partner.issue()
    assert (await calling(platform, manager, "GET", "/api-keys")).status_code == 200
    child = await calling(
        platform, manager, "POST", "/api-keys", json={"name": "c", "scopes": ["projects:read"]}
    )
    assert child.status_code == 201
    beyond = await calling(
        platform, manager, "POST", "/api-keys", json={"name": "c", "scopes": SCOPES}
    )
    assert (code(beyond), beyond.json()["errors"][0]["field"]) == ((422, "invalid_value"), "scopes")
    for method, path in (
        ("POST", f"/api-keys/{wide['id']}/rotate"),
        ("PATCH", f"/api-keys/{wide['id']}"),
        ("DELETE", f"/api-keys/{wide['id']}"),
    ):
        answer = await calling(platform, manager, method, path, json={})
        assert code(answer) == (403, "insufficient_scope"), (method, path)
    tester = (await partner.issue(scopes=narrow, environment="test"))["secret"]
    live = await calling(
        platform, tester, "POST", "/api-keys", json={"name": "c", "scopes": ["projects:read"]}
    )
    assert code(live) == (403, "insufficient_scope")


async def test_a_key_that_manages_keys_does_not_loosen_itself(
    platform: Platform, partner: Partner
) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for bound, loosened in (
        ({"allowed_ips": ["127.0.0.0/8"]}, {"allowed_ips": []}),
        ({"credit_cap": 5}, {"credit_cap": None}),
        ({"expires_at": soon}, {"expires_at": None}),
        ({"limits": [{"quota": 1000, "window_seconds": 60}]}, {"limits": []}),
    ):
        key = await partner.issue(scopes=["keys:manage", "keys:issue"], **bound)
        own = f"/api-keys/{key['id']}"
        loose = await calling(platform, key["secret"], "PATCH", own, json=loosened)
        assert code(loose) == (403, "insufficient_scope"), bound
        child = {"name": "c", "scopes": ["keys:manage"]}
        other = await calling(platform, key["secret"], "POST", "/api-keys", json=child)
        assert code(other) == (403, "insufficient_scope"), bound
        named = await calling(platform, key["secret"], "PATCH", own, json={"name": "still me"})
        assert (named.status_code, named.json()["name"]) == (200, "still me")


async def test_a_role_that_falls_takes_its_keys_down(platform: Platform, owner_url: str) -> None:
    async with partner_of(platform.url, owner_url) as fallen:
        issued = await fallen.issue(scopes=["keys:issue", "keys:manage"])
        # Another key: this one is not remembered by the process from before.
        other = await fallen.issue(scopes=["keys:issue", "keys:manage"])
        body = {"name": "c", "scopes": ["keys:manage"]}
        made = await calling(platform, issued["secret"], "POST", "/api-keys", json=body)
        assert made.status_code == 201, made.text
        await fallen.become(Role.MEMBER, owner_url)
        refused = await calling(platform, other["secret"], "POST", "/api-keys", json=body)
        assert code(refused) == (403, "insufficient_scope")
        shown = await fallen.get(f"/api-keys/{other['id']}")
        assert shown["scopes"] == ["keys:issue", "keys:manage"]
        assert shown["effective_scopes"] == ["keys:manage"]


async def test_what_opens_nothing_is_refused_alike_where_it_would_tell(
    platform: Platform, partner: Partner
) -> None:
    revoked = await partner.issue()
    await partner.http.delete(f"/api-keys/{revoked['id']}")
    elsewhere = await partner.issue(allowed_ips=["203.0.113.0/24", "2001:db8::/32"])
    unknown = parse(revoked["secret"])
    from adapters.security import PepperedKeySecrets, Peppers, generate_pepper

    stranger = PepperedKeySecrets(Peppers.parse(generate_pepper())).mint(unknown.environment)
    answers = [
        await calling(platform, key, "GET", "/projects")
        for key in (revoked["secret"], elsewhere["secret"], stranger.text)
    ]
    assert {code(answer) for answer in answers} == {(401, "invalid_api_key")}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    malformed = await calling(platform, revoked["secret"][:-1], "GET", "/projects")
    assert code(malformed) == (401, "malformed_api_key")


async def test_addresses_modes_and_an_expiry_bound_a_key(
    platform: Platform, partner: Partner
) -> None:
    here = await partner.issue(allowed_ips=["127.0.0.0/8"])
    assert (await calling(platform, here["secret"], "GET", "/projects")).status_code == 200
    student = await partner.issue(modes=["student"])
    made = await calling(platform, student["secret"], "POST", "/projects", json={"idea": IDEA})
    assert (code(made), made.json()["mode"]) == ((403, "mode_not_allowed"), "developer")
    project = await partner.project()
    run = await calling(platform, student["secret"], "POST", f"/projects/{project['id']}/execute")
    assert code(run) == (403, "mode_not_allowed")
    soon = datetime.now(UTC) + timedelta(seconds=4)
    brief = await partner.issue(expires_at=soon.isoformat())
    async with program(platform.url, brief["secret"]) as client:
        assert (await client.get("/projects")).status_code == 200
        while datetime.now(UTC) < soon:
            last = await client.get("/projects")
        last = await client.get("/projects")
    assert code(last) == (401, "api_key_expired")
    assert (await partner.get(f"/api-keys/{brief['id']}"))["status"] == "expired"


async def test_a_rotation_overlaps_and_then_ends(platform: Platform, partner: Partner) -> None:
    issued = await partner.issue()
    path = f"/api-keys/{issued['id']}/rotate"
    rotated = await partner.post(path, status=200, json={"overlap_seconds": 5})
    until = datetime.fromisoformat(rotated["previous_until"])
    async with (
        program(platform.url, issued["secret"]) as old,
        program(platform.url, rotated["secret"]) as new,
    ):
        assert (await old.get("/projects")).status_code == 200
        assert (await new.get("/projects")).status_code == 200
        refused = await partner.post(path, status=409, json={"overlap_seconds": 60})
        assert refused["code"] == "key_rotating"
        while datetime.now(UTC) < until:
            await asyncio.sleep(0.1)
            await old.get("/projects")
        assert code(await old.get("/projects")) == (401, "api_key_expired")
        assert (await new.get("/projects")).status_code == 200
        newest = await partner.post(path, status=200, json={"overlap_seconds": 0})
        assert code(await new.get("/projects")) == (401, "invalid_api_key")
    assert (await calling(platform, newest["secret"], "GET", "/projects")).status_code == 200


async def test_editing_changes_what_is_given_and_keeps_the_rest(
    platform: Platform, partner: Partner
) -> None:
    issued = await partner.issue(credit_cap=10, name="before")
    path = f"/api-keys/{issued['id']}"
    async with program(platform.url, issued["secret"]) as client:
        assert (await client.get("/projects")).status_code == 200
        edited = (await partner.http.patch(path, json={"scopes": ["account:read"]})).json()
        assert (edited["name"], edited["credit_cap"]) == ("before", 10)
        assert code(await client.get("/projects")) == (403, "insufficient_scope")
    uncapped = (await partner.http.patch(path, json={"credit_cap": None})).json()
    assert (uncapped["credit_cap"], uncapped["scopes"]) == (None, ["account:read"])
    await partner.http.delete(path)
    gone = await partner.http.patch(path, json={"name": "after"})
    assert code(gone) == (409, "key_revoked")
    assert (await partner.http.delete(path)).json()["status"] == "revoked"


async def test_keys_are_listed_by_status_and_environment(
    platform: Platform, owner_url: str, partner: Partner
) -> None:
    async with partner_of(platform.url, owner_url) as fresh:
        live, test, ended = [
            await fresh.issue(name=name, environment=environment)
            for name, environment in (("a", "live"), ("b", "test"), ("c", "live"))
        ]
        await fresh.http.delete(f"/api-keys/{ended['id']}")

        async def ids(**params: Any) -> list[str]:
            page = await fresh.get("/api-keys", params=params)
            return [item["id"] for item in page["items"]]

        assert await ids() == [ended["id"], test["id"], live["id"]]
        assert await ids(status="active") == [test["id"], live["id"]]
        assert await ids(status="revoked") == [ended["id"]]
        assert await ids(status="expired") == []
        assert await ids(environment="test") == [test["id"]]
        page = await fresh.get("/api-keys", params={"limit": 2})
        rest = await fresh.get("/api-keys", params={"cursor": page["next_cursor"]})
        assert [item["id"] for item in rest["items"]] == [live["id"]]
        assert (await partner.get(f"/api-keys/{live['id']}", status=404))["code"] == "not_found"


async def test_using_a_key_is_noted(platform: Platform, partner: Partner) -> None:
    issued = await partner.issue()
    assert issued["last_used_at"] is None
    before = datetime.now(UTC)
    await calling(platform, issued["secret"], "GET", "/projects")
    used = (await partner.get(f"/api-keys/{issued['id']}"))["last_used_at"]
    assert abs(datetime.fromisoformat(used) - before) < timedelta(seconds=60)


async def test_a_test_keys_run_is_made_by_rules_and_costs_nothing(
    platform: Platform, partner: Partner
) -> None:
    issued = await partner.issue(environment="test")
    assert issued["secret"].startswith("bb_test_")
    before = await partner.get("/auth/me")
    async with program(platform.url, issued["secret"]) as client:
        project = (await client.post("/projects", json={"idea": IDEA})).json()["id"]
        run = (await client.post(f"/projects/{project}/execute")).json()
    detail = await partner.finished(run["id"])
    assert detail["run"]["test"]
    assert (detail["run"]["status"], detail["offline"], detail["credits"]) == ("succeeded", True, 0)
    after = await partner.get("/auth/me")
    assert after["credits_available"] == before["credits_available"]


async def test_usage_says_which_key_asked_for_it_to_who_owns_the_key(
    platform: Platform, owner_url: str, stranger: Person
) -> None:
    async with partner_of(platform.url, owner_url) as partner:
        keys = [
            await partner.issue(name="live one", environment="live"),
            await partner.issue(name="tester", environment="test"),
        ]
        runs = []
        for key in keys:
            async with program(platform.url, key["secret"]) as client:
                made = (await client.post("/projects", json={"idea": IDEA})).json()
                run = await client.post(f"/projects/{made['id']}/execute", json={"reuse": False})
                runs.append(await partner.finished(run.json()["id"]))
        await partner.executed()
        by_key = (await partner.get("/usage", params={"group_by": "key"}))["items"]
        assert [(each["key"], each["title"], each["runs"], each["steps"]) for each in by_key] == [
            ("", "", 1, 5),
            *sorted((key["id"], key["name"], 1, 5) for key in keys),
        ]
        seen, cursor = [], ""
        while cursor is not None:
            page = await partner.get(
                "/usage", params={"group_by": "key", "limit": 1, "cursor": cursor}
            )
            seen += page["items"]
            cursor = page["next_cursor"]
        assert seen == by_key
        export = await partner.http.get("/usage/export")
        lines = list(csv.DictReader(io.StringIO(export.text)))
        asked_with = {line["run_id"]: line["api_key_id"] for line in lines}
        for key, run in zip(keys, runs, strict=True):
            assert asked_with[run["run"]["id"]] == key["id"]
    nothing = await stranger.get("/usage", params={"group_by": "key"})
    assert keys[0]["id"] not in str(nothing)


async def test_a_test_key_is_given_no_scope_that_moves_money(partner: Partner) -> None:
    body = {"name": "buyer", "scopes": ["projects:read", "billing:buy"]}
    refused = await partner.post("/api-keys", status=422, json={**body, "environment": "test"})
    assert refused["errors"][0]["field"] == "scopes"
    live = await partner.post("/api-keys", json={**body, "environment": "live"})
    assert live["effective_scopes"] == sorted(body["scopes"])
    beyond = {"name": "operator", "scopes": ["billing:operate"]}
    refused = await partner.post("/api-keys", status=422, json=beyond)
    assert refused["errors"][0]["field"] == "scopes"


async def test_a_key_reads_and_buys_credits_as_it_is_scoped(
    platform: Platform, partner: Partner
) -> None:
    reader = await partner.issue(scopes=["billing:read"])
    async with program(platform.url, reader["secret"]) as client:
        for path in ("/billing/balance", "/billing/ledger", "/billing/packs", "/billing/orders"):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["RateLimit-Policy"].startswith('"key-minute"')
        refused = await client.post("/billing/orders", json={"pack": "starter"})
        assert code(refused) == (403, "insufficient_scope")
        assert code(await client.get("/usage")) == (403, "insufficient_scope")


async def test_a_capped_key_that_is_used_up_starts_no_run(
    platform: Platform, partner: Partner
) -> None:
    project = await partner.project()
    capped = await partner.issue(credit_cap=0)
    run = await calling(platform, capped["secret"], "POST", f"/projects/{project['id']}/execute")
    assert code(run) == (402, "key_cap_reached")
    tester = await partner.issue(credit_cap=0, environment="test")
    run = await calling(platform, tester["secret"], "POST", f"/projects/{project['id']}/execute")
    assert run.status_code == 202
    await partner.finished(run.json()["id"])


async def test_one_idempotency_key_is_not_shared_by_test_and_live(
    platform: Platform, partner: Partner
) -> None:
    headers = {"Idempotency-Key": f"both-{uuid4()}"}
    answers = []
    for environment in ("test", "live"):
        key = (await partner.issue(environment=environment))["secret"]
        answers.append(
            await calling(platform, key, "POST", "/projects", json={"idea": IDEA}, headers=headers)
        )
    assert [answer.status_code for answer in answers] == [201, 422]
    assert answers[1].json()["code"] == "idempotency_mismatch"


async def test_a_key_and_a_token_together_are_refused(partner: Partner) -> None:
    issued = await partner.issue()
    answer = await partner.http.get("/projects", headers={"X-API-Key": issued["secret"]})
    assert code(answer) == (401, "not_authenticated")
