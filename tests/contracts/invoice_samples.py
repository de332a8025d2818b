"""Invoices for tests."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from application.billing.issue_invoice import Terms
from application.ports.persistence import UnitOfWork
from domain.billing.invoice import CreditNote, Invoice, Item, reversed_parts, taxed_lines
from domain.billing.parties import Buyer, Supplier
from domain.billing.serials import FinancialYear, serial_number
from domain.identity.user import User
from domain.shared.ids import CreditNoteId, InvoiceId, UserId
from tests.contracts.samples import keep_user, new_id

GSTIN_MAHARASHTRA = "27AAPFU0939F1ZV"
GSTIN_KARNATAKA = "29AAGCB7383J1Z4"

SUPPLIER = Supplier(
    name="BharatBuild Technologies Private Limited",
    address="4th Floor, 12 Residency Road\nBengaluru 560025",
    state="29",
    gstin=GSTIN_KARNATAKA,
)
TERMS = Terms(
    supplier=SUPPLIER, sac="998314", rate=1_800, invoice_prefix="BB", credit_note_prefix="BC"
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
    user_id: UserId | None = None,
    sequence: int = 1,
    issued_on: date = date(2026, 11, 2),
    **changes: Any,
) -> Invoice:
    """An invoice of these items, or of one."""
    place, supply, lines = taxed_lines(items or (make_item(),), supplier, buyer)
    year = FinancialYear.of(issued_on)
    invoice = Invoice(
        id=InvoiceId(new_id()),
        user_id=user_id or UserId(new_id()),
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
    """A credit note over ``amount`` of the invoice, after earlier ones, of the same day."""
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
        invoice_total=invoice.amounts.total,
        refund_id=f"rfnd_{new_id().hex}",
        reason="Refund",
    )
    return replace(note, **changes)


async def keep_invoice(
    uow: UnitOfWork, *items: Item, owner: User | None = None, **changes: Any
) -> Invoice:
    """A stored invoice in the next place of its series, of ``owner`` or of somebody new."""
    owner = owner or await keep_user(uow)
    invoice = make_invoice(*items, user_id=owner.id, **changes)
    async with uow.begin(owner.id) as tx:
        turn = await tx.invoices.take_turn(invoice.kind, invoice.year, invoice.issued_on)
        invoice = replace(
            invoice,
            sequence=turn.sequence,
            issued_on=turn.on,
            number=serial_number("BB", invoice.year, turn.sequence),
        )
        await tx.invoices.add(invoice)
    return invoice


async def keep_credit_note(
    uow: UnitOfWork, invoice: Invoice, amount: int, *earlier: CreditNote, **changes: Any
) -> CreditNote:
    """A stored credit note in the next place of its series."""
    note = make_credit_note(invoice, amount, *earlier, **changes)
    async with uow.begin(invoice.user_id) as tx:
        turn = await tx.invoices.take_turn(note.kind, note.year, note.issued_on)
        note = replace(
            note,
            sequence=turn.sequence,
            issued_on=turn.on,
            number=serial_number("BC", note.year, turn.sequence),
        )
        await tx.invoices.add(note)
    return note
