"""Signing in over HTTP with a real OpenID provider."""

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import httpx
import pytest

from tests.integration.platform.person import PASSWORD
from tests.integration.sign_in.browser import Browser, said
from tests.integration.sign_in.conftest import Place


@pytest.fixture
async def browser(place: Place) -> AsyncIterator[Browser]:
    async with Browser(place) as opened:
        yield opened


def cookies_of(answer: httpx.Response) -> SimpleCookie:
    found: SimpleCookie = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        found.load(header)
    return found


async def test_a_newcomer_is_signed_in_as_with_a_password(browser: Browser) -> None:
    assert (await browser.get("/auth/providers"))["items"] == ["google"]
    departure = await browser.depart("/projects?tab=1")
    bound = cookies_of(departure)["bb_sign_in"]
    assert (bound["samesite"], bound["httponly"], bound["path"]) == ("lax", True, "/api/v1/auth")
    there = departure.headers["location"]
    assert there.startswith(browser.place.there.issuer)
    assert said(there)["code_challenge_method"] == ["S256"]
    answer = await browser.http.get(await browser.comes_back(there))
    assert answer.status_code == 302
    assert answer.headers["location"] == "/projects?tab=1&sign_in=done"
    given = cookies_of(answer)
    assert (given["bb_refresh"]["samesite"], given["bb_refresh"]["httponly"]) == ("strict", True)
    assert given["bb_sign_in"].value == ""
    assert given["bb_refresh"].value not in str(answer.headers["location"])
    await browser.refreshed()
    assert (await browser.get("/auth/me"))["user"]["email"] == browser.email
    (session,) = (await browser.get("/auth/sessions"))["items"]
    assert session["methods"] == ["google"]
    assert await browser.with_provider("/") == "/?sign_in=done"


async def test_another_browser_cannot_arrive(place: Place, browser: Browser) -> None:
    departure = await browser.depart("https://app.example.com/x")
    back = await browser.comes_back(departure.headers["location"])
    async with Browser(place) as stranger:
        # Also one that began a sign-in of its own.
        await stranger.depart("/")
        assert await stranger.arrive(back) == "https://app.example.com/?sign_in_error=state"
        assert "bb_refresh" not in stranger.http.cookies
    assert await browser.arrive(back) == "https://app.example.com/?sign_in_error=state"


async def test_of_many_arrivals_at_once_one_signs_in(browser: Browser) -> None:
    departure = await browser.depart("/")
    back = await browser.comes_back(departure.headers["location"])
    ends = await asyncio.gather(*(browser.arrive(back) for _ in range(10)))
    assert sorted(set(ends)) == ["/?sign_in=done", "https://app.example.com/?sign_in_error=state"]
    assert ends.count("/?sign_in=done") == 1


async def test_who_says_no_there_is_told_so(browser: Browser) -> None:
    departure = await browser.depart("/x")
    back = await browser.comes_back(departure.headers["location"], deny=True)
    assert await browser.arrive(back) == "/x?sign_in_error=denied"


async def test_a_code_that_was_changed_is_rejected(browser: Browser) -> None:
    departure = await browser.depart("/x")
    back = await browser.comes_back(departure.headers["location"])
    code = said(back)["code"][0]
    assert await browser.arrive(back.replace(code, "A" * len(code))) == "/x?sign_in_error=rejected"


async def test_an_unverified_address_opens_nothing(browser: Browser) -> None:
    end = await browser.with_provider("/x", name=f"unverified-{browser.name}")
    assert end == "/x?sign_in_error=email_unverified"


@pytest.mark.parametrize(
    "return_to",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "javascript:alert(1)",
        "/x\r\nLocation: https://evil.example",
    ],
)
async def test_nobody_is_sent_anywhere_else(browser: Browser, return_to: str) -> None:
    answer = await browser.http.get("/auth/google/start", params={"return_to": return_to})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")
    assert not answer.headers.get_list("set-cookie")


async def test_a_provider_that_there_is_not(browser: Browser) -> None:
    for path in ("/auth/nowhere/start", "/auth/nowhere/callback?state=x"):
        assert (await browser.get(path, 404))["code"] == "not_found"


async def test_an_account_is_linked_only_by_who_has_its_password(
    place: Place, browser: Browser
) -> None:
    await browser.registered()
    async with Browser(place) as other:
        end = await other.with_provider("/x", name=browser.name)
        assert end == "/x?sign_in=link_required"
        assert "bb_refresh" not in other.http.cookies
        refused = await other.post("/auth/link", 403, password="wrong wrong wrong")
        assert refused["code"] == "reauthentication_failed"
        from_elsewhere = await other.http.post(
            "/auth/link", json={"password": PASSWORD}, headers={"Origin": "https://evil.example"}
        )
        assert from_elsewhere.json()["code"] == "origin_refused"
        waiting = other.http.cookies["bb_link"]
        linked = await other.post("/auth/link", password=PASSWORD)
        assert linked["user"]["email"] == browser.email
        assert "bb_link" not in other.http.cookies
        other.http.cookies.set("bb_link", waiting, path="/api/v1/auth")
        assert (await other.post("/auth/link", 401, password=PASSWORD))["code"] == "challenge_over"
        other.http.cookies.delete("bb_link")
        assert await other.with_provider("/x", name=browser.name) == "/x?sign_in=done"
    (identity,) = (await browser.get("/auth/identities"))["items"]
    assert (identity["provider"], identity["email"]) == ("google", browser.email)


async def test_one_links_another_address_from_inside_and_unlinks_it(browser: Browser) -> None:
    await browser.registered()
    elsewhere = f"other-{browser.name}"
    refused = await browser.post("/auth/identities/google/link", 403)
    assert (refused["code"], refused["needs"]) == ("reauthentication_failed", ["password"])
    departure = await browser.post(
        "/auth/identities/google/link", return_to="/account", password=PASSWORD
    )
    back = await browser.comes_back(departure["url"], name=elsewhere)
    assert await browser.arrive(back) == "/account?sign_in=linked"
    assert await browser.with_provider("/", name=elsewhere) == "/?sign_in=done"
    await browser.post("/auth/identities/google/unlink", 204, password=PASSWORD)
    assert (await browser.get("/auth/identities"))["items"] == []


async def test_the_last_way_in_stays(browser: Browser) -> None:
    await browser.with_provider("/")
    await browser.refreshed()
    refused = await browser.post("/auth/identities/google/unlink", 409)
    assert refused["code"] == "last_way_in"


async def test_the_second_factor_is_asked_for_here_too(browser: Browser) -> None:
    await browser.registered()
    _, recovery = await browser.protected()
    end = await browser.with_provider("/x")
    assert end == "/x?sign_in=link_required"
    await browser.post("/auth/link", password=PASSWORD, code=recovery[0])
    browser.http.cookies.clear()
    del browser.http.headers["Authorization"]
    assert await browser.with_provider("/x") == "/x?sign_in=second_factor"
    assert "bb_refresh" not in browser.http.cookies
    assert (await browser.http.post("/auth/refresh")).json()["code"] == "refresh_refused"
    del browser.http.headers["Origin"]
    refused = await browser.post("/auth/login/second-factor", 403, code=recovery[1])
    assert refused["code"] == "origin_refused"
    browser.http.headers["Origin"] = browser.place.url
    opened = await browser.post("/auth/login/second-factor", code=recovery[1])
    browser.with_token(opened)
    sessions = (await browser.get("/auth/sessions"))["items"]
    assert sessions[0]["methods"] == ["google", "recovery_code"]
    assert "bb_challenge" not in browser.http.cookies
