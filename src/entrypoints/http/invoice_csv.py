"""Rows of the return of outward supplies as CSV, for spreadsheets."""

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator

from domain.billing.gst import percent, place_name
from domain.billing.gstr1 import Row
from domain.billing.serials import DocumentKind, written
from domain.shared.money import PAISE_PER_RUPEE

COLUMNS = (
    "section",
    "document type",
    "number",
    "date",
    "recipient GSTIN",
    "recipient name",
    "place of supply",
    "reverse charge",
    "document value",
    "rate",
    "taxable value",
    "integrated tax",
    "central tax",
    "state or UT tax",
    "cess",
    "SAC",
    "export type",
    "original invoice number",
    "original invoice date",
)

BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel reads UTF-8 as the system's code page, and spoils names."""

_CHUNK = 32_768
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def as_csv(rows: AsyncIterable[Row]) -> AsyncIterator[bytes]:
    """The file in chunks, titles first; nothing but one chunk is kept in memory."""
    text = io.StringIO(newline="")
    text.write(BYTE_ORDER_MARK)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    async for row in rows:
        writer.writerow(_cells(row))
        if text.tell() >= _CHUNK:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _cells(row: Row) -> tuple[str, ...]:
    document, amounts = row.document, row.amounts
    return (
        row.section.value,
        "Invoice" if document.kind is DocumentKind.INVOICE else "Credit note",
        document.number,
        written(document.issued_on, "-"),
        document.buyer.gstin,
        _inert(document.buyer.name),
        place_name(document.place),
        "Y" if document.reverse_charge else "N",
        _rupees(document.amounts.total),
        percent(row.rate).removesuffix("%"),
        _rupees(amounts.taxable),
        _rupees(amounts.igst),
        _rupees(amounts.cgst),
        _rupees(amounts.sgst),
        _rupees(0),
        row.sac,
        row.export_type,
        row.original_number,
        written(row.original_date, "-") if row.original_date else "",
    )


def _rupees(paise: int) -> str:
    return f"{paise // PAISE_PER_RUPEE}.{paise % PAISE_PER_RUPEE:02d}"


def _inert(text: str) -> str:
    """What a person wrote, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
