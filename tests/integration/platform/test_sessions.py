"""Sessions over HTTP: cookies, refreshing, ending, streams that end with them, rotated keys."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import websockets

from adapters.postgres.engine import open_engine
from entrypoints.cli.platform import Platform
from tests.integration.platform.operators import command
from tests.integration.platform.person import PASSWORD, Person

COOKIE = "bb_refresh"


def browser(platform: Platform) -> httpx.AsyncClient:
    """A client that keeps cookies and says which page it shows."""
    return httpx.AsyncClient(
        base_url=f"{platform.url}/api/v1",
        timeout=30,
        trust_env=False,
        headers={"Origin": platform.url, "User-Agent": "A browser"},
    )


async def log_in(client: httpx.AsyncClient, person: Person, **more: str) -> httpx.Response:
    answer = await client.post(
        "/auth/login", json={"email": person.email, "password": PASSWORD, **more}
    )
    assert answer.status_code == 200, answer.text
    return answer


async def me(client: httpx.AsyncClient, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await client.get("/auth/me", headers=headers)).status_code


async def test_a_browser_gets_the_refresh_token_where_no_script_reads_it(
    platform: Platform, person: Person
) -> None:
    async with browser(platform) as client:
        answer = await log_in(client, person)
        assert "refresh_token" not in answer.json()
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=bbr_")
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/api/v1/auth"} <= attributes
        assert answer.headers["cache-control"] == "private, no-store"
        before = client.cookies[COOKIE]
        refreshed = await client.post("/auth/refresh")
        assert refreshed.status_code == 200, refreshed.text
        assert client.cookies[COOKIE] != before
        assert await me(client, refreshed.json()["access_token"]) == 200
        gone = await client.post("/auth/logout")
        assert gone.json() == {"ended": 1}
        assert COOKIE not in client.cookies
        assert await me(client, refreshed.json()["access_token"]) == 401


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
async def test_a_cookie_is_taken_from_our_pages_alone(
    platform: Platform, person: Person, origin: str | None
) -> None:
    async with browser(platform) as client:
        await log_in(client, person)
        del client.headers["Origin"]
        headers = {} if origin is None else {"Origin": origin}
        for path in ("/auth/refresh", "/auth/logout"):
            answer = await client.post(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
        allowed = {"Origin": "https://app.example.com"}
        answer = await client.post("/auth/refresh", headers=allowed)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-credentials"] == "true"


async def test_another_client_takes_it_in_the_body_by_asking(
    client: httpx.AsyncClient, person: Person
) -> None:
    opened = await log_in(client, person, refresh_in="body")
    assert "set-cookie" not in opened.headers
    token = opened.json()["refresh_token"]
    refreshed = await client.post("/auth/refresh", json={"refresh_token": token})
    assert refreshed.json()["refresh_token"] != token
    again = await client.post("/auth/refresh", json={"refresh_token": token})
    assert again.json()["refresh_token"] == refreshed.json()["refresh_token"]
    assert (await client.post("/auth/refresh")).json()["code"] == "refresh_refused"


async def test_two_refreshes_with_one_token_at_once_go_on_with_one_line(
    client: httpx.AsyncClient, person: Person
) -> None:
    token = (await log_in(client, person, refresh_in="body")).json()["refresh_token"]
    answers = await asyncio.gather(
        *(client.post("/auth/refresh", json={"refresh_token": token}) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_a_token_of_long_ago_ends_the_session_for_whoever_has_it(
    platform: Platform, client: httpx.AsyncClient, person: Person
) -> None:
    first = (await log_in(client, person, refresh_in="body")).json()
    second = await client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    third = await client.post(
        "/auth/refresh", json={"refresh_token": second.json()["refresh_token"]}
    )
    assert third.status_code == 200
    reused = await client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert (reused.status_code, reused.json()["code"]) == (401, "refresh_refused")
    assert await me(client, third.json()["access_token"]) == 401
    last = await client.post("/auth/refresh", json={"refresh_token": third.json()["refresh_token"]})
    assert last.json()["code"] == "refresh_refused"


async def test_sessions_are_listed_and_ended_by_their_owner(
    platform: Platform, newcomer: Person, stranger: Person
) -> None:
    async with browser(platform) as other:
        opened = (await log_in(other, newcomer)).json()
        listed = (await newcomer.get("/auth/sessions"))["items"]
        assert [session["current"] for session in listed] == [False, True]
        theirs = listed[0]
        assert (theirs["id"], theirs["agent"]) == (opened["session_id"], "A browser")
        assert theirs["address"] == "127.0.0.1"
        assert theirs["methods"] == ["password"]
        path = f"/auth/sessions/{theirs['id']}"
        assert (await stranger.http.delete(path)).status_code == 404
        assert (await newcomer.http.delete(path)).status_code == 204
        assert await me(other, opened["access_token"]) == 401
        assert (await other.post("/auth/refresh")).status_code == 401
        assert (await newcomer.http.delete(path)).status_code == 404
    await newcomer.get("/auth/me")


async def test_signing_out_everywhere_ends_every_session(
    platform: Platform, newcomer: Person
) -> None:
    async with browser(platform) as other:
        opened = (await log_in(other, newcomer)).json()
        assert (await newcomer.post("/auth/logout-everywhere", status=200)) == {"ended": 2}
        assert await me(other, opened["access_token"]) == 401
        assert (await newcomer.http.get("/auth/me")).status_code == 401


async def test_a_stream_ends_with_the_session_that_opened_it(
    platform: Platform, newcomer: Person
) -> None:
    project = await newcomer.project()
    run = await newcomer.post(f"/projects/{project['id']}/execute", status=202)
    ticket = await newcomer.post(f"/runs/{run['id']}/stream-ticket")
    url = platform.url.replace("http", "ws", 1) + ticket["stream_url"]
    async with websockets.connect(
        f"{url}?ticket={ticket['ticket']}", proxy=None, open_timeout=30
    ) as socket:
        await socket.recv()
        await newcomer.http.post("/auth/logout")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            async with asyncio.timeout(60):
                while True:
                    await socket.recv()
    # The run may have come to its own end first; it is not told to leave for that.
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in (4410, 1000)


async def test_keys_are_rotated_without_signing_anybody_out(
    platform: Platform, client: httpx.AsyncClient, person: Person, tmp_path: Path
) -> None:
    async def key_set() -> dict[str, Any]:
        answer = await client.get(f"{platform.url}/.well-known/jwks.json")
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "public, max-age=300"
        return {key["kid"]: key for key in answer.json()["keys"]}

    before = await log_in(client, person, refresh_in="body")
    ring = platform.environment["JWT_SIGNING_KEY_FILE"]
    status, said = await command(
        platform, "signing-keys", "rotate", "--file", ring, "--signs-in", "0"
    )
    assert status == 0, said
    added = said.split()[0]
    async with asyncio.timeout(30):
        while added not in await key_set():
            await asyncio.sleep(0.2)
    assert await me(client, before.json()["access_token"]) == 200
    after = await client.post(
        "/auth/refresh", json={"refresh_token": before.json()["refresh_token"]}
    )
    token = after.json()["access_token"]
    assert jwt.get_unverified_header(token)["kid"] == added
    assert await me(client, token) == 200
    key = jwt.PyJWK.from_dict((await key_set())[added])
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="bharatbuild-api")
    assert claims["sid"] == before.json()["session_id"]
    status, said = await command(platform, "signing-keys", "list", "--file", ring)
    assert (status, said.count("signs now")) == (0, 1)


async def test_an_account_that_is_switched_off_is_out_within_the_time_it_is_remembered(
    platform: Platform, stranger: Person
) -> None:
    """By an operator past every process: the next look at the truth finds it."""
    owner = open_engine(platform.environment["DATABASE_OWNER_URL"], pool_size=1, application="t")
    try:
        async with owner.begin() as connection:
            from sqlalchemy import text

            await connection.execute(text("SELECT set_config('app.operator', 'on', true)"))
            await connection.execute(
                text("UPDATE users SET is_active = false WHERE email = :e"), {"e": stranger.email}
            )
    finally:
        await owner.dispose()
    # Never used before, so not remembered.
    assert (await stranger.http.get("/auth/me")).status_code == 401
