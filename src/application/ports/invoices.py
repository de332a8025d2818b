"""Invoices, credit notes, and how people want to be named on them."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol
from uuid import UUID

from domain.billing.invoice import CreditNote, Invoice
from domain.billing.parties import BillingProfile
from domain.billing.serials import DocumentKind, FinancialYear, Turn
from domain.shared.ids import InvoiceId


class BillingProfiles(Protocol):
    """The person's billing profile."""

    async def get(self) -> BillingProfile | None:
        """The profile, or None while there is none."""
        ...

    async def put(self, profile: BillingProfile) -> None:
        """Keep a profile in place of what was there. Issued documents stay as they are."""
        ...

    async def delete(self) -> None:
        """Forget it. Issued documents stay as they are."""
        ...


class InvoiceRepository(Protocol):
    """The person's invoices and credit notes, which never change."""

    async def take_turn(self, kind: DocumentKind, year: FinancialYear, today: date) -> Turn:
        """The next place in a series, which is the same for everybody.

        Other takers wait until the commit, and a rollback gives the place back: so there is no
        gap and no repeat. The document must be added in the same transaction. Take it late:
        from here to the commit nobody else is issued anything of that series.
        """
        ...

    async def of_payment(self, payment_id: str) -> Invoice | None:
        """The payment's invoice, or None. Others who ask for it wait until the commit."""
        ...

    async def credit_notes(self, invoice_id: InvoiceId) -> Sequence[CreditNote]:
        """What was credited of an invoice, oldest first."""
        ...

    async def add(self, document: Invoice | CreditNote) -> None:
        """Keep an issued document: for good."""
        ...

    async def get(self, document_id: UUID) -> Invoice | CreditNote | None:
        """The invoice or credit note with that id, or None."""
        ...

    async def page(
        self,
        limit: int,
        after: UUID | None,
        *,
        year: FinancialYear | None,
        kind: DocumentKind | None,
    ) -> Sequence[Invoice | CreditNote]:
        """Documents, newest first, optionally of one financial year or kind.

        ``after`` is exclusive.
        """
        ...


class InvoiceRegister(Protocol):
    """Everybody's documents, to be read only: for operators and their accountants."""

    async def issued(
        self, kind: DocumentKind, first: date, last: date, *, after: int, limit: int
    ) -> Sequence[Invoice | CreditNote]:
        """Documents dated from ``first`` to ``last``, which lie in one financial year.

        In the order of their series, behind the sequence ``after``.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...


class InvoiceRenderer(Protocol):
    """Draws documents for people."""

    async def render(self, document: Invoice | CreditNote) -> bytes:
        """The document as a PDF file. Equal documents give equal bytes."""
        ...
