"""Billing profiles, invoices and credit notes over the wire. Money is integer paise."""

from datetime import date, datetime
from uuid import UUID

import msgspec

from domain.billing.amounts import in_words
from domain.billing.gst import STATES, Taxed, place_name
from domain.billing.invoice import CreditNote, Invoice, Line
from domain.billing.parties import BillingProfile, Buyer, Supplier


class BillingProfileRequest(msgspec.Struct, forbid_unknown_fields=True):
    """How invoices should name the buyer.

    ``state`` is a two-digit GST code, e.g. ``29`` for Karnataka; it may be left out where the
    GSTIN tells it, and outside India. ``country`` is two letters of ISO 3166.
    """

    name: str
    address: str = ""
    state: str = ""
    country: str = "IN"
    gstin: str = ""


class BuyerView(msgspec.Struct):
    """Who is billed."""

    name: str
    address: str
    state: str
    state_name: str
    country: str
    gstin: str

    @classmethod
    def of(cls, buyer: Buyer) -> "BuyerView":
        return cls(
            name=buyer.name,
            address=buyer.address,
            state=buyer.state,
            state_name=STATES[buyer.state] if buyer.state else "",
            country=buyer.country,
            gstin=buyer.gstin,
        )


class BillingProfileView(msgspec.Struct):
    """How invoices name the buyer; ``saved_at`` is null while that is the account's name alone."""

    billed_to: BuyerView
    saved_at: datetime | None

    @classmethod
    def of(cls, buyer: Buyer, profile: BillingProfile | None) -> "BillingProfileView":
        return cls(BuyerView.of(buyer), profile.updated_at if profile else None)


class SupplierView(msgspec.Struct):
    """Who sells. A ``sample`` is nobody: its documents are no tax invoices."""

    name: str
    address: str
    state: str
    gstin: str
    sample: bool

    @classmethod
    def of(cls, supplier: Supplier) -> "SupplierView":
        return cls(
            name=supplier.name,
            address=supplier.address,
            state=supplier.state,
            gstin=supplier.gstin,
            sample=supplier.sample,
        )


class AmountsView(msgspec.Struct):
    """An amount and its taxes, in paise; they sum to ``total_paise``."""

    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    total_paise: int

    @classmethod
    def of(cls, amounts: Taxed) -> "AmountsView":
        return cls(
            taxable_paise=amounts.taxable,
            cgst_paise=amounts.cgst,
            sgst_paise=amounts.sgst,
            igst_paise=amounts.igst,
            total_paise=amounts.total,
        )


class InvoiceLineView(msgspec.Struct):
    """A line; ``gst_basis_points`` is its rate: 1800 is 18 %."""

    description: str
    sac: str
    quantity: int
    gst_basis_points: int
    amounts: AmountsView

    @classmethod
    def of(cls, line: Line) -> "InvoiceLineView":
        return cls(
            description=line.description,
            sac=line.sac,
            quantity=line.quantity,
            gst_basis_points=line.rate,
            amounts=AmountsView.of(line.amounts),
        )


class InvoiceSummaryView(msgspec.Struct):
    """An invoice or a credit note in a list; its PDF file is at ``pdf_url``."""

    id: UUID
    kind: str
    number: str
    financial_year: str
    issued_on: date
    billed_to: str
    amounts: AmountsView
    invoice_id: UUID | None
    pdf_url: str

    @classmethod
    def of(cls, document: Invoice | CreditNote) -> "InvoiceSummaryView":
        return cls(
            id=document.id,
            kind=document.kind.value,
            number=document.number,
            financial_year=document.year.label,
            issued_on=document.issued_on,
            billed_to=document.buyer.name,
            amounts=AmountsView.of(document.amounts),
            invoice_id=document.invoice_id if isinstance(document, CreditNote) else None,
            pdf_url=f"/api/v1/billing/invoices/{document.id}/pdf",
        )


class InvoicePageView(msgspec.Struct):
    """A page of documents; ``next_cursor`` asks for the one after it, if there is one."""

    items: list[InvoiceSummaryView]
    next_cursor: str | None


class CreditedInvoiceView(msgspec.Struct):
    """What a credit note takes back a part of."""

    id: UUID
    number: str
    issued_on: date
    total_paise: int


class InvoiceView(msgspec.Struct):
    """An invoice (with ``order_id`` and ``payment_id``) or a credit note (with ``credits``)."""

    id: UUID
    kind: str
    number: str
    financial_year: str
    issued_on: date
    supplier: SupplierView
    billed_to: BuyerView
    place_of_supply: str
    supply: str
    reverse_charge: bool
    lines: list[InvoiceLineView]
    amounts: AmountsView
    total_in_words: str
    order_id: UUID | None
    payment_id: str | None
    credits: CreditedInvoiceView | None
    refund_id: str | None
    reason: str | None
    pdf_url: str

    @classmethod
    def of(cls, document: Invoice | CreditNote) -> "InvoiceView":
        invoice = document if isinstance(document, Invoice) else None
        note = document if isinstance(document, CreditNote) else None
        return cls(
            id=document.id,
            kind=document.kind.value,
            number=document.number,
            financial_year=document.year.label,
            issued_on=document.issued_on,
            supplier=SupplierView.of(document.supplier),
            billed_to=BuyerView.of(document.buyer),
            place_of_supply=place_name(document.place),
            supply=document.supply.value,
            reverse_charge=document.reverse_charge,
            lines=[InvoiceLineView.of(line) for line in document.lines],
            amounts=AmountsView.of(document.amounts),
            total_in_words=in_words(document.amounts.total),
            order_id=invoice.order_id if invoice else None,
            payment_id=invoice.payment_id if invoice else None,
            credits=_credited(note) if note else None,
            refund_id=note.refund_id if note else None,
            reason=note.reason if note else None,
            pdf_url=f"/api/v1/billing/invoices/{document.id}/pdf",
        )


def _credited(note: CreditNote) -> CreditedInvoiceView:
    return CreditedInvoiceView(
        id=note.invoice_id,
        number=note.invoice_number,
        issued_on=note.invoice_date,
        total_paise=note.invoice_total,
    )
