"""Documents as rows of the monthly return of outward supplies, Form GSTR-1.

One row for each document and rate, in the section that the return has for it. Amounts are
positive paise in all rows; a credit note's reduce the return.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from domain.billing.gst import Supply, Taxed
from domain.billing.invoice import CreditNote, TaxDocument

LARGE_PAISE = 1_00_000_00
"""An inter-state invoice above one lakh rupees to somebody unregistered is reported by itself
(CGST Rules 2017, rule 59(4), as amended by Notification 12/2024 – Central Tax)."""


class Section(StrEnum):
    """The return's tables, by the names its offline tool gives them."""

    B2B = "B2B"
    """To registered buyers."""
    B2C_LARGE = "B2CL"
    """To others, inter-state, above :data:`LARGE_PAISE`."""
    B2C_SMALL = "B2CS"
    """To others; reported in sum, credit notes taken off."""
    EXPORT = "EXP"
    """Outside India."""
    CREDIT_REGISTERED = "CDNR"
    """Credit notes to registered buyers."""
    CREDIT_UNREGISTERED = "CDNUR"
    """Credit notes against exports and large invoices."""
    OUTSIDE = "NONE"
    """Of a supplier who is not registered: in no return."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a document reports for one of its rates."""

    section: Section
    document: TaxDocument
    rate: int
    amounts: Taxed
    sac: str
    export_type: str
    original_number: str
    original_date: date | None


def rows_of(document: TaxDocument) -> Iterator[Row]:
    """The document's rows, lowest rate first."""
    note = document if isinstance(document, CreditNote) else None
    for rate, amounts in document.rates:
        codes = {line.sac for line in document.lines if line.rate == rate}
        yield Row(
            section=section_of(document),
            document=document,
            rate=rate,
            amounts=amounts,
            sac=" ".join(sorted(codes)),
            export_type=_EXPORT_TYPES.get(document.supply, ""),
            original_number=note.invoice_number if note else "",
            original_date=note.invoice_date if note else None,
        )


def section_of(document: TaxDocument) -> Section:
    """The section a document is reported in."""
    note = document if isinstance(document, CreditNote) else None
    if document.supply is Supply.UNREGISTERED:
        return Section.OUTSIDE
    if document.buyer.business:
        return Section.CREDIT_REGISTERED if note else Section.B2B
    value = note.invoice_total if note else document.amounts.total
    large = document.supply is Supply.INTER_STATE and value > LARGE_PAISE
    if note and (document.supply.export or large):
        return Section.CREDIT_UNREGISTERED
    if document.supply.export:
        return Section.EXPORT
    return Section.B2C_LARGE if large else Section.B2C_SMALL


_EXPORT_TYPES = {Supply.EXPORT_WITH_TAX: "WPAY", Supply.EXPORT_WITHOUT_TAX: "WOPAY"}
