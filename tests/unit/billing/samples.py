"""Invoices for tests."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from domain.billing.invoice import (
    Buyer,
    CreditNote,
    Invoice,
    Item,
    Supplier,
    reversed_parts,
    taxed_lines,
)
from domain.billing.serials import FinancialYear, serial_number
from domain.shared.ids import CreditNoteId, InvoiceId, UserId
from tests.contracts.samples import new_id

GSTIN_MAHARASHTRA = "27AAPFU0939F1ZV"
GSTIN_KARNATAKA = "29AAGCB7383J1Z4"

SUPPLIER = Supplier(
    name="BharatBuild Technologies Private Limited",
    address="4th Floor, 12 Residency Road\nBengaluru 560025",
    state="29",
    gstin=GSTIN_KARNATAKA,
)
ASHA = Buyer(name="Asha Rao", address="7 Lake View\nMysuru 570001", state="29")
FIRM = Buyer(
    name="Uday & Sons", address="Plot 9, Andheri\nMumbai 400053", state="27",
    gstin=GSTIN_MAHARASHTRA,
)  # fmt: skip
ABROAD = Buyer(name="Jane Doe", address="1 Main Street, Springfield", country="US")


def make_item(**changes: Any) -> Item:
    """1,180 rupees at 18 %."""
    item = Item(description="1,00,000 credits", sac="998314", rate=1_800, amount=118_000)
    return replace(item, **changes)


def make_invoice(
    *items: Item,
    supplier: Supplier = SUPPLIER,
    buyer: Buyer = ASHA,
    sequence: int = 1,
    issued_on: date = date(2026, 11, 2),
    **changes: Any,
) -> Invoice:
    """An invoice of these items, or of one."""
    place, supply, lines = taxed_lines(items or (make_item(),), supplier, buyer)
    year = FinancialYear.of(issued_on)
    invoice = Invoice(
        id=InvoiceId(new_id()),
        user_id=UserId(new_id()),
        number=serial_number("BB", year, sequence),
        sequence=sequence,
        year=year,
        issued_on=issued_on,
        supplier=supplier,
        buyer=buyer,
        place=place,
        supply=supply,
        lines=lines,
        created_at=datetime(2026, 11, 2, 9, 0, tzinfo=UTC),
        order_id=new_id(),
        payment_id=f"pay_{new_id().hex}",
    )
    return replace(invoice, **changes)


def make_credit_note(
    invoice: Invoice, amount: int, *earlier: CreditNote, sequence: int = 1, **changes: Any
) -> CreditNote:
    """A credit note over ``amount`` of the invoice, after earlier ones."""
    note = CreditNote(
        id=CreditNoteId(new_id()),
        user_id=invoice.user_id,
        number=serial_number("BC", invoice.year, sequence),
        sequence=sequence,
        year=invoice.year,
        issued_on=invoice.issued_on,
        supplier=invoice.supplier,
        buyer=invoice.buyer,
        place=invoice.place,
        supply=invoice.supply,
        lines=reversed_parts(invoice, earlier, amount),
        created_at=invoice.created_at,
        invoice_id=invoice.id,
        invoice_number=invoice.number,
        invoice_date=invoice.issued_on,
        refund_id=f"rfnd_{new_id().hex}",
        reason="Refund",
    )
    return replace(note, **changes)
