"""What is good once is good once, at every route that takes it, the next route included."""

import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pyotp
import pytest
from litestar.params import ParameterKwarg, QueryParameter

from domain.identity.user import Role
from tests.described import document
from tests.integration.authority.world import Answer, Caller, Route, World, said
from tests.integration.platform.person import PASSWORD

NAMES = frozenset({"token", "code", "challenge", "refresh_token", "ticket", "state"})
"""What a field that takes something single-use is called."""

NOTHING_SINGLE_USE = {
    "POST /api/v1/admin/coupons": "the code of a coupon, which an admin makes",
    "GET /api/v1/admin/plans": "a plan's code",
    "POST /api/v1/admin/plans": "a plan's code",
    "PUT /api/v1/billing/profile": "the state that a buyer lives in",
}
"""Routes whose fields have such a name and mean something else."""

ELSEWHERE = {
    "GET /api/v1/auth/{provider_name}/callback": (
        "tests/integration/sign_in/test_provider.py",
        "test_of_many_arrivals_at_once_one_signs_in",
    ),
    "POST /api/v1/auth/link": (
        "tests/integration/sign_in/test_provider.py",
        "test_an_account_is_linked_only_by_who_has_its_password",
    ),
}
"""Routes that want a provider behind them: where they are held to it."""

REFUSED: dict[str, set[Answer]] = {
    "token": {(401, "link_refused")},
    "code": {(403, "wrong_code"), (403, "reauthentication_failed")},
    "challenge": {(401, "challenge_over")},
    "refresh_token": {(401, "refresh_refused")},
}
"""How a route refuses what was used, by its field's name."""

OTHERWISE: dict[tuple[str, str], set[Answer]] = {
    # There is no secret any more that it could be a code of.
    ("POST /api/v1/auth/second-factor/confirm", "code"): {(409, "no_second_factor")},
    # Nothing is left to end, which is no error.
    ("POST /api/v1/auth/logout", "refresh_token"): {(200, "")},
}
"""And the routes that do it otherwise."""


@dataclass
class Used:
    """Somebody who has used one of everything, and what that was, by its field's name."""

    person: Caller
    things: dict[str, list[str]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    """Recovery codes."""


@pytest.fixture(scope="module")
async def used(world: World, superuser_url: str) -> Used:
    """Everything that can be used, used, and found to be good that once."""
    person, other = await world.person(Role.MEMBER), await world.person(Role.MEMBER)
    things = {
        "token": [
            await used_confirmation(world, other, superuser_url),
            await used_change(world, other),
            await used_reset(world, other),
        ],
        "refresh_token": [await used_refresh_token(world, other)],
    }
    secret = (await post(world, person, "/second-factor", password=PASSWORD)).json()["secret"]
    code = pyotp.TOTP(secret).now()
    recovery = (await post(world, person, "/second-factor/confirm", code=code)).json()[
        "recovery_codes"
    ]
    await met(world, person, challenge := await challenged(world, person), recovery[0])
    things |= {"challenge": [challenge], "code": [code, recovery[0]]}
    return Used(person, things, recovery[1:])


def taken_once(routes: Iterator[Route]) -> Iterator[tuple[Route, str]]:
    """Every route with each of its fields that takes something single-use."""
    for route in routes:
        if str(route) in NOTHING_SINGLE_USE:
            continue
        for name in sorted(fields_of(route) & NAMES):
            yield route, name


def fields_of(route: Route) -> set[str]:
    """The names of what a route takes in its body and its query."""
    found: set[str] = set()
    for name, each in route.handler.parsed_fn_signature.parameters.items():
        if name == "data":
            kinds = typing.get_args(each.annotation) or (each.annotation,)
            for kind in kinds:
                if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                    found |= set(kind.__struct_encode_fields__)
        else:
            marks = getattr(each.raw, "__metadata__", ())
            renamed = [
                mark.name
                for mark in marks
                if isinstance(mark, QueryParameter | ParameterKwarg) and mark.name
            ]
            found |= set(renamed) or {name}
    return found


async def test_what_was_used_is_refused_wherever_it_is_taken(world: World, used: Used) -> None:
    redis = world.app.state.container.redis()
    nobody = Caller("nobody", None)
    wrong, asked = [], set()
    for route, name in taken_once(world.routes()):
        if str(route) in ELSEWHERE:
            continue
        expected = OTHERWISE.get((str(route), name), REFUSED.get(name))
        assert expected, f"say in REFUSED how {route} refuses a {name} that was used"
        assert name in used.things, f"say in the fixture how a {name} is used"
        for value in used.things[name]:
            async for counted in redis.scan_iter("*-failures*"):
                await redis.delete(counted)
            answer = await world.ask(
                route,
                nobody if route.refusal(nobody) is None else used.person,
                route.filled(OF_PATHS),
                await body_of(world, used, route, name, value),
            )
            if said(answer) not in expected:
                wrong.append(f"{route} with a {name} that was used: {said(answer)}")
            asked.add((str(route), name))
    assert not wrong, "\n".join(wrong)
    assert len(asked) >= 15, asked
    # Nobody was let in, and nothing of theirs was changed.
    assert (await world.http.get("/api/v1/auth/me", headers=used.person.headers)).status_code == 200


def test_what_is_held_elsewhere_is_held_there(world: World) -> None:
    routes = {str(route) for route, _ in taken_once(world.routes())}
    for route, (file, name) in ELSEWHERE.items():
        assert route in routes
        assert re.search(rf"^async def {name}\(", Path(file).read_text(), re.MULTILINE), name
    assert {str(route) for route in world.routes()} >= set(NOTHING_SINGLE_USE)
    assert {(str(route), name) for route, name in taken_once(world.routes())} >= set(OTHERWISE)


OF_PATHS = {"provider_name": "google"}


async def body_of(world: World, used: Used, route: Route, name: str, value: str) -> dict[str, Any]:
    """The route's example, right but for what was used."""
    operation = document()["paths"][route.path][route.method.lower()]
    body: dict[str, Any] = dict(
        operation["requestBody"]["content"]["application/json"]["example"] or {}
    )
    for each in ("password", "current_password"):
        if each in body:
            body[each] = PASSWORD
    if "challenge" in fields_of(route) and name != "challenge":
        body["challenge"] = await challenged(world, used.person)
    if "code" in fields_of(route) and name != "code":
        body["code"] = used.unused[-1]
    return {**body, name: value}


async def post(world: World, who: Caller | None, path: str, **body: Any) -> httpx.Response:
    answer = await world.http.post(
        f"/api/v1/auth{path}", json=body, headers=who.headers if who else {}
    )
    assert answer.is_success, f"{path}: {answer.text}"
    return answer


async def used_confirmation(world: World, person: Caller, superuser_url: str) -> str:
    connection = await asyncpg.connect(superuser_url)
    try:
        # Here accounts are open at once, and their addresses taken for confirmed.
        changed = "UPDATE users SET email_verified_at = NULL WHERE email = $1"
        assert await connection.execute(changed, person.email) == "UPDATE 1"
    finally:
        await connection.close()
    await post(world, None, "/register/resend", email=person.email)
    token = await mailed(world, person.email)
    await post(world, None, "/register/confirm", token=token, password=PASSWORD)
    return token


async def used_change(world: World, person: Caller) -> str:
    new = f"new-{person.email}"
    await post(world, person, "/email/change", email=new, password=PASSWORD)
    token = await mailed(world, new)
    await post(world, None, "/email/confirm", token=token)
    person.email = new
    return token


async def used_reset(world: World, person: Caller) -> str:
    await post(world, None, "/password/forgot", email=person.email)
    token = await mailed(world, person.email)
    await post(world, None, "/password/reset", token=token, password=PASSWORD)
    return token


async def used_refresh_token(world: World, person: Caller) -> str:
    """One whose successor was used too: a lost answer is no excuse for it any more."""
    opened = await post(
        world, None, "/login", email=person.email, password=PASSWORD, refresh_in="body"
    )
    first = token = str(opened.json()["refresh_token"])
    for _ in range(2):
        token = (await post(world, None, "/refresh", refresh_token=token)).json()["refresh_token"]
    return first


async def challenged(world: World, person: Caller) -> str:
    answer = await post(world, None, "/login", email=person.email, password=PASSWORD)
    assert answer.status_code == 202
    return str(answer.json()["challenge"])


async def met(world: World, person: Caller, challenge: str, code: str) -> None:
    answer = await post(world, None, "/login/second-factor", challenge=challenge, code=code)
    person.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


async def mailed(world: World, to: str) -> str:
    """The token of the last link in a mailbox."""
    deliver = world.app.state.container.deliver_mail()
    while await deliver():
        pass
    answer = await world.http.get(
        "/mailbox", params={"to": to}, headers={"Accept": "application/json"}
    )
    tokens = [re.findall(r"#token=([\w-]+)", each["text"]) for each in answer.json()]
    return str(next(found[0] for found in tokens if found))
