"""Everybody's invoices and credit notes of a month, for the accountant."""

import calendar
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

from application.ports.invoices import InvoiceRegister
from domain.billing.gstr1 import Row, rows_of
from domain.billing.invoice import CreditNote, Invoice
from domain.billing.serials import DocumentKind
from domain.shared.errors import InvalidValue

BATCH = 500
"""Documents read at once: the memory that an export takes, whatever it is of."""

_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month, which lies in one financial year."""

    first: date

    @classmethod
    def named(cls, label: str) -> Self:
        """The month of a label.

        Raises:
            InvalidValue: it is not one like ``2026-11``.
        """
        match = _MONTH.fullmatch(label)
        if match is None or int(match[1]) == 0 or not 1 <= int(match[2]) <= 12:
            raise InvalidValue("month", "Write a month like 2026-11.")
        return cls(date(int(match[1]), int(match[2]), 1))

    @property
    def last(self) -> date:
        """Its last day."""
        return self.first.replace(day=calendar.monthrange(self.first.year, self.first.month)[1])


@dataclass(frozen=True, slots=True)
class ExportInvoices:
    """Exports: invoices in the order of their series, then credit notes in theirs."""

    register: InvoiceRegister
    batch: int = BATCH

    async def __call__(self, month: Month) -> AsyncIterator[Row]:
        """The month's rows, read batch by batch as they are taken; the first batch now.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        first = await self._batch(DocumentKind.INVOICE, month, 0)
        return self._rows(month, first)

    async def _rows(
        self, month: Month, batch: Sequence[Invoice | CreditNote]
    ) -> AsyncIterator[Row]:
        for kind in DocumentKind:
            if kind is not DocumentKind.INVOICE:
                batch = await self._batch(kind, month, 0)
            while batch:
                for document in batch:
                    for row in rows_of(document):
                        yield row
                batch = await self._batch(kind, month, batch[-1].sequence)

    async def _batch(
        self, kind: DocumentKind, month: Month, after: int
    ) -> Sequence[Invoice | CreditNote]:
        return await self.register.issued(
            kind, month.first, month.last, after=after, limit=self.batch
        )
