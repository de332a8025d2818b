"""Every route for every kind of caller: what its guard says, the next route included."""

import json
import re
from collections import Counter
from uuid import UUID, uuid4

import asyncpg
import pytest

from adapters.postgres.unit_of_work import PostgresUnitOfWork
from domain.identity.user import Permission, Role
from domain.keys.scopes import GRANTABLE
from entrypoints.http.access import Requires
from entrypoints.http.openapi.guards import own_guards
from entrypoints.local_stack import StackAddresses
from tests.contracts.invoice_samples import keep_invoice
from tests.contracts.samples import (
    keep_project,
    make_document,
    make_order,
    make_payment,
    make_run,
    make_user,
)
from tests.described import document
from tests.integration.authority.world import Caller, World, open_world, said
from tests.integration.platform.person import PASSWORD

REFUSALS = {"not_authenticated", "permission_denied", "insufficient_scope"}


@pytest.fixture(scope="module")
async def people(world: World) -> list[Caller]:
    """One of each role."""
    return [await world.person(role) for role in Role]


async def compare(world: World, callers: list[Caller]) -> Counter[str]:
    """Ask every route as everybody, and hold each answer to the route's guards."""
    wrong, asked = [], Counter[str]()
    for route in world.routes():
        for caller in callers:
            expected = route.refusal(caller)
            answer = await world.ask(route, caller)
            if expected is None and answer.status_code == 401 and caller.email:
                # It had ended the caller's session, as one that was let in may.
                await world.sign_in(caller)
                answer = await world.ask(route, caller)
            got = said(answer)
            asked["refused" if expected else "let in"] += 1
            fits = got == expected if expected else got[1] not in REFUSALS and got[0] < 500
            if not fits:
                wrong.append(f"{route} for {caller}: {got}, not {expected or 'let in'}")
    assert not wrong, "\n".join(wrong)
    return asked


async def test_a_role_opens_what_it_holds(world: World, people: list[Caller]) -> None:
    nobody = Caller("nobody", None)
    asked = await compare(world, [nobody, *people])
    assert asked["refused"] > 150 and asked["let in"] > 150, asked


async def test_a_key_opens_what_each_of_its_scopes_says(world: World, people: list[Caller]) -> None:
    admin = people[list(Role).index(Role.ADMIN)]
    await world.sign_in(admin)
    keys = [await world.key(admin, scope) for scope in sorted(GRANTABLE)]
    asked = await compare(world, keys)
    assert asked["refused"] > asked["let in"] > 100, asked


async def test_a_key_with_every_scope_but_the_route_s_does_not_open_it(
    world: World, people: list[Caller]
) -> None:
    admin = people[list(Role).index(Role.ADMIN)]
    await world.sign_in(admin)
    keys: dict[Permission, Caller] = {}
    wrong, asked = [], set()
    for route in world.routes():
        for permission in route.permissions:
            if permission not in keys:
                others = sorted(GRANTABLE - {permission})
                name = f"a key for all but {permission}"
                keys[permission] = await world.key(admin, *others, name=name)
            got = said(await world.ask(route, keys[permission]))
            if got != (403, "insufficient_scope"):
                wrong.append(f"{route} for {keys[permission]}: {got}")
            asked.add(str(route))
    assert not wrong, "\n".join(wrong)
    assert len(asked) > 80 and len(keys) > 10


async def test_an_administrator_without_a_second_factor_does_nothing_but_set_one_up(
    stack: StackAddresses,
) -> None:
    """Where one is needed, whatever was proved before."""
    async with open_world(stack, ADMIN_SECOND_FACTOR="required") as world:
        admin = await world.person(Role.ADMIN)
        restricted = Caller(
            "an administrator without a second factor",
            frozenset({Permission.ACCOUNT_READ}),
            admin.headers,
            email=admin.email,
            denied="second_factor_required",
        )
        asked = await compare(world, [restricted])
    assert asked["refused"] > 80 and asked["let in"] > 10, asked


async def test_a_token_that_is_not_ours_opens_nothing(world: World, people: list[Caller]) -> None:
    admin = people[list(Role).index(Role.ADMIN)]
    await world.sign_in(admin)
    forgeries = world.forgeries(admin)
    assert len(forgeries) >= 12
    asked = await compare(world, forgeries)
    assert asked["refused"] > 1_000, asked


async def test_a_token_and_a_key_together_open_nothing(world: World, people: list[Caller]) -> None:
    admin = people[list(Role).index(Role.ADMIN)]
    await world.sign_in(admin)
    key = await world.key(admin, Permission.ACCOUNT_READ)
    await compare(world, [Caller("both", None, {**admin.headers, **key.headers})])


async def test_who_decides_about_others_has_proved_lately_who_they_are(
    world: World, superuser_url: str
) -> None:
    afresh = [
        route
        for route in world.routes()
        if any(isinstance(guard, Requires) and guard.afresh for guard in own_guards(route.handler))
    ]
    assert {str(route).rpartition("/")[2] for route in afresh} == {
        "role",
        "suspend",
        "reinstate",
        "approve",
    }
    admin = await world.person(Role.ADMIN)
    connection = await asyncpg.connect(superuser_url)
    await connection.execute(
        "UPDATE sessions SET authenticated_at = now() - interval '11 minutes'"
        " WHERE user_id = (SELECT id FROM users WHERE email = $1)",
        admin.email,
    )
    await connection.close()
    for route in afresh:
        assert said(await world.ask(route, admin)) == (403, "proof_too_old")
    proof = {"password": "not the password at all"}
    refused = await world.http.post("/api/v1/auth/prove", json=proof, headers=admin.headers)
    assert said(refused) == (403, "reauthentication_failed")
    assert said(await world.ask(afresh[0], admin)) == (403, "proof_too_old")
    proof = {"password": PASSWORD}
    proved = await world.http.post("/api/v1/auth/prove", json=proof, headers=admin.headers)
    assert proved.status_code == 204, proved.text
    for route in afresh:
        assert said(await world.ask(route, admin))[1] in ("not_found", "invalid_request")


async def test_anothers_thing_answers_as_one_that_does_not_exist(
    world: World, postgres_uow: PostgresUnitOfWork
) -> None:
    owner, stranger = await world.person(Role.PARTNER), await world.person(Role.PARTNER)
    theirs = await things_of(world, owner, postgres_uow)
    examples = {
        (method.upper(), path): operation
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    }
    compared, wrong = set(), []
    for route in world.routes():
        if not route.parameters or "/admin/" in route.path or not route.path.startswith("/api/"):
            continue
        if route.refusal(Caller("nobody", None)) is None:
            continue
        unknown = [name for name in route.parameters if name not in theirs]
        assert not unknown, f"say in things_of which {unknown} of {route} a person has"
        content = examples[route.method, route.path].get("requestBody", {}).get("content", {})
        body = content.get("application/json", {}).get("example")
        nowhere = {
            **{name: str(uuid4()) for name in theirs},
            "number": "977",
            "provider_name": "google",  # the same to everybody: what is linked to it is one's own
        }
        answers = []
        for ids in (theirs, nowhere):
            answer = await world.ask(route, stranger, route.filled(ids), body)
            answers.append((answer.status_code, _without_ids(answer.text)))
        if answers[0] != answers[1] or answers[0][0] < 400:
            wrong.append(f"{route}: {answers}")
        compared.add(str(route))
    assert not wrong, "\n".join(wrong)
    assert len(compared) > 30


async def test_what_is_there_is_there_for_its_owner(
    world: World, postgres_uow: PostgresUnitOfWork
) -> None:
    """Else the comparison above would compare nothing with nothing."""
    owner = await world.person(Role.PARTNER)
    theirs = await things_of(world, owner, postgres_uow)
    seen = set()
    for route in world.routes():
        if route.method == "GET" and len(route.parameters) == 1 and "/admin/" not in route.path:
            # The bytes of what was put into the database alone are nowhere.
            if route.path.endswith(("/download", "/archive")):
                continue
            if route.refusal(owner) is None and route.parameters[0] in theirs:
                answer = await world.ask(route, owner, route.filled(theirs))
                if answer.status_code == 200:
                    seen.update(route.parameters)
    assert seen >= {"project_id", "run_id", "document_id", "key_id", "endpoint_id", "order_id"}
    assert "invoice_id" in seen


async def things_of(world: World, owner: Caller, uow: PostgresUnitOfWork) -> dict[str, str]:
    """Something of everything that a person can have, by the name it has in paths."""
    http, headers = world.http, owner.headers
    me = (await http.get("/api/v1/auth/me", headers=headers)).json()["user"]
    user = make_user(id=UUID(me["id"]), email=me["email"])
    project = await keep_project(uow, user)
    run = make_run(project)
    document_, order = make_document(run), make_order(user.id)
    payment = make_payment(order)
    async with uow.begin(user.id) as tx:
        await tx.runs.add(run)
        await tx.documents.add([document_])
        await tx.orders.add(order)
        await tx.payments.put(payment)
    invoice = await keep_invoice(uow, owner=user)
    key = await http.post(
        "/api/v1/api-keys",
        json={"name": "theirs", "scopes": ["account:read"]},
        headers=headers,
    )
    endpoint = await http.post(
        "/api/v1/webhook-endpoints", json={"url": "https://example.com/hook"}, headers=headers
    )
    endpoint_id = endpoint.json()["endpoint"]["id"]
    sent = await http.post(f"/api/v1/webhook-endpoints/{endpoint_id}/test", headers=headers)
    sessions = await http.get("/api/v1/auth/sessions", headers=headers)
    return {
        "project_id": str(project.id),
        "run_id": str(run.id),
        "document_id": str(document_.id),
        "order_id": str(order.id),
        "payment_id": str(payment.id),
        "invoice_id": str(invoice.id),
        "key_id": key.json()["id"],
        "endpoint_id": endpoint_id,
        "event_id": sent.json()["event_id"],
        "session_id": sessions.json()["items"][0]["id"],
        "number": "1",
        "provider_name": "google",
    }


def _without_ids(text: str) -> str:
    """An answer without what is of the request alone."""
    answer = json.loads(text) if text else {}
    answer.pop("request_id", None)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|977|\b1\b", "…", json.dumps(answer))
