"""The accountant's file."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date

import pytest

from application.billing.export_invoices import ExportInvoices, Month
from application.ports.persistence import UnitOfWork
from domain.billing.gstr1 import LARGE_PAISE, Row, Section, rows_of, section_of
from domain.billing.invoice import Item
from domain.billing.parties import Buyer, Supplier
from domain.shared.errors import InvalidValue
from entrypoints.http.invoice_csv import BYTE_ORDER_MARK, COLUMNS, as_csv
from tests.contracts.invoice_samples import (
    ABROAD,
    ASHA,
    FIRM,
    GSTIN_MAHARASHTRA,
    SUPPLIER,
    keep_credit_note,
    keep_invoice,
    make_credit_note,
    make_invoice,
    make_item,
)
from tests.fakes.clock import MovableClock
from tests.fakes.persistence import (
    InMemoryDatabase,
    InMemoryInvoiceRegister,
    InMemoryUnitOfWork,
)

FAR = replace(ASHA, state="27")
LARGE = make_item(amount=LARGE_PAISE + 1)
UNREGISTERED = replace(SUPPLIER, gstin="")


@pytest.fixture
def database() -> InMemoryDatabase:
    return InMemoryDatabase(MovableClock())


@pytest.fixture
def uow(database: InMemoryDatabase) -> UnitOfWork:
    return InMemoryUnitOfWork(database)


@pytest.mark.parametrize(
    ("buyer", "item", "supplier", "invoice", "note"),
    [
        (FIRM, LARGE, SUPPLIER, Section.B2B, Section.CREDIT_REGISTERED),
        (ASHA, LARGE, SUPPLIER, Section.B2C_SMALL, Section.B2C_SMALL),
        (FAR, LARGE, SUPPLIER, Section.B2C_LARGE, Section.CREDIT_UNREGISTERED),
        (FAR, make_item(amount=LARGE_PAISE), SUPPLIER, Section.B2C_SMALL, Section.B2C_SMALL),
        (ABROAD, make_item(), SUPPLIER, Section.EXPORT, Section.CREDIT_UNREGISTERED),
        (FIRM, LARGE, UNREGISTERED, Section.OUTSIDE, Section.OUTSIDE),
    ],
)
def test_a_document_is_in_its_section(
    buyer: Buyer, item: Item, supplier: Supplier, invoice: Section, note: Section
) -> None:
    document = make_invoice(item, buyer=buyer, supplier=supplier)
    assert section_of(document) is invoice
    # A small credit against a large invoice is reported where the invoice was.
    assert section_of(make_credit_note(document, 100)) is note


def test_a_document_has_a_row_for_each_rate() -> None:
    items = [make_item(), make_item(rate=500, amount=10_500, sac="998434"), make_item(amount=118)]
    invoice = make_invoice(*items)
    low, high = rows_of(invoice)
    assert (low.rate, low.sac, low.amounts.total) == (500, "998434", 10_500)
    assert (high.rate, high.sac, high.amounts.total) == (1_800, "998314", 118_118)
    assert low.amounts + high.amounts == invoice.amounts


@pytest.mark.parametrize(("undertaking", "type_"), [("AD290326001234X", "WOPAY"), ("", "WPAY")])
def test_an_export_says_whether_tax_was_paid(undertaking: str, type_: str) -> None:
    supplier = replace(SUPPLIER, undertaking=undertaking)
    (row,) = rows_of(make_invoice(buyer=ABROAD, supplier=supplier))
    assert row.export_type == type_


async def test_a_months_rows_are_invoices_and_then_credit_notes(
    database: InMemoryDatabase, uow: UnitOfWork
) -> None:
    days = [date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1), date(2027, 1, 5)]
    invoices = [await keep_invoice(uow, issued_on=day) for day in sorted(days * 2)]
    notes = [await keep_credit_note(uow, invoice, 100) for invoice in invoices]
    rows = await ExportInvoices(InMemoryInvoiceRegister(database), batch=2)(Month.named("2026-11"))
    assert [row.document async for row in rows] == [*invoices[:4], *notes[:4]]


@pytest.mark.parametrize("label", ["", "2026", "2026-13", "2026-00", "0000-01", "11-2026", "x"])
def test_what_names_no_month_is_refused(label: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        Month.named(label)
    assert refusal.value.field == "month"


def test_a_month_ends_on_its_last_day() -> None:
    assert Month.named("2028-02").last == date(2028, 2, 29)


async def file_of(*rows: Row) -> str:
    async def taken() -> AsyncIterator[Row]:
        for row in rows:
            yield row

    return b"".join([chunk async for chunk in as_csv(taken())]).decode()


async def table_of(*rows: Row) -> list[dict[str, str]]:
    text = (await file_of(*rows)).removeprefix(BYTE_ORDER_MARK)
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_a_month_without_documents_is_a_file_of_titles() -> None:
    assert await file_of() == BYTE_ORDER_MARK + ",".join(COLUMNS) + "\r\n"


async def test_a_row_is_written_for_the_return() -> None:
    invoice = make_invoice(buyer=FIRM)
    (row,) = await table_of(*rows_of(invoice))
    assert row == {
        "section": "B2B",
        "document type": "Invoice",
        "number": "BB/26-27/000001",
        "date": "02-Nov-2026",
        "recipient GSTIN": GSTIN_MAHARASHTRA,
        "recipient name": "Uday & Sons",
        "place of supply": "27-Maharashtra",
        "reverse charge": "N",
        "document value": "1180.00",
        "rate": "18",
        "taxable value": "1000.00",
        "integrated tax": "180.00",
        "central tax": "0.00",
        "state or UT tax": "0.00",
        "cess": "0.00",
        "SAC": "998314",
        "export type": "",
        "original invoice number": "",
        "original invoice date": "",
    }
    (credit,) = await table_of(*rows_of(make_credit_note(invoice, 59_000)))
    assert (credit["section"], credit["document type"]) == ("CDNR", "Credit note")
    assert (credit["original invoice number"], credit["original invoice date"]) == (
        "BB/26-27/000001",
        "02-Nov-2026",
    )


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
async def test_a_name_is_never_a_formula(name: str) -> None:
    (row,) = await table_of(*rows_of(make_invoice(buyer=replace(ASHA, name=name))))
    assert row["recipient name"] == f"'{name}"


async def test_names_keep_their_commas_quotes_and_letters() -> None:
    name = 'Rao, "Asha" आशा'
    (row,) = await table_of(*rows_of(make_invoice(buyer=replace(ASHA, name=name))))
    assert row["recipient name"] == name


async def test_a_long_file_comes_in_chunks() -> None:
    rows = [row for _ in range(2_000) for row in rows_of(make_invoice())]

    async def taken() -> AsyncIterator[Row]:
        for row in rows:
            yield row

    chunks = [chunk async for chunk in as_csv(taken())]
    assert len(chunks) > 5
    assert max(map(len, chunks)) < 40_000
    assert b"".join(chunks).decode().count("\r\n") == 2_001
