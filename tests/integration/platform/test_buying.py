"""Buying credits as ``bharatbuild up`` offers it: over HTTP alone, on the local gateway."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from adapters.postgres.engine import open_engine
from domain.billing.days import day_of
from entrypoints.cli.platform import Platform
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.http_process import answering, http_process
from tests.integration.platform.operators import command
from tests.integration.platform.person import PASSWORD, Person

KEY = "Idempotency-Key"
PACK = {"pack": "starter"}
CREDITS = 20_000
JSON = {"Accept": "application/json"}


@pytest.fixture
async def page(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a session, for the gateway's page."""
    async with httpx.AsyncClient(base_url=platform.url, timeout=30, trust_env=False) as opened:
        yield opened


@pytest.fixture(scope="module")
async def operator(platform: Platform) -> AsyncIterator[Person]:
    """Somebody who may give money back and make coupons."""
    async with Person(platform.url) as promoted:
        status, said = await command(platform, "users", "grant-role", promoted.email, "admin")
        assert status == 0, said
        signed_in: Any = await promoted.post(
            "/auth/login", status=200, json={"email": promoted.email, "password": PASSWORD}
        )
        promoted.http.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
        yield promoted


async def free(person: Person) -> int:
    return int((await person.get("/auth/me"))["credits_available"])


async def settled(person: Person, order: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    """The order's detail once it is paid."""
    deadline = time.monotonic() + seconds
    while True:
        detail: dict[str, Any] = await person.get(f"/billing/orders/{order['id']}")
        if detail["order"]["status"] == "paid":
            return detail
        assert time.monotonic() < deadline, f"the order was not paid: {detail}"
        await asyncio.sleep(0.1)


async def bought(person: Person, page: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """An order that was paid on the page, and the reply that the browser sent on."""
    order: dict[str, Any] = await person.post("/billing/orders", json={**PACK, **more})
    reply = await page.post(f"{order['checkout']['url']}/approve", headers=JSON)
    assert reply.status_code == 200, reply.text
    paid: dict[str, Any] = await person.post(
        "/billing/payments/verify", status=200, json=reply.json()
    )
    return paid


async def test_credits_are_bought_on_the_page_and_arrive(
    newcomer: Person, page: httpx.AsyncClient
) -> None:
    before = await free(newcomer)
    packs = await newcomer.get("/billing/packs")
    offered = next(pack for pack in packs["items"] if pack["code"] == "starter")
    order = await newcomer.post("/billing/orders", json=PACK)
    assert (order["status"], order["amount_paise"]) == ("open", offered["amount_paise"])
    url = order["checkout"]["url"]
    shown = await page.get(url)
    assert shown.status_code == 200
    assert "Approve this payment?" in shown.text
    assert offered["amount"] in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    approved = await page.post(f"{url}/approve")
    assert "Payment approved" in approved.text
    # Nothing is sent on by a browser here: the gateway's events alone pay the order.
    detail = await settled(newcomer, order)
    assert [payment["status"] for payment in detail["payments"]] == ["captured"]
    assert detail["order"]["checkout"] is None
    assert await free(newcomer) == before + CREDITS
    assert "Paid" in (await page.get(url)).text


async def test_the_browsers_reply_pays_at_once_and_events_add_nothing(
    newcomer: Person, page: httpx.AsyncClient
) -> None:
    before = await free(newcomer)
    paid = await bought(newcomer, page)
    assert paid["status"] == "paid"
    assert await free(newcomer) == before + CREDITS
    await asyncio.sleep(2.5)  # two rounds of the dispatcher over the approval's two events
    assert await free(newcomer) == before + CREDITS
    (line,) = (await newcomer.get("/billing/transactions"))["items"]
    assert (line["kind"], line["status"], line["order_id"]) == ("payment", "captured", paid["id"])


async def test_a_declined_payment_leaves_the_order_to_be_paid(
    newcomer: Person, page: httpx.AsyncClient
) -> None:
    before = await free(newcomer)
    order = await newcomer.post("/billing/orders", json={"credits": 12_345})
    url = order["checkout"]["url"]
    assert "Payment declined" in (await page.post(f"{url}/decline")).text
    reply = (await page.post(f"{url}/decline", headers=JSON)).json()
    still = await newcomer.post("/billing/payments/verify", status=200, json=reply)
    assert still["status"] == "open"
    assert await free(newcomer) == before
    await page.post(f"{url}/approve")
    await settled(newcomer, order)
    assert await free(newcomer) == before + 12_345


async def test_a_reply_that_was_tampered_with_is_refused(
    newcomer: Person, page: httpx.AsyncClient
) -> None:
    before = await free(newcomer)
    one = await newcomer.post("/billing/orders", json=PACK)
    two = await newcomer.post("/billing/orders", json=PACK)
    reply = (await page.post(f"{one['checkout']['url']}/approve", headers=JSON)).json()
    for changed in (
        {"razorpay_order_id": two["checkout"]["gateway_order_id"]},
        {"razorpay_payment_id": "pay_other"},
        {"razorpay_signature": "0" * 64},
    ):
        refused = await newcomer.post(
            "/billing/payments/verify", status=400, json={**reply, **changed}
        )
        assert refused["code"] == "signature_invalid"
    await settled(newcomer, one)
    assert await free(newcomer) == before + CREDITS
    detail = await newcomer.get(f"/billing/orders/{two['id']}")
    assert detail["order"]["status"] == "open"


async def test_an_order_repeated_with_its_key_is_one_order(newcomer: Person) -> None:
    headers = {KEY: str(uuid4())}
    first = await newcomer.post("/billing/orders", json=PACK, headers=headers)
    assert await newcomer.post("/billing/orders", json=PACK, headers=headers) == first
    assert len((await newcomer.get("/billing/orders"))["items"]) == 1


async def test_the_price_is_the_servers(newcomer: Person) -> None:
    for body in (
        {**PACK, "amount_paise": 100},
        {"credits": 9_999},
        {**PACK, "credits": 10_000},
        {},
    ):
        assert (await newcomer.post("/billing/orders", status=422, json=body))["errors"]
    refused = await newcomer.post("/billing/orders", status=422, json={"pack": "free"})
    assert refused["errors"][0]["field"] == "pack"
    assert "starter" in refused["errors"][0]["message"]


async def test_an_order_is_cancelled_once_and_listed(newcomer: Person) -> None:
    order = await newcomer.post("/billing/orders", json=PACK)
    other = await newcomer.post("/billing/orders", json=PACK)
    cancelled = await newcomer.post(f"/billing/orders/{order['id']}/cancel", status=200)
    assert (cancelled["status"], cancelled["checkout"]) == ("cancelled", None)
    again = await newcomer.post(f"/billing/orders/{order['id']}/cancel", status=409)
    assert again["code"] == "order_not_open"
    listed = await newcomer.get("/billing/orders", params={"status": "open"})
    assert [item["id"] for item in listed["items"]] == [other["id"]]
    first = await newcomer.get("/billing/orders", params={"limit": 1})
    rest = await newcomer.get(
        "/billing/orders", params={"limit": 1, "cursor": first["next_cursor"]}
    )
    assert [first["items"][0]["id"], rest["items"][0]["id"]] == [other["id"], order["id"]]
    assert rest["next_cursor"] is None


async def test_a_strangers_order_is_not_there(newcomer: Person, stranger: Person) -> None:
    order = await newcomer.post("/billing/orders", json=PACK)
    assert (await stranger.get(f"/billing/orders/{order['id']}", status=404))["code"]
    refused = await stranger.post(f"/billing/orders/{order['id']}/cancel", status=404)
    assert refused["code"] == "not_found"


async def test_an_event_that_nobody_signed_is_refused(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"X-Razorpay-Signature": "0" * 64}, {"X-Simulated-Signature": "0" * 64}):
        answer = await client.post("/webhooks/razorpay", json={"event": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "signature_invalid")
    large = await client.post("/webhooks/razorpay", content=b" " * (65 * 1024))
    assert large.status_code == 422


async def test_no_order_is_shown_that_is_not_there(page: httpx.AsyncClient) -> None:
    answer = await page.get("/simulated-gateway/orders/order_nowhere")
    assert (answer.status_code, "No such order" in answer.text) == (404, True)
    strange = await page.get("/simulated-gateway/orders/%3Cscript%3E")
    assert "<script>" not in strange.text


async def test_a_member_has_no_say_over_others_money(newcomer: Person) -> None:
    for path in ("/admin/orders", "/admin/transactions", "/admin/coupons", "/admin/gateway-events"):
        assert (await newcomer.get(path, status=403))["code"] == "permission_denied"
    for path in (f"/admin/transactions/{uuid4()}/refund", f"/admin/refunds/{uuid4()}/retry"):
        body = {"reason": "mine"}
        assert (await newcomer.post(path, status=403, json=body))["code"] == "permission_denied"


async def test_an_operator_gives_a_part_back_once(
    newcomer: Person, operator: Person, page: httpx.AsyncClient
) -> None:
    before = await free(newcomer)
    await bought(newcomer, page)
    me = await newcomer.get("/auth/me")
    listed = await operator.get("/admin/transactions", params={"user_id": me["user"]["id"]})
    (entry,) = listed["items"]
    assert entry["user_id"] == me["user"]["id"]
    today = day_of(datetime.now(UTC)).isoformat()
    asked = {"user_id": me["user"]["id"], "from": today, "to": today}
    (order,) = (await operator.get("/admin/orders", params=asked))["items"]
    assert order["order"]["id"] == entry["transaction"]["order_id"]
    assert (await operator.get("/admin/orders", params={**asked, "status": "open"}))["items"] == []
    for path in ("/billing/orders", "/billing/transactions", "/billing/ledger"):
        of_today = await newcomer.get(path, params={"from": today, "to": today})
        assert of_today["items"] == (await newcomer.get(path))["items"] != []
        assert (await newcomer.get(path, params={"to": "2020-01-01"}))["items"] == []
        refused = await newcomer.get(path, status=422, params={"from": today, "to": "2020-01-01"})
        assert refused["code"] == "invalid_value" and "'from'" in refused["detail"]
    payment = entry["transaction"]
    path = f"/admin/transactions/{payment['id']}/refund"
    body = {"reason": "half of it was not used", "amount_paise": payment["amount_paise"] // 2}
    headers = {KEY: str(uuid4())}
    refund = await operator.post(path, status=202, json=body, headers=headers)
    assert refund["status"] == "processed"
    assert await operator.post(path, status=202, json=body, headers=headers) == refund
    assert await free(newcomer) == before + CREDITS // 2
    too_much = await operator.post(
        path, status=409, json={"reason": "more", "amount_paise": payment["amount_paise"]}
    )
    assert too_much["code"] == "nothing_to_refund"
    rest = await operator.post(path, status=202, json={"reason": "all of it"})
    assert rest["amount_paise"] == payment["amount_paise"] - body["amount_paise"]
    assert await free(newcomer) == before
    kinds = [line["kind"] for line in (await newcomer.get("/billing/transactions"))["items"]]
    assert kinds == ["refund", "refund", "payment"]
    only = await newcomer.get("/billing/transactions", params={"kind": "payment"})
    assert [line["refunded_paise"] for line in only["items"]] == [payment["amount_paise"]]


@pytest.mark.parametrize("at", ["refund-kept", "refund-answered"])
async def test_a_refund_outlives_the_process_that_was_asked_for_it(
    platform: Platform,
    newcomer: Person,
    operator: Person,
    page: httpx.AsyncClient,
    tmp_path: Path,
    at: str,
) -> None:
    before = await free(newcomer)
    await bought(newcomer, page)
    (payment,) = (await newcomer.get("/billing/transactions"))["items"]
    path = f"/admin/transactions/{payment['id']}/refund"
    body = {"reason": "half of it", "amount_paise": payment["amount_paise"] // 2}
    headers = {KEY: str(uuid4())}
    doomed = {
        name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ
    } | {**platform.environment, "BHARATBUILD_FAILPOINT": at}
    del doomed["DATABASE_OWNER_URL"]
    async with http_process(doomed, tmp_path / "http.log", choose_free_port()) as url:
        await answering(url)
        with pytest.raises(httpx.TransportError):
            await page.post(
                f"{url}/api/v1{path}", json=body, headers={**headers, **authorized(operator)}
            )
    # The refund and the reply to its key are there, and nobody waits for a lease to run out.
    first = await operator.http.post(path, json=body, headers=headers)
    assert (first.status_code, first.headers["Idempotency-Replayed"]) == (202, "true")
    assert first.json()["status"] == "requested"
    engine = open_engine(
        platform.environment["DATABASE_DISPATCH_URL"], pool_size=1, application="tests"
    )
    async with engine.begin() as connection:
        # Its look comes in half a minute; nobody is to wait for that here.
        await connection.execute(
            text("UPDATE transactions SET due_at = now() WHERE id = :id AND due_at > now()"),
            {"id": UUID(first.json()["id"])},
        )
    await engine.dispose()
    refund = await given_back(newcomer)
    assert refund["id"] == first.json()["id"]
    assert await free(newcomer) == before + CREDITS // 2
    again = await operator.http.post(path, json=body, headers=headers)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert await given_back(newcomer) == refund


async def given_back(person: Person, seconds: float = 60) -> dict[str, Any]:
    """Their one refund, once it was processed."""
    deadline = time.monotonic() + seconds
    while True:
        listed = await person.get("/billing/transactions", params={"kind": "refund"})
        (refund,) = listed["items"]
        if refund["status"] == "processed":
            return dict(refund)
        assert time.monotonic() < deadline, f"the refund was not processed: {refund}"
        await asyncio.sleep(0.1)


def authorized(person: Person) -> dict[str, str]:
    return {"Authorization": person.http.headers["Authorization"]}


async def test_all_that_is_left_of_nothing_is_not_a_field_that_does_not_fit(
    newcomer: Person, operator: Person, page: httpx.AsyncClient
) -> None:
    await bought(newcomer, page)
    (payment,) = (await newcomer.get("/billing/transactions"))["items"]
    path = f"/admin/transactions/{payment['id']}/refund"
    await operator.post(path, status=202, json={"reason": "all of it"})
    again = await operator.post(path, status=409, json={"reason": "all of it"})
    assert (again["code"], again["refundable_paise"]) == ("nothing_to_refund", 0)


async def test_an_operator_makes_a_coupon_that_a_person_uses_once(
    newcomer: Person, operator: Person, page: httpx.AsyncClient
) -> None:
    code = f"SAVE-{uuid4().hex[:8]}"
    coupon = await operator.post(
        "/admin/coupons", json={"code": code.lower(), "percent": 25, "max_redemptions": 5}
    )
    assert (coupon["code"], coupon["redeemed"]) == (code.upper(), 0)
    taken = await operator.post("/admin/coupons", status=409, json={"code": code, "percent": 5})
    assert taken["code"] == "coupon_code_taken"
    paid = await bought(newcomer, page, coupon=code)
    assert (paid["discount_paise"], paid["amount_paise"]) == (5_900, 17_700)
    used = await newcomer.post("/billing/orders", status=409, json={**PACK, "coupon": code})
    assert used["code"] == "coupon_already_used"
    off = await operator.http.patch(f"/admin/coupons/{coupon['id']}", json={"active": False})
    assert (off.status_code, off.json()["active"], off.json()["redeemed"]) == (200, False, 1)
    listed = await operator.get("/admin/coupons", params={"limit": 1})
    assert listed["items"][0]["id"] == coupon["id"]


async def test_the_gateways_events_can_be_looked_at(
    newcomer: Person, operator: Person, page: httpx.AsyncClient
) -> None:
    order = await newcomer.post("/billing/orders", json=PACK)
    await page.post(f"{order['checkout']['url']}/approve")
    await settled(newcomer, order)
    await asyncio.sleep(1.5)
    done = await operator.get("/admin/gateway-events", params={"status": "done", "limit": 2})
    gateway_order_id = order["checkout"]["gateway_order_id"]
    assert all(gateway_order_id in event["body"] for event in done["items"])
    refused = await operator.post(
        f"/admin/gateway-events/{done['items'][0]['id']}/retry", status=409
    )
    assert refused["code"] == "conflict"
