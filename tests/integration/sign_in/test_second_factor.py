"""The second factor over HTTP, and what is sent many times at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest

from adapters.postgres.oversight import grant_role
from domain.audit.origin import Origin
from domain.identity.second_factor import STEP_SECONDS
from domain.identity.user import Role
from tests.integration.platform.person import PASSWORD
from tests.integration.sign_in.browser import Browser
from tests.integration.sign_in.conftest import Place

AT_ONCE = 8
"""Each begins with a password, whose hash is slow on purpose."""


@pytest.fixture
async def browser(place: Place) -> AsyncIterator[Browser]:
    async with Browser(place) as opened:
        yield await opened.registered()


async def challenge(browser: Browser) -> str:
    """Of a sign-in with the password."""
    waiting = await browser.post("/auth/login", 202, **browser.credentials)
    assert set(waiting) == {"challenge", "expires_at"}
    return str(waiting["challenge"])


async def met(browser: Browser, token: str, code: str) -> httpx.Response:
    return await browser.http.post(
        "/auth/login/second-factor", json={"challenge": token, "code": code, "refresh_in": "body"}
    )


def later(app: pyotp.TOTP) -> str:
    """A code that is good now and was not used yet: the next one."""
    return app.at(time.time() + STEP_SECONDS)


async def test_there_is_no_access_before_it(browser: Browser) -> None:
    app, recovery = await browser.protected()
    assert len(set(recovery)) == 10
    answer = await browser.http.post("/auth/login", json=browser.credentials)
    assert answer.status_code == 202
    assert not answer.headers.get_list("set-cookie")
    token = answer.json()["challenge"]
    for header in ({"Authorization": f"Bearer {token}"}, {"X-API-Key": token}):
        outside = httpx.AsyncClient(base_url=browser.http.base_url, trust_env=False)
        async with outside as client:
            assert (await client.get("/auth/me", headers=header)).status_code == 401
    opened = await met(browser, token, later(app))
    assert opened.status_code == 200, opened.text
    browser.with_token(opened.json())
    state = await browser.get("/auth/second-factor")
    assert state == {"enabled": True, "required": False, "recovery_codes_left": 10}
    assert (await browser.get("/auth/me"))["user"]["email"] == browser.email


async def test_one_code_sent_many_times_at_once_opens_one_session(browser: Browser) -> None:
    app, _ = await browser.protected()
    tokens = [await challenge(browser) for _ in range(AT_ONCE)]
    code = later(app)
    answers = await asyncio.gather(*(met(browser, token, code) for token in tokens))
    assert [answer.status_code for answer in answers].count(200) == 1
    refused = {answer.json()["code"] for answer in answers if answer.status_code != 200}
    assert refused <= {"wrong_code", "rate_limited"}


async def test_one_recovery_code_sent_many_times_at_once_opens_one_session(
    browser: Browser,
) -> None:
    _, recovery = await browser.protected()
    tokens = [await challenge(browser) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*(met(browser, token, recovery[0]) for token in tokens))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert (await browser.get("/auth/second-factor"))["recovery_codes_left"] == 9


async def test_one_challenge_met_many_times_at_once_opens_one_session(browser: Browser) -> None:
    _, recovery = await browser.protected()
    token = await challenge(browser)
    answers = await asyncio.gather(*(met(browser, token, code) for code in recovery))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 429}
    # What came too late for the challenge was not used up.
    assert (await browser.get("/auth/second-factor"))["recovery_codes_left"] == 9


async def test_of_many_wrong_codes_at_once_few_are_looked_at(browser: Browser) -> None:
    app, _ = await browser.protected()
    token = await challenge(browser)
    answers = await asyncio.gather(*(met(browser, token, "000000") for _ in range(20)))
    codes = [answer.json()["code"] for answer in answers]
    assert (codes.count("wrong_code"), codes.count("rate_limited")) == (5, 15)
    # The right one is not looked at either: its answer would be the proof.
    assert (await met(browser, token, later(app))).json()["code"] == "rate_limited"


async def test_a_secret_and_its_codes_are_shown_once(browser: Browser) -> None:
    app, _ = await browser.protected()
    proposed = await browser.post("/auth/second-factor", password=PASSWORD, code=later(app))
    assert set(proposed) == {"secret", "otpauth_uri", "qr_svg"}
    assert proposed["qr_svg"].startswith("<svg")
    refused = await browser.post("/auth/second-factor/confirm", 403, code="000000")
    assert refused["code"] == "wrong_code"
    new = pyotp.TOTP(proposed["secret"])
    codes = (await browser.post("/auth/second-factor/confirm", code=new.now()))["recovery_codes"]
    await browser.refreshed()
    missing = await browser.post("/auth/second-factor/recovery-codes", 403, password=PASSWORD)
    assert (missing["code"], missing["needs"]) == ("reauthentication_failed", ["code"])
    again = await browser.post(
        "/auth/second-factor/recovery-codes", password=PASSWORD, code=codes[0]
    )
    assert len(again["recovery_codes"]) == 10
    await browser.post(
        "/auth/second-factor/remove", 204, password=PASSWORD, code=again["recovery_codes"][0]
    )
    browser.with_token(await browser.post("/auth/login", **browser.credentials))
    gone = await browser.post("/auth/second-factor/remove", 409, password=PASSWORD)
    assert gone["code"] == "no_second_factor"


async def test_an_administrator_without_it_may_only_set_it_up(
    place: Place, browser: Browser
) -> None:
    operator = Origin.of_operator("tests")
    assert await grant_role(place.owner_url, browser.email, Role.ADMIN, operator)
    browser.with_token(await browser.post("/auth/login", **browser.credentials))
    for path in ("/admin/plans", "/projects", "/api-keys"):
        assert (await browser.get(path, 403))["code"] == "second_factor_required"
    assert (await browser.get("/auth/me"))["user"]["role"] == "admin"
    assert (await browser.get("/auth/second-factor"))["required"]
    app, recovery = await browser.protected()
    # The very session that was refused is good now: it has proved it.
    assert "items" in await browser.get("/admin/plans")
    kept = await browser.post(
        "/auth/second-factor/remove", 409, password=PASSWORD, code=recovery[0]
    )
    assert kept["code"] == "second_factor_kept"
    opened: Any = await met(browser, await challenge(browser), later(app))
    browser.with_token(opened.json())
    assert "items" in await browser.get("/admin/plans")
