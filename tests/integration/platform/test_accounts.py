"""Accounts over HTTP, with the mailbox of a laptop in place of a mail server."""

import asyncio
import json
import re

import httpx

from entrypoints.cli.platform import Platform
from tests.integration.platform.person import PASSWORD, Person

ANOTHER = "the staple is correct by now"


async def mailed(platform: Platform, to: str, subject: str) -> str:
    """The text of the mail with that subject, once it is there."""
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=platform.url, trust_env=False) as client,
    ):
        while True:
            answer = await client.get(
                "/mailbox", params={"to": to}, headers={"Accept": "application/json"}
            )
            assert answer.status_code == 200, answer.text
            for message in answer.json():
                if message["subject"] == subject:
                    return str(message["text"])
            await asyncio.sleep(0.2)


def token_in(mail: str) -> str:
    return re.findall(r"#token=([\w-]+)", mail)[0]


async def test_a_forgotten_password_is_set_anew_by_mail(
    platform: Platform, client: httpx.AsyncClient, newcomer: Person
) -> None:
    asked = await client.post("/auth/password/forgot", json={"email": newcomer.email})
    unknown = await client.post("/auth/password/forgot", json={"email": "nobody@example.com"})
    assert (asked.status_code, asked.text) == (unknown.status_code, unknown.text)
    assert asked.status_code == 202
    token = token_in(await mailed(platform, newcomer.email, "Set a new password"))
    answers = await asyncio.gather(
        *(
            client.post("/auth/password/reset", json={"token": token, "password": ANOTHER})
            for _ in range(3)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    assert (await newcomer.http.get("/auth/me")).status_code == 401
    login = {"email": newcomer.email, "password": ANOTHER}
    assert (await client.post("/auth/login", json=login)).status_code == 200
    await mailed(platform, newcomer.email, "Your password was changed")


async def test_the_mailbox_is_a_page_for_people(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url, trust_env=False) as client:
        page = await client.get("/mailbox")
    assert "<h1>Mailbox</h1>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_a_password_is_changed_by_who_knows_it(newcomer: Person) -> None:
    body = {"current_password": PASSWORD, "new_password": "password123456"}
    weak = await newcomer.http.post("/auth/password/change", json=body)
    assert (weak.status_code, weak.json()["errors"][0]["field"]) == (422, "new_password")
    body = {"current_password": ANOTHER, "new_password": ANOTHER}
    wrong = await newcomer.http.post("/auth/password/change", json=body)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "reauthentication_failed")
    body = {"current_password": PASSWORD, "new_password": ANOTHER}
    assert await newcomer.post("/auth/password/change", status=200, json=body) == {"ended": 0}


async def test_an_account_is_exported_and_deleted(newcomer: Person) -> None:
    project = await newcomer.project()
    answer = await newcomer.http.get("/auth/account/export")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    records = [json.loads(line) for line in answer.text.splitlines()]
    assert {"account", "session", "project", "ledger_entry", "audit_entry"} <= {
        record["record"] for record in records
    }
    assert project["id"] in answer.text
    assert "argon2" not in answer.text
    gone = await newcomer.http.post("/auth/account/delete", json={"password": PASSWORD})
    assert gone.status_code == 200, gone.text
    assert (await newcomer.http.get("/auth/me")).status_code == 401
    login = {"email": newcomer.email, "password": PASSWORD}
    assert (await newcomer.http.post("/auth/login", json=login)).status_code == 401


async def test_a_locked_account_lets_nobody_in_and_tells_nothing(
    client: httpx.AsyncClient, stranger: Person
) -> None:
    async def attempts(email: str, password: str) -> list[int]:
        answers = await asyncio.gather(
            *(
                client.post(
                    "/auth/login",
                    json={"email": email, "password": password},
                    headers={"X-Forwarded-For": f"203.0.113.{n}"},
                )
                for n in range(20)
            )
        )
        return sorted(answer.status_code for answer in answers)

    known = await attempts(stranger.email, ANOTHER)
    assert known.count(401) == 5
    assert set(await attempts(stranger.email, PASSWORD)) == {429}
    assert await attempts(f"nobody-{stranger.email}", ANOTHER) == known
