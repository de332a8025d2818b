"""What every answer tells a browser, and whom the server takes a caller for, over the wire."""

from collections.abc import AsyncIterator

import httpx
import pytest

from adapters.postgres.unit_of_work import PostgresUnitOfWork
from entrypoints.http.request_context import SECURITY_HEADERS
from entrypoints.local_stack import StackAddresses
from tests.described import document
from tests.integration.limits.clients import kept_document
from tests.integration.platform.person import PASSWORD, Person

PAGES = {
    "/api/v1/docs": "text/html",
    "/api/v1/docs/page.css": "text/css",
    "/api/v1/docs/start.js": "text/javascript",
    "/api/v1/docs/swagger-ui-bundle.js": "text/javascript",
    "/api/v1/docs/swagger-ui.css": "text/css",
    "/metrics": "text/plain",
}
"""What is not JSON and shown in place: ours, and nothing that a person wrote."""

SHARED = ("/.well-known/jwks.json", "/api/v1/docs/")
"""What anybody may keep, since it is the same for everybody."""

ACTIVE = ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript"]
"""What a browser would run if it showed it."""


@pytest.fixture
async def stranger(served: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has not signed in."""
    async with httpx.AsyncClient(base_url=served, timeout=30, trust_env=False) as http:
        yield http


def held_to(answer: httpx.Response, path: str) -> list[str]:
    """What is wrong with an answer, as a browser sees it."""
    wrong = []
    headers = answer.headers
    for name, value in SECURITY_HEADERS.items():
        its_own = name == "Cache-Control" or (name == "Content-Security-Policy" and path in PAGES)
        if not its_own and headers.get(name) != value:
            wrong.append(f"{path}: {name} is {headers.get(name)}")
    if "no-store" not in headers.get("Cache-Control", "") and not path.startswith(SHARED):
        wrong.append(f"{path}: it may be kept: {headers.get('Cache-Control')}")
    if headers.get("Strict-Transport-Security") != "max-age=31536000; includeSubDomains":
        wrong.append(f"{path}: no HSTS")
    policy = headers.get("Content-Security-Policy", "")
    if "default-src 'none'" not in policy or "frame-ancestors 'none'" not in policy:
        wrong.append(f"{path}: its policy is {policy}")
    if "unsafe" in policy or "*" in policy:
        wrong.append(f"{path}: its policy lets in too much: {policy}")
    media_type = headers.get("Content-Type", "").partition(";")[0]
    saved = headers.get("Content-Disposition", "").startswith("attachment")
    json = media_type.endswith("json") and "ndjson" not in media_type
    if answer.content and not saved and not json and PAGES.get(path) != media_type:
        wrong.append(f"{path}: {media_type} is shown in place")
    return wrong


async def test_every_answer_is_one_that_a_browser_makes_no_more_of(
    person: Person, stranger: httpx.AsyncClient
) -> None:
    """Every route that can be asked for without knowing anything, and what is refused."""
    token = {"Authorization": person.http.headers["Authorization"]}
    asked = [path for path, item in document()["paths"].items() if "get" in item]
    wrong, statuses = [], set()
    for path in [path for path in asked if "{" not in path] + [*PAGES, "/nowhere"]:
        for headers in ({}, token):
            answer = await stranger.get(path, headers=headers)
            statuses.add(answer.status_code)
            wrong += held_to(answer, path)
    for answer in (
        await stranger.post("/api/v1/projects", content=b"{", headers=token),
        await stranger.put("/api/v1/projects", headers=token),
        await stranger.options(
            "/api/v1/projects",
            headers={
                "Origin": "https://app.example.com",
                "Access-Control-Request-Method": "POST",
            },
        ),
    ):
        statuses.add(answer.status_code)
        wrong += held_to(answer, answer.request.url.path)
    assert not wrong, "\n".join(wrong)
    assert statuses >= {200, 401, 403, 404, 405}


@pytest.mark.parametrize("media_type", ACTIVE)
async def test_what_a_browser_would_run_is_saved_and_never_shown(
    person: Person, stack: StackAddresses, postgres_uow: PostgresUnitOfWork, media_type: str
) -> None:
    content = b"<script>alert(document.cookie)</script>"
    kept = await kept_document(
        person,
        stack,
        postgres_uow,
        content,
        media_type=media_type,
        filename='report.html"; filename=x.html\r\nX-Ours: yes',
    )
    answer = await person.http.get(f"/documents/{kept.id}/download")
    assert answer.status_code == 200, answer.text
    assert answer.content == content
    assert "X-Ours" not in answer.headers
    assert answer.headers.get_list("Content-Disposition")[0].startswith("attachment; filename=")
    assert not held_to(answer, "a download")


async def test_a_proxy_that_is_trusted_says_who_calls(person: Person) -> None:
    """As the last one wrote it: what stands before that, the caller may have written."""
    body = {"email": person.email, "password": PASSWORD}
    headers = {"X-Forwarded-For": "203.0.113.7, 198.51.100.23"}
    opened = await person.post("/auth/login", status=200, json=body, headers=headers)
    token = {"Authorization": f"Bearer {opened['access_token']}"}
    found = await person.get("/auth/sessions", headers=token)
    (here,) = [each for each in found["items"] if each["current"]]
    assert here["address"] == "198.51.100.23"
