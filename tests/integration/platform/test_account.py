"""A person's account over HTTP: balance, lots, journal, caps, and what lapses by itself."""

import asyncio
import time
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from entrypoints.cli.platform import Platform
from tests.integration.platform.person import Person
from tests.integration.superuser import superuser_url

STARTING_GRANT = 50_000


async def test_a_new_account_has_its_starting_grant_in_a_lot_that_does_not_lapse(
    newcomer: Person,
) -> None:
    account = await newcomer.get("/billing/balance")
    (lot,) = account.pop("lots")
    assert account == {
        "available": STARTING_GRANT,
        "reserved": 0,
        "owed": 0,
        "balance": "₹500.00",
    }
    assert (lot["kind"], lot["granted"], lot["remaining"]) == (
        "promotion",
        STARTING_GRANT,
        STARTING_GRANT,
    )
    assert (lot["expires_at"], lot["reference"]) == (None, "start")


async def test_the_journal_is_listed_filtered_and_paged(newcomer: Person) -> None:
    page = await newcomer.get("/billing/ledger")
    (entry,) = page["items"]
    assert (entry["kind"], entry["available"], entry["charged"]) == ("grant", STARTING_GRANT, 0)
    assert page["next_cursor"] is None
    assert (await newcomer.get("/billing/ledger", params={"kind": "grant"}))["items"] == [entry]
    assert (await newcomer.get("/billing/ledger", params={"kind": "settle"}))["items"] == []
    run = {"run_id": str(UUID(int=5))}
    assert (await newcomer.get("/billing/ledger", params=run))["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"cursor": "x"}, "cursor")],
)
async def test_a_query_that_does_not_fit_names_its_field(
    person: Person, query: dict[str, Any], field: str
) -> None:
    problem = await person.get("/billing/ledger", status=422, params=query)
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("path", ["/billing/balance", "/billing/ledger"])
async def test_nobody_sees_an_account_without_signing_in(client: Any, path: str) -> None:
    assert (await client.get(path)).status_code == 401


async def test_a_run_has_the_cap_it_was_given_and_else_the_houses(person: Person) -> None:
    project = await person.project()
    path = f"/projects/{project['id']}/execute"
    refused = await person.post(path, status=422, json={"cap_credits": 0})
    assert [error["field"] for error in refused["errors"]] == ["cap_credits"]
    capped = await person.post(path, status=202, json={"cap_credits": 1_234})
    assert (capped["cap_credits"], capped["charged_credits"]) == (1_234, 0)
    await person.finished(capped["id"])
    usual = await person.post(path, status=202)
    assert usual["cap_credits"] == 30_000
    await person.finished(usual["id"])


async def test_the_dispatcher_books_what_has_lapsed(newcomer: Person, platform: Platform) -> None:
    me = (await newcomer.get("/auth/me"))["user"]["id"]
    connection = await asyncpg.connect(superuser_url(platform.stack))
    try:
        await connection.execute(
            "UPDATE lots SET expires_at = now() - interval '1 second' WHERE user_id = $1", UUID(me)
        )
    finally:
        await connection.close()
    until = time.monotonic() + 20
    while not (found := await newcomer.get("/billing/ledger", params={"kind": "expire"}))["items"]:
        assert time.monotonic() < until, "nothing lapsed"
        await asyncio.sleep(0.2)
    assert found["items"][0]["available"] == -STARTING_GRANT
    account = await newcomer.get("/billing/balance")
    assert (account["available"], account["lots"]) == (0, [])
