"""Bad input gets a clear answer that names the field and the remedy."""

import httpx
import pytest

from entrypoints.cli.platform import Platform
from tests.integration.platform.person import PASSWORD, Person

NO_ID = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"idea": "short"}, "idea"),
        ({"idea": "x" * 20_001}, "idea"),
        ({"idea": 7}, "idea"),
        ({}, "idea"),
        ({"idea": "A long enough idea.", "mode": "nonsense"}, "mode"),
        ({"idea": "A long enough idea.", "mode": "founder"}, "mode"),
        ({"idea": "A long enough idea.", "colour": "red"}, "colour"),
        ({"idea": "A long enough idea.", "title": "t" * 201}, "title"),
    ],
)
async def test_a_field_that_does_not_fit_is_named(
    person: Person, body: dict[str, object], field: str
) -> None:
    answer = await person.http.post("/projects", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert [entry["field"] for entry in problem["errors"]] == [field]
    assert problem["errors"][0]["message"]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "not-an-email", "password": PASSWORD, "name": "A"}, "email"),
        ({"email": "a@example.com", "password": "short", "name": "A"}, "password"),
        ({"email": "a@example.com", "password": PASSWORD, "name": " \t"}, "name"),
        ({"email": "a@example.com", "password": PASSWORD, "name": "A", "role": "admin"}, "role"),
    ],
)
async def test_registering_names_what_does_not_fit(
    client: httpx.AsyncClient, body: dict[str, str], field: str
) -> None:
    answer = await client.post("/auth/register", json=body)
    assert answer.status_code == 422, answer.text
    assert [entry["field"] for entry in answer.json()["errors"]] == [field]


async def test_registering_says_nothing_of_whether_there_is_an_account(person: Person) -> None:
    answers = [
        await person.http.post(
            "/auth/register", json={"email": email, "password": PASSWORD, "name": "A"}
        )
        for email in (person.email.upper(), f"new-{person.email}")
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    # And nothing of the account has changed.
    assert (await person.get("/auth/me"))["user"]["name"] == "A Person"


async def test_a_wrong_password_and_an_unknown_email_look_the_same(person: Person) -> None:
    answers = [
        (await person.http.post("/auth/login", json={"email": email, "password": "x" * 20}))
        for email in (person.email, "nobody@example.com", "no email at all")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({(answer.json()["code"], answer.json()["detail"]) for answer in answers}) == 1


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer a.b.c"])
async def test_without_a_valid_token_there_is_no_answer_but_401(
    client: httpx.AsyncClient, token: str
) -> None:
    answer = await client.get("/projects", headers={"Authorization": token} if token else {})
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_authenticated"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_body_that_is_not_json_is_a_400(person: Person) -> None:
    for content in (b"{", b"\xff\xfe", b'{"idea": }'):
        answer = await person.http.post(
            "/projects", content=content, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json"), content


async def test_a_body_over_the_limit_is_a_413(person: Person, client: httpx.AsyncClient) -> None:
    # Not on the person's connection: the server does not read such a body to its end, and says that
    # it closes.
    answer = await client.post(
        "/projects",
        json={"idea": "x" * 300_000},
        headers={"Authorization": person.http.headers["Authorization"]},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/projects/nonsense", "/runs/7", "/documents/--"])
async def test_an_id_that_is_none_is_named(person: Person, path: str) -> None:
    answer = await person.http.get(path)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].endswith("_id")


async def test_an_unknown_id_and_an_unknown_path_are_not_found(person: Person) -> None:
    for path in (f"/projects/{NO_ID}", f"/runs/{NO_ID}", f"/documents/{NO_ID}", "/nonsense"):
        assert (await person.get(path, status=404))["code"] == "not_found"


async def test_a_wrong_method_says_which_are_right(person: Person) -> None:
    answer = await person.http.put("/projects", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "!!!"}, "cursor"),
        ({"cursor": "abc"}, "cursor"),
        ({"status": "sleeping"}, "status"),
    ],
)
async def test_a_listings_parameters_are_checked(
    person: Person, params: dict[str, str], field: str
) -> None:
    answer = await person.http.get("/projects", params=params)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


async def test_pages_follow_one_another_without_gap_or_repeat(newcomer: Person) -> None:
    made = [(await newcomer.project(title=f"Number {n}"))["id"] for n in range(7)]
    seen, cursor = [], ""
    while True:
        page = await newcomer.get("/projects", params={"limit": 3, "cursor": cursor})
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_projects_are_found_by_status_and_words(newcomer: Person) -> None:
    wanted = await newcomer.project(title="Blood Bank 100% sure")
    await newcomer.project(title="Something else")
    found = await newcomer.get("/projects", params={"search": "bank 100%", "status": "draft"})
    assert [item["id"] for item in found["items"]] == [wanted["id"]]
    assert not (await newcomer.get("/projects", params={"status": "completed"}))["items"]


async def test_editing_changes_what_is_given_and_keeps_the_rest(person: Person) -> None:
    project = await person.project(title="Before")
    answer = await person.http.patch(f"/projects/{project['id']}", json={"title": "After"})
    assert answer.status_code == 200
    assert (answer.json()["title"], answer.json()["idea"]) == ("After", project["idea"])


async def test_there_is_no_archive_before_anything_was_made(person: Person) -> None:
    project = await person.project()
    problem = await person.get(f"/projects/{project['id']}/archive", status=409)
    assert problem["code"] == "nothing_to_archive"


async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/projects", "/nonsense", "/schema/openapi.json"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"]


async def test_only_an_allowed_origin_gets_cors_headers(client: httpx.AsyncClient) -> None:
    for origin, allowed in (("https://app.example.com", True), ("https://evil.example", False)):
        answer = await client.options(
            "/projects", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
        )
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


async def test_health_names_every_dependency_and_no_secret(
    platform: Platform, client: httpx.AsyncClient
) -> None:
    answer = await client.get(f"{platform.url}/health/ready")
    checks = answer.json()["checks"]
    assert set(checks) == {"database", "redis", "object_store", "queue", "model_provider"}
    assert all(check["ok"] and check["latency_ms"] >= 0 for check in checks.values())
    assert "://" not in answer.text
    assert (await client.get(f"{platform.url}/health/live")).json()["status"] == "ok"


async def test_metrics_count_requests_by_route_not_by_id(
    platform: Platform, person: Person
) -> None:
    project = await person.project()
    await person.get(f"/projects/{project['id']}")
    text = (await person.http.get(f"{platform.url}/metrics")).text
    assert "bharatbuild_requests_total" in text
    assert project["id"] not in text
