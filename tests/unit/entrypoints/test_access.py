"""Who is let in where, and what every answer says of limits, over a few routes of their own."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import httpx
import pytest
from litestar import Litestar, get, post
from litestar.datastructures import State

from domain.identity.user import Permission
from domain.keys.key_text import KeyText
from entrypoints.http.access import COST, GATEWAY, OPERATIONS, admitted, public, requires, signed_in
from entrypoints.http.problems import EXCEPTION_HANDLERS
from entrypoints.http.rate_headers import RateHeaders
from tests.unit.keys.world import HERE, READ, World


@get("/open", guards=[public])
async def open_to_all() -> str:
    return "open"


@get("/persons", guards=[signed_in])
async def persons() -> str:
    return "persons"


@get("/reading", guards=[requires(Permission.PROJECTS_READ)], opt={COST: 4})
async def reading() -> str:
    return "reading"


@get("/managing", guards=[requires(Permission.PROJECTS_READ, Permission.KEYS_MANAGE)])
async def managing() -> str:
    return "managing"


@get("/operating", guards=[requires(Permission.RUNS_OPERATE)])
async def operating() -> str:
    return "operating"


@get("/health", guards=[public], opt={OPERATIONS: True})
async def health() -> str:
    return "healthy"


@post("/events", guards=[public], opt={GATEWAY: True}, status_code=200)
async def event() -> str:
    return "kept"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [open_to_all, persons, reading, managing, operating, health, event],
        guards=[admitted],
        exception_handlers=EXCEPTION_HANDLERS,
        state=State(
            {
                "container": SimpleNamespace(admit_request=lambda: world.process),
                "settings": SimpleNamespace(proxies=("10.0.0.0/8",)),
            }
        ),
        openapi_config=None,
        logging_config=None,
    )
    transport = httpx.ASGITransport(RateHeaders(app), client=(HERE, 1234))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as opened:
        yield opened


def with_key(key: KeyText) -> dict[str, str]:
    return {"X-API-Key": key.text}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_without_a_credential_only_open_routes_answer(client: httpx.AsyncClient) -> None:
    assert (await client.get("/open")).text == "open"
    for path in ("/persons", "/reading", "/managing", "/operating"):
        assert code(await client.get(path)) == (401, "not_authenticated")


async def test_a_person_is_let_in_by_their_role(world: World, client: httpx.AsyncClient) -> None:
    token = await world.token(await world.partner())
    headers = {"Authorization": f"bearer {token}"}
    for path in ("/open", "/persons", "/reading", "/managing"):
        assert (await client.get(path, headers=headers)).status_code == 200
    assert code(await client.get("/operating", headers=headers)) == (403, "permission_denied")


async def test_a_key_is_let_in_by_its_scopes_and_never_as_a_person(
    world: World, client: httpx.AsyncClient
) -> None:
    issued = await world.issue(await world.partner(), scopes=READ)
    headers = with_key(issued.text)
    assert (await client.get("/reading", headers=headers)).status_code == 200
    for path in ("/persons", "/managing", "/operating"):
        assert code(await client.get(path, headers=headers)) == (403, "insufficient_scope")


async def test_a_bad_credential_does_not_close_an_open_route(client: httpx.AsyncClient) -> None:
    answer = await client.get("/open", headers={"Authorization": "Bearer long-expired"})
    assert answer.status_code == 200
    answer = await client.get("/persons", headers={"Authorization": "Bearer long-expired"})
    assert code(answer) == (401, "not_authenticated")


async def test_a_limit_holds_on_open_routes_too(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/open") for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert answers[-1].json()["violated_policies"] == ["address-minute"]
    assert answers[-1].headers["RateLimit"].startswith('"address-minute";r=0;')
    assert int(answers[-1].headers["Retry-After"]) == 3
    # The last that passed says when the next one will.
    assert [answer.headers.get("Retry-After") for answer in answers[18:20]] == [None, "3"]


async def test_a_routes_cost_is_counted(world: World, client: httpx.AsyncClient) -> None:
    issued = await world.issue(await world.partner())
    answer = await client.get("/reading", headers=with_key(issued.text))
    assert '"key-minute";r=6;' in answer.headers["RateLimit"]


async def test_what_meets_no_route_is_counted_by_address(client: httpx.AsyncClient) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("PUT", "/open", 405)):
        answer = await client.request(method, path, headers={"X-API-Key": "nonsense"})
        assert answer.status_code == status
        assert answer.headers["RateLimit-Policy"] == '"address-minute";q=20;w=60'
    assert '";r=17;' in (await client.get("/open")).headers["RateLimit"]


async def test_health_is_counted_apart(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health", headers={"X-API-Key": "nonsense"})
    assert answer.headers["RateLimit-Policy"].startswith('"operations-minute"')


async def test_a_gateways_events_are_counted_apart(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/events") for _ in range(30)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].headers["RateLimit-Policy"] == '"gateway-minute";q=6000;w=60'
    assert '"address-minute";r=19;' in (await client.get("/open")).headers["RateLimit"]


async def test_when_a_key_cannot_be_looked_up_the_answer_says_so(
    world: World, client: httpx.AsyncClient
) -> None:
    issued = await world.issue(await world.partner())
    world.database.fail_next(5)
    answer = await client.get("/reading", headers=with_key(issued.text))
    assert code(answer) == (503, "database_unavailable")
    assert answer.headers["Retry-After"]
    assert answer.headers["RateLimit-Policy"] == '"address-minute";q=20;w=60'


async def test_only_a_trusted_proxy_says_who_calls(world: World, client: httpx.AsyncClient) -> None:
    pretended = [
        await client.get("/open", headers={"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(21)
    ]
    assert pretended[-1].status_code == 429


async def test_an_answers_own_later_time_to_come_back_is_kept(
    world: World, client: httpx.AsyncClient
) -> None:
    for _ in range(19):
        await client.get("/open")
    issued = await world.issue(await world.partner())
    world.database.fail_next(5)
    answer = await client.get("/reading", headers=with_key(issued.text))
    # The quota says 3 seconds, the database 5.
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
