"""Invoices and credit notes as PDF, typeset by Typst.

What people wrote (names, addresses, descriptions) is handed over as JSON strings, which the
template sets as they are: nothing of it is read as markup. The fonts are those beside this
module: Latin, and every script of India's official languages; the system's are not looked at,
so that a document looks, and is, the same wherever it is made.
"""

import asyncio
import re
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import typst

from domain.billing.amounts import in_figures, in_words
from domain.billing.gst import Supply, Taxed, percent, place_name, state_tax_name
from domain.billing.invoice import CreditNote, Invoice, Line, TaxDocument
from domain.billing.parties import Buyer, Supplier
from domain.billing.serials import written

_HERE = Path(__file__).parent
_LONG_WORD = re.compile(r"[^\s-]{24}(?=[^\s-])")
"""A word that goes on after 24 characters: it may be broken there, so that it cannot run out
of its column."""
_LONG_WITH_HYPHENS = re.compile(r"\S{24,}")
"""What may be broken at its hyphens, too: before a digit, as in identifiers, no line would end
there (UAX 14, LB25)."""


class TypstInvoiceRenderer:
    """Satisfies :class:`application.ports.invoices.InvoiceRenderer`.

    Typesetting is work for the processor (some milliseconds a page), so it runs in threads, at
    most ``concurrency`` of them at a time, and the event loop stays free.
    """

    def __init__(self, concurrency: int = 2) -> None:
        self._slots = asyncio.Semaphore(concurrency)

    async def render(self, document: Invoice | CreditNote) -> bytes:
        """The document as a PDF file. Equal documents give equal bytes."""
        async with self._slots:
            return await asyncio.to_thread(render_invoice, document)


def render_invoice(document: Invoice | CreditNote) -> bytes:
    """What the renderer does, without the threads."""
    made = typst.compile(
        _template(),
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"document": msgspec.json.encode(shown(document)).decode()},
        timestamp=datetime.combine(document.issued_on, time(), UTC),
        pdf_standards=["a-2a"],
    )
    if not isinstance(made, bytes):
        raise TypeError("one document is one file")
    return made


def shown(document: Invoice | CreditNote) -> dict[str, Any]:
    """The document's words, as the template places them."""
    note = document if isinstance(document, CreditNote) else None
    taxes = _taxes(document)
    amounts = document.amounts
    sample = document.supplier.sample
    return {
        "title": _title(document),
        "number": document.number,
        "date": written(document.issued_on),
        "day": {
            "year": document.issued_on.year,
            "month": document.issued_on.month,
            "day": document.issued_on.day,
        },
        "watermark": "SAMPLE" if sample else "",
        "banner": "Sample, not a tax invoice: the supplier's particulars are not set."
        if sample
        else "",
        "supplier": {
            "name": _breakable(document.supplier.name),
            "lines": _supplier_lines(document.supplier),
        },
        "buyer": {
            "label": "Credited to" if note else "Billed to",
            "name": _breakable(document.buyer.name),
            "lines": _buyer_lines(document.buyer),
        },
        "facts": [[name, _breakable(value)] for name, value in _facts(document)],
        "columns": [
            {"title": title, "figures": figures, "wide": title == "Description"}
            for title, figures in _columns(document, taxes)
        ],
        "rows": [
            _row(place, line, document.supply, taxes)
            for place, line in enumerate(document.lines, start=1)
        ],
        "words": in_words(amounts.total),
        "notes": list(_notes(document)),
        "totals": [["Taxable value", _rupees(amounts.taxable)]]
        + [
            [name + _share_of_rate(document, len(taxes)), _rupees(getattr(amounts, part))]
            for part, name in taxes
        ]
        if document.supply.taxed
        else [],
        "total": ["Total credited" if note else "Total", _rupees(amounts.total)],
        "rates": _rate_rows(document, taxes),
        "footer": "Made by computer and valid without a signature.",
    }


def _title(document: TaxDocument) -> str:
    if isinstance(document, CreditNote):
        return "Credit Note"
    taxed = document.supplier.gstin and document.supply is not Supply.UNREGISTERED
    return "Tax Invoice" if taxed else "Invoice"


def _taxes(document: TaxDocument) -> list[tuple[str, str]]:
    """The taxes the document has columns for: the part of the amounts, and its name."""
    if not document.supply.taxed:
        return []
    if document.supply is Supply.INTRA_STATE:
        return [("cgst", "CGST"), ("sgst", state_tax_name(document.place))]
    return [("igst", "IGST")]


def _share_of_rate(document: TaxDocument, taxes: int) -> str:
    """E.g. `` 9%`` for central tax at 18 %, where all lines have one rate."""
    rates = [rate for rate, _ in document.rates]
    if len(rates) > 1 or rates[0] % taxes:
        return ""
    return f" {percent(rates[0] // taxes)}"


def _columns(document: TaxDocument, taxes: list[tuple[str, str]]) -> list[tuple[str, bool]]:
    """Titles, and whether figures stand below them."""
    columns = [("#", True), ("Description", False), ("SAC", False), ("Qty", True)]
    if document.supply.taxed:
        columns += [("Rate", True), ("Taxable value", True)]
    return [*columns, *((name, True) for _, name in taxes), ("Total", True)]


def _row(place: int, line: Line, supply: Supply, taxes: list[tuple[str, str]]) -> list[str]:
    row = [str(place), _breakable(line.description), line.sac, str(line.quantity)]
    if supply.taxed:
        row += [percent(line.rate), in_figures(line.amounts.taxable)]
    row += [in_figures(getattr(line.amounts, part)) for part, _ in taxes]
    return [*row, in_figures(line.amounts.total)]


def _rate_rows(document: TaxDocument, taxes: list[tuple[str, str]]) -> list[list[str]]:
    """A row for each rate, below one of titles; nothing where the totals say it already."""
    if len(document.rates) < 2:
        return []

    def row(rate: int, amounts: Taxed) -> list[str]:
        parts = [in_figures(getattr(amounts, part)) for part, _ in taxes]
        return [percent(rate), in_figures(amounts.taxable), *parts]

    titles = ["Rate", "Taxable value", *(name for _, name in taxes)]
    return [titles, *(row(rate, amounts) for rate, amounts in document.rates)]


def _supplier_lines(supplier: Supplier) -> list[str]:
    lines = [*supplier.address.splitlines(), f"State: {place_name(supplier.state)}"]
    if supplier.gstin:
        lines.append(f"GSTIN: {supplier.gstin}")
    return [_breakable(line) for line in lines]


def _buyer_lines(buyer: Buyer) -> list[str]:
    lines = buyer.address.splitlines()
    if buyer.state:
        lines.append(f"State: {place_name(buyer.state)}")
    if buyer.country != "IN":
        lines.append(f"Country: {buyer.country}")
    if buyer.gstin:
        lines.append(f"GSTIN: {buyer.gstin}")
    return [_breakable(line) for line in lines]


def _facts(document: Invoice | CreditNote) -> list[tuple[str, str]]:
    facts = [("Place of supply", place_name(document.place))]
    if document.supply is not Supply.UNREGISTERED:
        facts.append(("Reverse charge", "Yes" if document.reverse_charge else "No"))
    if isinstance(document, CreditNote):
        return [
            ("Against invoice", document.invoice_number),
            ("Invoice date", written(document.invoice_date)),
            ("Invoice total", _rupees(document.invoice_total)),
            ("Reason", document.reason),
            ("Refund", document.refund_id),
            *facts,
        ]
    return [("Payment", document.payment_id), ("Order", str(document.order_id)), *facts]


def _notes(document: TaxDocument) -> list[str]:
    notes = ["Amounts are in Indian rupees."]
    match document.supply:
        case Supply.EXPORT_WITH_TAX:
            # The words of rule 46's third proviso.
            notes.append("SUPPLY MEANT FOR EXPORT ON PAYMENT OF INTEGRATED TAX.")
        case Supply.EXPORT_WITHOUT_TAX:
            notes.append(
                "SUPPLY MEANT FOR EXPORT UNDER BOND OR LETTER OF UNDERTAKING WITHOUT PAYMENT OF "
                f"INTEGRATED TAX. Letter of undertaking: {document.supplier.undertaking}."
            )
        case Supply.UNREGISTERED:
            notes.append("The supplier is not registered under GST; no tax is charged.")
        case _:
            pass
    return notes


def _rupees(paise: int) -> str:
    return f"₹ {in_figures(paise)}"


def _breakable(text: str) -> str:
    """The text, with places inside very long words where a line may end."""
    parted = _LONG_WITH_HYPHENS.sub(lambda long: long[0].replace("-", "-\u200b"), text)
    return _LONG_WORD.sub("\\g<0>\u200b", parted)


@cache
def _template() -> bytes:
    return (_HERE / "templates" / "invoice.typ").read_bytes()


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, font_paths=[str(_HERE / "fonts")])
