"""Every socket for every kind of caller: nothing opens it but an unused ticket of that very run.

A socket that is added is in it, by how it is opened: :func:`sockets` fails for another kind.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from litestar.routes import WebSocketRoute

from domain.identity.user import Permission, Role
from tests.integration.authority.world import Caller, World

OPEN, TICKET, ORIGIN = None, 4401, 4403
ALLOWED, FOREIGN = "https://app.example.com", "https://evil.example"
PATIENCE = 10.0


@dataclass
class Attempt:
    """What is sent to open a socket, and the code that it must be closed with, or None."""

    name: str
    closes: int | None
    ticket: str = ""
    run_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def sockets(world: World) -> Iterator[str]:
    """The path of every socket, with its run's place."""
    for route in world.app.routes:
        if isinstance(route, WebSocketRoute):
            assert "{run_id}" in route.path_format and route.path_format.endswith("/stream"), (
                f"say in test_sockets.py what opens {route.path_format}"
            )
            yield route.path_format


async def test_a_socket_opens_with_an_unused_ticket_of_its_run_and_with_nothing_else(
    world: World,
) -> None:
    owner, stranger = await world.person(Role.PARTNER), await world.person(Role.PARTNER)
    wrong, asked = [], 0
    for path in sockets(world):
        for attempt in await attempts(world, owner, stranger):
            code = await opened(world, path.replace("{run_id}", attempt.run_id), attempt)
            if code != attempt.closes:
                wrong.append(f"{path} with {attempt.name}: {code}, not {attempt.closes}")
            asked += 1
    assert not wrong, "\n".join(wrong)
    assert asked > 30


async def test_nobody_gets_a_ticket_of_another_s_run(world: World) -> None:
    owner, stranger = await world.person(Role.PARTNER), await world.person(Role.PARTNER)
    run_id = await run_of(world, owner)
    for caller in (stranger, await world.key(stranger, Permission.PROJECTS_READ)):
        answer = await world.http.post(
            f"/api/v1/runs/{run_id}/stream-ticket", headers=caller.headers
        )
        assert answer.status_code == 404


async def attempts(world: World, owner: Caller, stranger: Caller) -> list[Attempt]:
    """Every way that somebody may try, and what comes of it."""
    run_id, theirs = await run_of(world, owner), await run_of(world, stranger)
    key = await world.key(owner, Permission.PROJECTS_READ)

    async def ticket(caller: Caller, of: str) -> str:
        answer = await world.http.post(f"/api/v1/runs/{of}/stream-ticket", headers=caller.headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["ticket"])

    used = await ticket(owner, run_id)
    credentials = [
        Caller("nothing", None),
        owner,
        stranger,
        key,
        *[await world.person(role) for role in Role],
        *world.forgeries(owner),
    ]
    elsewhere = await ticket(owner, run_id)
    found = [
        # What opens everything else opens no socket.
        *(Attempt(f"{who} alone", TICKET, headers=who.headers) for who in credentials),
        *(
            Attempt(f"{who} as the ticket", TICKET, ticket=value.removeprefix("Bearer "))
            for who in credentials
            for value in who.headers.values()
        ),
        Attempt("a ticket that was made up", TICKET, "A" * 43),
        Attempt("a ticket", OPEN, used),
        Attempt("that ticket again", TICKET, used),
        Attempt("a key's ticket", OPEN, await ticket(key, run_id)),
        Attempt("another's ticket", TICKET, await ticket(stranger, theirs)),
        Attempt("a ticket at another's run", TICKET, elsewhere, theirs),
        Attempt("and then at its own", TICKET, elsewhere),
        Attempt("a ticket at no run", TICKET, await ticket(owner, run_id), str(uuid4())),
        Attempt(
            "a ticket from an allowed page",
            OPEN,
            await ticket(owner, run_id),
            headers={"Origin": ALLOWED},
        ),
    ]
    kept = await ticket(owner, run_id)
    found += [
        Attempt("a ticket from a foreign page", ORIGIN, kept, headers={"Origin": origin})
        for origin in (FOREIGN, "null", f"{ALLOWED}.evil.example", "")
    ]
    # Which has not used it up: it was not looked at.
    found.append(Attempt("that ticket from no page", OPEN, kept))
    for attempt in found:
        attempt.run_id = attempt.run_id or run_id
    return found


async def run_of(world: World, owner: Caller) -> str:
    """A run that waits."""
    body = {"idea": "A tool library where neighbours lend tools to each other."}
    project = await world.http.post("/api/v1/projects", json=body, headers=owner.headers)
    path = f"/api/v1/projects/{project.json()['id']}/execute"
    run = await world.http.post(path, headers=owner.headers)
    assert run.status_code == 202, run.text
    return str(run.json()["id"])


async def opened(world: World, path: str, attempt: Attempt) -> int | None:
    """The code that a socket is closed with, or None once it tells of its run."""
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    hears: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    hears.put_nowait({"type": "websocket.connect"})
    headers = {"host": "platform", **attempt.headers}
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": f"ticket={attempt.ticket}".encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("platform", 80),
        "subprotocols": [],
        "state": {},
    }
    serving = asyncio.create_task(world.served(scope, hears.get, said.put))  # type: ignore[arg-type]  # the same interface
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await said.get()
                if message["type"] == "websocket.close":
                    return int(message["code"])
                if message["type"] == "websocket.send":
                    return None
    finally:
        hears.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(serving, PATIENCE)
