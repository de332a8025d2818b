"""Every answer says where its caller stands, and who asks too much is told when to come back."""

import asyncio
import re
from uuid import uuid4

import httpx
import pytest
import websockets

from adapters.security import PepperedKeySecrets, Peppers, generate_pepper
from domain.keys.key_text import KeyEnvironment
from entrypoints.cli.platform import Platform
from tests.integration.platform.partner import partner_of
from tests.integration.platform.person import PASSWORD, Person

# draft-ietf-httpapi-ratelimit-headers-10, as structured fields: a string, and its parameters.
POLICY = r'"[a-z0-9-]+";q=\d+;w=\d+'
STATE = r'"[a-z0-9-]+";r=\d+;t=\d+'


def listed(pattern: str, field: str) -> list[str]:
    assert re.fullmatch(f"{pattern}(, {pattern})*", field), field
    return re.findall(r'"([a-z0-9-]+)"', field)


def names(answer: httpx.Response) -> list[str]:
    """The policies an answer names, the same in both fields."""
    policies = listed(POLICY, answer.headers["RateLimit-Policy"])
    assert listed(STATE, answer.headers["RateLimit"]) == policies
    return policies


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/projects", 401),
        ("GET", "/api/v1/nonsense", 404),
        ("PUT", "/api/v1/projects", 405),
        ("GET", "/api/v1/schema/openapi.json", 200),
        ("POST", "/api/v1/auth/register", 422),
        ("OPTIONS", "/api/v1/projects", 204),
    ],
)
async def test_every_answer_has_the_fields(
    platform: Platform, method: str, path: str, status: int
) -> None:
    async with httpx.AsyncClient(base_url=platform.url, trust_env=False) as client:
        body = {"json": {}} if method == "POST" else {}
        answer = await client.request(method, path, **body)
    assert answer.status_code == status, answer.text
    assert names(answer) == ["address-minute"]
    assert "Retry-After" not in answer.headers


async def test_operations_have_fields_of_their_own(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url, trust_env=False) as client:
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert names(await client.get(path)) == ["operations-minute"]


async def test_a_preflight_lets_pages_send_a_key_and_read_the_fields(platform: Platform) -> None:
    origin = {"Origin": "https://app.example.com"}
    async with httpx.AsyncClient(base_url=platform.url, trust_env=False) as client:
        asked = await client.options(
            "/api/v1/projects", headers={**origin, "Access-Control-Request-Method": "GET"}
        )
        answer = await client.get("/api/v1/projects", headers=origin)
    assert "x-api-key" in asked.headers["access-control-allow-headers"].lower()
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert {"ratelimit", "ratelimit-policy", "retry-after"} <= set(exposed.split(", "))


async def test_signed_in_one_is_counted_as_a_person(person: Person) -> None:
    first, second = [await person.http.get("/projects") for _ in range(2)]
    assert names(first) == names(second) == ["user-minute"]
    assert "q=1200;w=60" in first.headers["RateLimit-Policy"]


async def test_a_route_may_weigh_more(newcomer: Person) -> None:
    def left(answer: httpx.Response) -> int:
        found = re.search(r";r=(\d+)", answer.headers["RateLimit"])
        assert found
        return int(found[1])

    project = await newcomer.project()
    before = left(await newcomer.http.get("/projects"))
    run = await newcomer.http.post(f"/projects/{project['id']}/execute")
    # Five, less what a person's quota of 20 a second may have brought back meanwhile.
    assert before - left(run) in (3, 4, 5)
    await newcomer.post(f"/runs/{run.json()['id']}/cancel", status=202)


async def test_a_used_up_quota_is_told_with_when_to_come_back(platform: Platform) -> None:
    owner = platform.environment["DATABASE_OWNER_URL"]
    async with partner_of(platform.url, owner) as partner:
        key = await partner.issue(limits=[{"quota": 2, "window_seconds": 86_400}])
        async with httpx.AsyncClient(
            base_url=f"{platform.url}/api/v1",
            trust_env=False,
            headers={"X-API-Key": key["secret"]},
        ) as client:
            last = [await client.get("/projects") for _ in range(2)][-1]
            refused = await client.get("/projects")
            executed = await client.post(f"/projects/{uuid4()}/execute")
    assert last.status_code == 200
    # The next one would be refused: who is told so need not try.
    assert 43_000 < int(last.headers["Retry-After"]) <= 43_200
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["content-type"] == "application/problem+json"
    assert '"key-day";r=0;t=' in refused.headers["RateLimit"]
    assert refused.json()["retry_after_seconds"] == int(refused.headers["Retry-After"])
    assert executed.status_code == 429


async def test_a_request_refused_for_its_number_keeps_no_idempotency_key(
    platform: Platform,
) -> None:
    owner = platform.environment["DATABASE_OWNER_URL"]
    async with partner_of(platform.url, owner) as partner:
        key = await partner.issue(limits=[{"quota": 1, "window_seconds": 1}])
        headers = {"X-API-Key": key["secret"], "Idempotency-Key": f"limited-{uuid4()}"}
        async with httpx.AsyncClient(
            base_url=f"{platform.url}/api/v1", trust_env=False, headers=headers
        ) as client:
            await client.get("/projects")
            body = {"json": {"idea": "A tool library where neighbours lend tools."}}
            refused = await client.post("/projects", **body)
            await asyncio.sleep(int(refused.headers["Retry-After"]) + 0.1)
            made = await client.post("/projects", **body)
    assert (refused.status_code, made.status_code) == (429, 201)


def calling_from(address: str, url: str) -> httpx.AsyncClient:
    """A client at another address of this machine, whose attempts are nobody else's."""
    return httpx.AsyncClient(
        base_url=url, transport=httpx.AsyncHTTPTransport(local_address=address), timeout=30
    )


async def test_wrong_credentials_are_counted_whatever_header_they_come_with(
    platform: Platform, person: Person
) -> None:
    stranger = PepperedKeySecrets(Peppers.parse(generate_pepper()))
    seen = []
    async with calling_from("127.0.0.8", f"{platform.url}/api/v1") as client:
        for number in range(100):
            credential = (
                {"X-API-Key": stranger.mint(KeyEnvironment.LIVE).text}
                if number % 2
                else {"Authorization": f"Bearer {uuid4()}"}
            )
            pretence = {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": "for=192.0.2.9"}
            seen.append(await client.get("/projects", headers={**credential, **pretence}))
        statuses = [answer.status_code for answer in seen]
        assert set(statuses) == {401, 429}
        # 60 at once, and one more for each second that this took.
        assert 60 <= statuses.count(401) <= 75
        assert all(names(answer) == ["unverified-minute", "credential-minute"] for answer in seen)
        # Who can prove who they are is not held up by it.
        token = {"Authorization": person.http.headers["Authorization"]}
        assert (await client.get("/projects", headers=token)).status_code == 200
        login = {"email": person.email, "password": PASSWORD}
        assert (await client.post("/auth/login", json=login)).status_code == 200


async def test_sockets_are_counted_too(platform: Platform) -> None:
    address = platform.url.replace("http", "ws")

    async def knock(_: int) -> int | None:
        async with websockets.connect(
            f"{address}/api/v1/runs/7/stream", local_addr=("127.0.0.9", 0)
        ) as socket:
            await socket.wait_closed()
            return socket.close_code

    async with calling_from("127.0.0.9", platform.url) as client:
        for _ in range(20):
            await asyncio.gather(*(client.get("/api/v1/nonsense") for _ in range(40)))
        # What nobody may have for a while is all used up: 600, and ten more a second.
        codes = await asyncio.gather(*(knock(number) for number in range(60)))
    assert codes.count(4429) > 30
    assert set(codes) <= {4400, 4429}
