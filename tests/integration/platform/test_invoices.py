"""Billing profiles, invoices and the accountant's file, over HTTP on real parts."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from pypdf import PdfReader

from adapters.postgres.engine import open_engine
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemClock, UuidMaker
from domain.billing.days import day_of
from domain.billing.invoice import Invoice
from domain.billing.serials import FinancialYear
from domain.shared.ids import UserId
from entrypoints.cli.platform import Platform
from entrypoints.settings import SAMPLE_SUPPLIER
from tests.integration.platform.operators import administrator
from tests.integration.platform.person import Person
from tests.unit.billing.selling import Paid, Shop, Sold

GSTIN = "27AAPFU0939F1ZV"
NO_ID = "00000000-0000-7000-8000-000000000000"
SAVED = {"name": "Uday & Sons", "address": "Plot 9\nMumbai", "gstin": GSTIN}


@pytest.fixture
async def shop(platform: Platform) -> AsyncIterator[Shop]:
    """Sells into the platform's database, as a captured payment does."""
    engine = open_engine(platform.environment["DATABASE_URL"], pool_size=2, application="tests")
    yield Shop(
        uow=PostgresUnitOfWork(engine),
        clock=SystemClock(),
        ids=UuidMaker(),
        supplier=SAMPLE_SUPPLIER,
    )
    await engine.dispose()


async def put(person: Person, status: int = 200, **profile: str) -> Any:
    answer = await person.http.put("/billing/profile", json=profile)
    assert answer.status_code == status, answer.text
    return answer.json()


async def sold_to(person: Person, shop: Shop, **order: Any) -> tuple[Sold, Paid, Invoice]:
    me = await person.get("/auth/me")
    sold, payment = Sold(user_id=UserId(UUID(me["user"]["id"])), **order), Paid()
    return sold, payment, await shop.sell(sold, payment)


async def test_a_profile_is_saved_and_shown(newcomer: Person) -> None:
    before = await newcomer.get("/billing/profile")
    assert (before["billed_to"]["name"], before["saved_at"]) == ("A Person", None)
    saved = await put(newcomer, **SAVED)
    assert saved["billed_to"] == {
        **SAVED,
        "state": "27",
        "state_name": "Maharashtra",
        "country": "IN",
    }
    assert await newcomer.get("/billing/profile") == saved


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"gstin": "27AAPFU0939F1ZO"}, "gstin"),
        ({"state": "29"}, "state"),
        ({"address": ""}, "address"),
        ({"country": "Bharat"}, "country"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_does_not_fit_is_named(
    person: Person, changes: dict[str, str], field: str
) -> None:
    problem = await put(person, status=422, **{**SAVED, **changes})
    assert [entry["field"] for entry in problem["errors"]] == [field]


async def test_who_has_bought_nothing_has_no_invoices(newcomer: Person) -> None:
    assert await newcomer.get("/billing/invoices") == {"items": [], "next_cursor": None}


async def test_an_invoice_and_its_credit_note_are_shown_and_downloaded(
    newcomer: Person, stranger: Person, shop: Shop
) -> None:
    await put(newcomer, **SAVED)
    order, payment, invoice = await sold_to(newcomer, shop)
    note = await shop.take_back(order, payment, 59_000)
    assert note is not None

    listed = await newcomer.get("/billing/invoices")
    assert [item["number"] for item in listed["items"]] == [note.number, invoice.number]
    assert listed["items"][0]["invoice_id"] == str(invoice.id)

    shown = await newcomer.get(f"/billing/invoices/{invoice.id}")
    assert shown["billed_to"]["gstin"] == GSTIN
    assert (shown["place_of_supply"], shown["supply"]) == ("27-Maharashtra", "inter_state")
    assert shown["amounts"] == {
        "taxable_paise": 100_000,
        "cgst_paise": 0,
        "sgst_paise": 0,
        "igst_paise": 18_000,
        "total_paise": 118_000,
    }
    assert shown["total_in_words"] == "Rupees one thousand one hundred eighty only"
    assert (shown["payment_id"], shown["credits"]) == (str(payment.id), None)
    credit = await newcomer.get(f"/billing/invoices/{note.id}")
    assert credit["credits"]["number"] == invoice.number
    assert credit["amounts"]["total_paise"] == 59_000

    files = [await newcomer.http.get(f"/billing/invoices/{invoice.id}/pdf") for _ in range(2)]
    assert files[0].status_code == 200, files[0].text
    assert files[0].content == files[1].content
    assert files[0].headers["content-type"] == "application/pdf"
    assert files[0].headers["content-disposition"].startswith('attachment; filename="invoice-bb-')
    (page,) = PdfReader(io.BytesIO(files[0].content)).pages
    assert invoice.number in page.extract_text()
    assert "Sample, not a tax invoice" in page.extract_text()

    for path in (f"/billing/invoices/{invoice.id}", f"/billing/invoices/{note.id}/pdf"):
        assert (await stranger.get(path, status=404))["code"] == "not_found"
    assert not (await stranger.get("/billing/invoices"))["items"]


async def test_what_is_bought_over_http_is_invoiced_and_what_is_given_back_credited(
    platform: Platform, newcomer: Person
) -> None:
    await put(newcomer, **SAVED)
    order = await newcomer.post("/billing/orders", json={"pack": "starter"})
    async with httpx.AsyncClient(base_url=platform.url, timeout=30, trust_env=False) as page:
        reply = await page.post(
            f"{order['checkout']['url']}/approve", headers={"Accept": "application/json"}
        )
    await newcomer.post("/billing/payments/verify", status=200, json=reply.json())

    (item,) = (await newcomer.get("/billing/invoices"))["items"]
    invoice = await newcomer.get(f"/billing/invoices/{item['id']}")
    assert invoice["order_id"] == order["id"]
    assert invoice["billed_to"]["gstin"] == GSTIN
    assert invoice["amounts"]["total_paise"] == order["amount_paise"]
    assert invoice["amounts"]["igst_paise"] > 0

    async with administrator(platform) as operator:
        await operator.post(
            f"/admin/transactions/{invoice['payment_id']}/refund",
            status=202,
            json={"reason": "Bought twice", "amount_paise": 5_000},
        )
    async with asyncio.timeout(60):
        while len(listed := (await newcomer.get("/billing/invoices"))["items"]) < 2:
            await asyncio.sleep(0.1)
    note = await newcomer.get(f"/billing/invoices/{listed[0]['id']}")
    assert (note["kind"], note["reason"]) == ("credit_note", "Bought twice")
    assert note["credits"]["number"] == invoice["number"]
    assert note["amounts"]["total_paise"] == 5_000


async def test_documents_are_listed_by_kind_year_and_page(newcomer: Person, shop: Shop) -> None:
    bought = [await sold_to(newcomer, shop) for _ in range(3)]
    order, payment, _ = bought[0]
    note = await shop.take_back(order, payment, 100)
    assert note is not None
    made = [invoice.number for _, _, invoice in bought] + [note.number]

    seen, cursor = [], ""
    while cursor is not None:
        page = await newcomer.get("/billing/invoices", params={"limit": 2, "cursor": cursor})
        seen += [item["number"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]

    async def numbers(**query: str) -> list[str]:
        found = await newcomer.get("/billing/invoices", params=query)
        return [item["number"] for item in found["items"]]

    this_year = FinancialYear.of(day_of(datetime.now(UTC))).label
    assert await numbers(kind="credit_note") == [note.number]
    assert await numbers(financial_year=this_year, kind="invoice") == made[2::-1]
    assert await numbers(financial_year="2019-20") == []


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"financial_year": "2026"}, "financial_year"),
        ({"kind": "receipt"}, "kind"),
        ({"cursor": "!!!"}, "cursor"),
        ({"limit": "0"}, "limit"),
    ],
)
async def test_a_listings_parameters_are_checked(
    person: Person, params: dict[str, str], field: str
) -> None:
    problem = await person.get("/billing/invoices", status=422, params=params)
    assert problem["errors"][0]["field"] == field


async def test_an_unknown_invoice_is_not_found(person: Person) -> None:
    for path in (f"/billing/invoices/{NO_ID}", f"/billing/invoices/{NO_ID}/pdf"):
        assert (await person.get(path, status=404))["code"] == "not_found"


async def test_the_accountants_file_is_an_administrators_alone(person: Person) -> None:
    problem = await person.get("/admin/invoices.csv", status=403, params={"month": "2026-11"})
    assert problem["code"] == "permission_denied"


async def test_the_accountant_gets_everybodys_documents_of_a_month(
    platform: Platform, newcomer: Person, stranger: Person, shop: Shop
) -> None:
    await put(newcomer, **SAVED)
    _, _, business = await sold_to(newcomer, shop)
    order, payment, consumer = await sold_to(stranger, shop, amount_paise=99_999)
    note = await shop.take_back(order, payment, 99_999)
    assert note is not None
    month = f"{day_of(datetime.now(UTC)):%Y-%m}"
    async with administrator(platform) as operator:
        answer = await operator.http.get("/admin/invoices.csv", params={"month": month})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/csv")
        assert f'filename="invoices-{month}.csv"' in answer.headers["content-disposition"]
        rows = {
            row["number"]: row
            for row in csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
        }
        assert rows[business.number]["section"] == "B2B"
        assert rows[business.number]["recipient GSTIN"] == GSTIN
        assert rows[consumer.number]["section"] == "B2CS"
        assert rows[note.number]["document value"] == "999.99"
        assert rows[note.number]["original invoice number"] == consumer.number
        empty = await operator.http.get("/admin/invoices.csv", params={"month": "2019-01"})
        assert len(empty.text.splitlines()) == 1
        problem = await operator.get("/admin/invoices.csv", status=422, params={"month": "x"})
        assert problem["errors"][0]["field"] == "month"
        missing = await operator.get("/admin/invoices.csv", status=422)
        assert missing["errors"][0]["field"] == "month"
